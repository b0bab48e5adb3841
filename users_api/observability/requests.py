"""What is known about a request when it has ended."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter_ns, time_ns
from typing import Any, Final

from users_api.observability.traced_ids import trace_of

TRACE_CONTEXT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
NANOSECONDS: Final = 1_000_000_000
SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class RequestKind:
    """What requests of one kind have in common; there is one object for each kind."""

    operation: Any
    """The engine's operation, or None: there is none for the path and the method."""
    method: str | None
    """The method, or None: the server could not read it."""
    scheme: str | None
    status: int
    """The status that was sent; 0: the client disconnected before."""


class RequestKinds(dict[tuple[Any, str | None, str | None, int], RequestKind]):
    """The kinds of requests, by what they have in common."""

    def __missing__(self, key: tuple[Any, str | None, str | None, int]) -> RequestKind:
        """Add a kind."""
        self[key] = kind = RequestKind(*key)
        return kind


Report = tuple[bytes, Any, str | None, str | None, int, int, int, int, Any]
"""What the server reports of a request: its id, operation, method, scheme and status, the size of the body in
bytes, the start and the end on the clock of `perf_counter_ns`, and the claims of an access token."""
Ended = tuple[bytes, RequestKind, int, int, int, tuple[str | None, str | None]]
"""The id, the kind, the end on the clock of `perf_counter_ns`, the duration in nanoseconds, the size of the
body in bytes, and the trace and the client if they are known."""
NO_NAMES: Final = (None, None)


def ended(reports: Iterable[Report], kinds: RequestKinds) -> list[Ended]:
    """Return requests as they are counted and logged."""
    return [
        (
            request_id,
            kinds[operation, method, scheme, status],
            end,
            end - start,
            body_bytes,
            NO_NAMES if token_info is None and type(request_id) is bytes else _names(request_id, token_info),
        )
        for request_id, operation, method, scheme, status, body_bytes, start, end, token_info in reports
    ]


def _names(request_id: bytes, token_info: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
    """Return the trace of a request, and the client that its access token names."""
    return trace_of(request_id), token_info.get("client_id") if token_info else None


def trace_id_in(values: Sequence[bytes]) -> str | None:
    """Return the trace that a request's only `traceparent` names (W3C Trace Context, 3.2)."""
    context = TRACE_CONTEXT.fullmatch(values[0]) if len(values) == 1 else None
    return context[1].decode("ascii") if context else None


def level_of(status: int) -> str:
    """Return the level of a request's line: a failure of the service is an error."""
    return "error" if status >= SERVER_ERROR else "info"


def clock_offset() -> int:
    """Return what to add to `perf_counter_ns` to get nanoseconds since 1970."""
    return time_ns() - perf_counter_ns()


def utc(nanoseconds: int) -> datetime:
    """Return the time that is so many nanoseconds after 1970."""
    return datetime.fromtimestamp(nanoseconds / NANOSECONDS, UTC)
