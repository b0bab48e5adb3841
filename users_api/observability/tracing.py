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
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from users_api.observability.request_ids import current_request_id
from users_api.observability.requests import SERVER_ERROR, TRACE_KEY, Ended, clock_offset

HEADERS: Final = frozenset({b"traceparent", b"tracestate"})
Found = Sequence[tuple[bytes, bytes]]


class TracedId(bytes):
    """The id of a request that is traced; statements find the span of their request in it."""

    span: Span

    @property
    def parent(self) -> str:
        """The request's span as W3C Trace Context, 3.2 writes it."""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"


class HeaderGetter(Getter[Found]):
    """Reads the headers of a request for the propagator."""

    def get(self, carrier: Found, key: str) -> list[str] | None:
        """Return the values of a header."""
        return [value.decode("latin-1") for name, value in carrier if name == key.encode()] or None

    def keys(self, carrier: Found) -> list[str]:
        """Return the names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier]


class Tracing:
    """The tracer of a process; the SDK reads OpenTelemetry's own variables when the first request arrives."""

    def __init__(self, service_name: str | None) -> None:
        """Name the service, unless OpenTelemetry's variables do."""
        self._service_name = service_name
        self._propagator, self._getter = TraceContextTextMapPropagator(), HeaderGetter()

    @cached_property
    def _tracer(self) -> trace.Tracer:
        """The tracer, whose thread sends spans to the collector; it must not exist before a fork."""
        name = {SERVICE_NAME: self._service_name} if self._service_name else {}
        provider = TracerProvider(resource=Resource.create(name))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return provider.get_tracer("users_api")

    def begin(self, request_id: bytes, scope: MutableMapping[str, Any], found: Found) -> bytes:
        """Begin the span of a request if it is sampled; its parent is in the headers that were found."""
        parent = self._propagator.extract(found, getter=self._getter) if found else None
        span = self._tracer.start_span(scope["method"], parent, SpanKind.SERVER)
        if not span.is_recording():
            return request_id
        traced = TracedId(request_id)
        traced.span = span
        scope[TRACE_KEY] = f"{span.get_span_context().trace_id:032x}"
        return traced

    def end(self, requests: Iterable[Ended]) -> None:
        """End the spans of requests, with the attributes of OpenTelemetry's semantic conventions for HTTP."""
        offset = clock_offset()
        for request_id, scope, status, body_bytes, _, end in requests:
            if isinstance(request_id, TracedId):
                _describe_request(request_id.span, scope, status, body_bytes)
                request_id.span.end(end + offset)

    def current_parent(self) -> str | None:
        """Return the span of the current request as W3C Trace Context writes it, if it is traced."""
        request_id = current_request_id.get()
        return request_id.parent if isinstance(request_id, TracedId) else None

    def record_statement(self, attributes: Mapping[str, str], start: int, end: int) -> None:
        """Record the span of a statement, which began and ended at these times of `perf_counter_ns`."""
        request_id = current_request_id.get()
        if not isinstance(request_id, TracedId):
            return
        offset, parent = clock_offset(), set_span_in_context(request_id.span)
        name = attributes["db.query.summary"]
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, attributes, start_time=start + offset)
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
