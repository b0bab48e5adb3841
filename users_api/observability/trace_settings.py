"""Whether OpenTelemetry's standard variables ask for traces; this imports nothing of OpenTelemetry."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from users_api.observability.tracing import Tracing

TRACING: Final = "users_api.observability.tracing"
SERVICE_NAME: Final = "users-api"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SUPPORTED: Final = {
    "OTEL_TRACES_EXPORTER": ("otlp", "none"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("http/protobuf",),
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": ("http/protobuf",),
    "OTEL_PROPAGATORS": ("tracecontext", "tracecontext,baggage"),
}


def trace_problems(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the variables of which this package supports some values only."""
    for name, values in SUPPORTED.items():
        if (value := environment.get(name)) and value not in values:
            yield f"{name} must be {' or '.join(f'`{each}`' for each in values)}, not {value!r}"


def are_traces_enabled(environment: Mapping[str, str]) -> bool:
    """Return whether an exporter is configured and the SDK is not disabled."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER")
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in ENDPOINTS))


@cache
def shared_tracing() -> "Tracing | None":
    """Return what traces the requests of this process, or None; the variables may name the service."""
    if not are_traces_enabled(os.environ):
        return None
    tracing: Tracing = import_module(TRACING).Tracing(None if _is_named(os.environ) else SERVICE_NAME)
    return tracing


def _is_named(environment: Mapping[str, str]) -> bool:
    resource = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(environment.get("OTEL_SERVICE_NAME")) or "service.name=" in resource
