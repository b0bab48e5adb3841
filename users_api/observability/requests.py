"""What is known about a request when it has ended, for logs."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter_ns, time_ns
from typing import Any, Final, NamedTuple

CONTEXT_KEY: Final = "connexion_context"
"""Key in `scope["extensions"]` of what a security function has returned."""
TRACE_CONTEXT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
TRACE_HEADER: Final = b"traceparent"
NANOSECONDS: Final = 1_000_000_000
SERVER_ERROR: Final = 500


class EndedRequest(NamedTuple):
    """A request that has ended; the scope is read later, when its line is written."""

    request_id: str
    scope: Mapping[str, Any]
    status: int
    """What was sent; 0 if the client disconnected first."""
    body_bytes: int
    nanoseconds: int
    end: int
    """When it ended, on the clock of `perf_counter_ns`."""

    @property
    def level(self) -> str:
        """The level of its line: a failure of the service is an error."""
        return "error" if self.status >= SERVER_ERROR else "info"

    @property
    def operation(self) -> str | None:
        """The operationId; None for a path that the document does not have."""
        operation = self.scope.get("operation")
        return operation.metric_name if operation else None

    @property
    def client(self) -> str | None:
        """The client that the request's access token names."""
        context = self.scope.get("extensions", {}).get(CONTEXT_KEY, {})
        client: str | None = (context.get("token_info") or {}).get("client_id")
        return client

    @property
    def trace_id(self) -> str | None:
        """The trace that the request belongs to (W3C Trace Context, 3.2)."""
        found = [value for name, value in self.scope["headers"] if name == TRACE_HEADER]
        context = TRACE_CONTEXT.fullmatch(found[0]) if len(found) == 1 else None
        return context[1].decode("ascii") if context else None

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return round(self.nanoseconds / 1_000_000, 3)


def clock_offset() -> int:
    """Return what to add to `perf_counter_ns` to get nanoseconds since 1970."""
    return time_ns() - perf_counter_ns()


def utc(nanoseconds: int) -> datetime:
    """Return the time that is so many nanoseconds after 1970."""
    return datetime.fromtimestamp(nanoseconds / NANOSECONDS, UTC)
