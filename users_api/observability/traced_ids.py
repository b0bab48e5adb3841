"""The ids of traced requests, in which statements find the span of their request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class TracedId(bytes):
    """The id of a request that is traced."""

    span: "Span"


def span_of(request_id: bytes) -> "Span | None":
    """Return the span of a request, or None if it is not traced."""
    return request_id.span if type(request_id) is TracedId else None


def trace_parent(span: "Span") -> str:
    """Return a span as the header `traceparent` names it (W3C Trace Context, 3.2)."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
