"""Traces by OpenTelemetry's SDK: a span for each request, and one for each of its statements.

Only a process with a configured exporter imports this module: see `trace_settings`.
"""

import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property
from math import log, log1p
from random import getrandbits, random, randrange
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from users_api.observability.requests import SERVER_ERROR, Report, clock_offset
from users_api.observability.trace_settings import sampling_ratio
from users_api.observability.traced_ids import TracedId, in_trace, span_of

SAMPLED_BITS: Final = 64
"""The sampler takes a trace if these low bits of its id are below the ratio."""
Found = Sequence[tuple[bytes, bytes]]


class HeaderGetter(Getter[Found]):
    """Reads the headers of a request for the propagator."""

    def get(self, carrier: Found, key: str) -> list[str] | None:
        """Return the values of a header."""
        return [value.decode("latin-1") for name, value in carrier if name == key.encode()] or None

    def keys(self, carrier: Found) -> list[str]:
        """Return the names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


class ChosenIds(RandomIdGenerator):
    """Random ids; the next trace gets the one that was chosen for it."""

    next_trace_id: int | None = None

    def generate_trace_id(self) -> int:
        """Return the chosen id, once, or a random one."""
        chosen, self.next_trace_id = self.next_trace_id, None
        return super().generate_trace_id() if chosen is None else chosen


class Tracing:
    """The tracer of a process; the SDK reads OpenTelemetry's own variables when the first request arrives."""

    def __init__(self, service_name: str | None) -> None:
        """Name the service, unless OpenTelemetry's variables do."""
        self._service_name = service_name
        self._propagator, self._getter = TraceContextTextMapPropagator(), HeaderGetter()
        self._ids = ChosenIds()
        self._bound = round(sampling_ratio(os.environ) * (1 << SAMPLED_BITS))

    @cached_property
    def _provider(self) -> TracerProvider:
        """The provider, whose thread sends spans to the collector; it must not exist before a fork."""
        name = {SERVICE_NAME: self._service_name} if self._service_name else {}
        provider = TracerProvider(resource=Resource.create(name), id_generator=self._ids)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return provider

    @cached_property
    def _tracer(self) -> trace.Tracer:
        return self._provider.get_tracer("users_api")

    def begin(self, request_id: bytes, scope: MutableMapping[str, Any], found: Found) -> bytes:
        """Begin the span of a request if the sampler takes it; its parent is in these headers."""
        parent = self._propagator.extract(found, getter=self._getter) if found else None
        attributes = {
            "http.request.method": scope["method"],
            "network.protocol.version": scope["http_version"],
        }
        span = self._tracer.start_span(scope["method"], parent, SpanKind.SERVER, attributes)
        if not span.is_recording():
            return request_id
        return in_trace(request_id, f"{span.get_span_context().trace_id:032x}", span)

    def begin_sampled(self, request_id: bytes, scope: MutableMapping[str, Any]) -> bytes:
        """Begin the span of a request without a parent that `skips` has chosen."""
        self._ids.next_trace_id = getrandbits(SAMPLED_BITS) << SAMPLED_BITS | randrange(self._bound)  # noqa: S311 -- no secret.
        return self.begin(request_id, scope, ())

    def skips(self) -> int:
        """Return how many requests without a parent come before the next one that is sampled.

        The sampler takes each with the same probability, so their number has a geometric distribution: one
        random number replaces many decisions.
        """
        if not 0 < self._bound < 1 << SAMPLED_BITS:
            return 0 if self._bound else sys.maxsize
        return int(log(1 - random()) / log1p(-self._bound / (1 << SAMPLED_BITS)))  # noqa: S311 -- no secret.

    def end(self, reports: Iterable[Report]) -> None:
        """End the spans of requests, with the attributes of OpenTelemetry's semantic conventions for HTTP."""
        for report in [each for each in reports if type(each[0]) is TracedId]:
            request_id, operation, method, scheme, status, body_bytes, _, end, _ = report
            if span := span_of(request_id):
                _describe_request(span, operation, method, scheme, status, body_bytes)
                span.end(end + clock_offset())

    def record_statement(self, parent: Span, attributes: Mapping[str, str], start: int, end: int) -> None:
        """Record the span of a statement, which began and ended at these times of `perf_counter_ns`."""
        offset, context = clock_offset(), set_span_in_context(parent)
        name = attributes["db.query.summary"]
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start + offset)
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end + offset)


def _describe_request(  # noqa: PLR0913, PLR0917 -- what is known of a request.
    span: Span, operation: Any, method: str | None, scheme: str | None, status: int, body_bytes: int
) -> None:
    """Set what is known at the end; the path and the query are left out, because they may name people."""
    attributes: dict[str, Any] = {"url.scheme": scheme, "http.response.body.size": body_bytes}
    if status:
        attributes["http.response.status_code"] = int(status)
    if operation:
        attributes["http.route"] = operation.whole_path
        span.update_name(f"{method} {operation.whole_path}")
    if status >= SERVER_ERROR or not status:
        attributes["error.type"] = str(int(status)) if status else "client_disconnected"
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(attributes)
