"""What the server reports of each request, and where it goes."""

from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from users_api.observability.request_ids import RequestIds, current_request_id
from users_api.observability.request_log import RequestLog
from users_api.observability.requests import EndedRequest


class RequestObserver:
    """Gives each request an id, and logs it when it has ended; the server calls it."""

    def __init__(self, log: RequestLog) -> None:
        """Log to this log."""
        self._log, self._ids = log, RequestIds()

    def choose_id(self, offered: Sequence[bytes]) -> str:
        """Return the id that a request has offered, or a new one."""
        return self._ids.choose(offered)

    def begin(self, request_id: str) -> None:
        """Begin a request in the current task."""
        current_request_id.set(request_id)

    def end(
        self, request_id: str, scope: Mapping[str, Any], status: int, body_bytes: int, nanoseconds: int
    ) -> None:
        """Log a request that has ended; the status is 0 if the client disconnected before the response."""
        self._log.add(EndedRequest(request_id, scope, status, body_bytes, nanoseconds, perf_counter_ns()))
