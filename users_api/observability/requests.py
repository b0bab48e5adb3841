"""What is known about a request when it has ended."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter_ns, time_ns
from typing import Any, Final

CONTEXT_KEY: Final = "connexion_context"
"""Key in `scope["extensions"]` of what a security function has returned."""
TRACE_KEY: Final = "trace_id"
"""Key in the scope of the trace that the request belongs to."""
TRACE_CONTEXT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
NANOSECONDS: Final = 1_000_000_000
SERVER_ERROR: Final = 500

Ended = tuple[bytes, Mapping[str, Any], int, int, int, int]
"""The id, the scope, the status that was sent (0: the client disconnected before), the size of the body in
bytes, and the start and the end on the clock of `perf_counter_ns`."""


def client_of(scope: Mapping[str, Any]) -> str | None:
    """Return the client that the request's access token names."""
    context = scope.get("extensions", {}).get(CONTEXT_KEY, {})
    client: str | None = (context.get("token_info") or {}).get("client_id")
    return client


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
