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
SAMPLER: Final = "OTEL_TRACES_SAMPLER"
RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"
SAMPLERS: Final = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


def trace_problems(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the variables of which this package supports some values only."""
    for name, values in SUPPORTED.items():
        if (value := environment.get(name)) and value not in values:
            yield f"{name} must be {' or '.join(f'`{each}`' for each in values)}, not {value!r}"
    if are_traces_enabled(environment):
        yield from _sampler_problems(environment)


def _sampler_problems(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what the SDK would replace by its defaults."""
    if (sampler := environment.get(SAMPLER, "")) and sampler.lower() not in SAMPLERS:
        yield f"{SAMPLER} must be {' or '.join(f'`{each}`' for each in SAMPLERS)}, not {sampler!r}"
    try:
        is_ratio = 0 <= sampling_ratio(environment) <= 1
    except ValueError:
        is_ratio = False
    if not is_ratio:
        yield f"{RATIO} must be a number from 0 to 1, not {environment[RATIO]!r}"


def sampling_ratio(environment: Mapping[str, str]) -> float:
    """Return the share of the requests without a caller's trace that is traced.

    Raises:
        ValueError: it is not a number.
    """
    sampler = environment.get(SAMPLER, "").lower() or "parentbased_always_on"
    if sampler.endswith("traceidratio"):
        return float(environment.get(RATIO) or 1)
    return float(sampler.endswith("always_on"))


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
