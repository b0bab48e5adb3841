"""Traces by OpenTelemetry's SDK: a span for each request, and one for each of its statements.

Only a process with a configured exporter imports this module: see `trace_settings`.
"""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from users_api.observability.requests import SERVER_ERROR, TRACE_KEY, Ended, clock_offset
from users_api.observability.traced_ids import TracedId, span_of

MAX_SKIPPED: Final = 200
"""The most ids for which the sampler is asked at once, which takes 0.3 ms."""
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

    def new_trace_id(self) -> int:
        """Return a random id."""
        return super().generate_trace_id()

    def generate_trace_id(self) -> int:
        """Return the chosen id, once, or a random one."""
        chosen, self.next_trace_id = self.next_trace_id, None
        return self.new_trace_id() if chosen is None else chosen


class Tracing:
    """The tracer of a process; the SDK reads OpenTelemetry's own variables when the first request arrives."""

    def __init__(self, service_name: str | None) -> None:
        """Name the service, unless OpenTelemetry's variables do."""
        self._service_name = service_name
        self._propagator, self._getter = TraceContextTextMapPropagator(), HeaderGetter()
        self._ids = ChosenIds()

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
        """Begin the span of a request if it is sampled; its parent is in the headers that were found.

        A request without a parent is sampled if `skips` says so.
        """
        parent = self._propagator.extract(found, getter=self._getter) if found else None
        span = self._tracer.start_span(scope["method"], parent, SpanKind.SERVER)
        if not span.is_recording():
            return request_id
        traced = TracedId(request_id)
        traced.span = span
        scope[TRACE_KEY] = f"{span.get_span_context().trace_id:032x}"
        return traced

    def skips(self) -> int:
        """Return how many requests without a parent come before the next one that is sampled.

        The sampler decides by the trace's id. It is asked about the ids of many requests at once, while its
        code is in the processor's caches. The next `begin` uses the last id.
        """
        sampler, ids = self._provider.sampler, self._ids
        for skipped in range(MAX_SKIPPED):
            ids.next_trace_id = ids.new_trace_id()
            if sampler.should_sample(None, ids.next_trace_id, "").decision is not Decision.DROP:
                return skipped
        ids.next_trace_id = None
        return MAX_SKIPPED

    def end(self, requests: Iterable[Ended]) -> None:
        """End the spans of requests, with the attributes of OpenTelemetry's semantic conventions for HTTP."""
        offset = clock_offset()
        for request_id, scope, status, body_bytes, _, end in requests:
            if span := span_of(request_id):
                _describe_request(span, scope, status, body_bytes)
                span.end(end + offset)

    def record_statement(self, parent: Span, attributes: Mapping[str, str], start: int, end: int) -> None:
        """Record the span of a statement, which began and ended at these times of `perf_counter_ns`."""
        offset, context = clock_offset(), set_span_in_context(parent)
        name = attributes["db.query.summary"]
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=start + offset)
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end + offset)


def _describe_request(span: Span, scope: Mapping[str, Any], status: int, body_bytes: int) -> None:
    """Set what is known at the end; the path and the query are left out, because they may name people."""
    operation, method = scope.get("operation"), scope["method"]
    attributes = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "network.protocol.version": scope["http_version"],
        "http.response.body.size": body_bytes,
    }
    if status:
        attributes["http.response.status_code"] = int(status)
    if operation:
        attributes["http.route"] = operation.whole_path
        span.update_name(f"{method} {operation.whole_path}")
    if status >= SERVER_ERROR or not status:
        attributes["error.type"] = str(int(status)) if status else "client_disconnected"
        span.set_status(Status(StatusCode.ERROR))
    span.set_attributes(attributes)
