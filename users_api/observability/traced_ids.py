"""The ids of requests that belong to a trace, in which statements find the span of their request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class TracedId(bytes):
    """The id of a request that belongs to a trace."""

    trace: str
    """The id of the trace, as the header `traceparent` has it."""
    span: "Span | None" = None
    """The request's span, if the trace is sampled."""


def in_trace(request_id: bytes, trace: str, span: "Span | None" = None) -> TracedId:
    """Return the id of a request as that of a request in this trace."""
    traced = TracedId(request_id)
    traced.trace, traced.span = trace, span
    return traced


def trace_of(request_id: bytes) -> str | None:
    """Return the trace that a request belongs to."""
    return request_id.trace if type(request_id) is TracedId else None


def span_of(request_id: bytes) -> "Span | None":
    """Return the span of a request, or None if its trace is not sampled."""
    return request_id.span if type(request_id) is TracedId else None


def trace_parent(span: "Span") -> str:
    """Return a span as the header `traceparent` names it (W3C Trace Context, 3.2)."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
