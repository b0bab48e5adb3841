"""What the server reports of each request, and where it goes."""

from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Final

from users_api.observability.instruments import (
    CONNECTIONS,
    REJECTED_REQUESTS,
    REQUEST_DURATION,
    REQUESTS_IN_FLIGHT,
)
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import RequestIds, current_request_id
from users_api.observability.request_log import RequestLog
from users_api.observability.requests import SERVER_ERROR

# OpenTelemetry's semantic conventions for HTTP: other methods are counted together.
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
DISCONNECTED: Final = 0
Key = tuple[Any, str, str, int]


class RequestObserver:
    """Gives each request an id, and counts and logs it when it has ended; the server calls it."""

    def __init__(self, log: RequestLog | None, recorder: Recorder) -> None:
        """Log to this log, and count with this recorder."""
        self._log, self._recorder, self._ids = log, recorder, RequestIds()
        self._durations = recorder.histogram(REQUEST_DURATION, _labels)
        self._in_flight = self._connections = 0
        recorder.add_gauge(REQUESTS_IN_FLIGHT, lambda: self._in_flight)
        recorder.add_gauge(CONNECTIONS, lambda: self._connections)

    def connect(self) -> None:
        """Count a new connection."""
        self._connections += 1

    def disconnect(self) -> None:
        """Count a connection that has ended."""
        self._connections -= 1

    def choose_id(self, offered: Sequence[bytes]) -> str:
        """Return the id that a request has offered, or a new one."""
        return self._ids.choose(offered)

    def begin(self, request_id: str) -> None:
        """Begin a request in the current task."""
        self._in_flight += 1
        current_request_id.set(request_id)

    def end(
        self, request_id: str, scope: Mapping[str, Any], status: int, body_bytes: int, nanoseconds: int
    ) -> None:
        """Count and log a request that has ended; the status is 0 if the client disconnected before."""
        self._in_flight -= 1
        key = scope.get("operation"), scope["method"], scope["scheme"], status
        self._durations.record(nanoseconds, key)
        if self._log is not None:
            self._log.add((request_id, scope, status, body_bytes, nanoseconds, perf_counter_ns()))

    def reject(self, request_id: str, scope: Mapping[str, Any], status: int, body_bytes: int) -> None:
        """Count and log a request that the server has rejected, which has not begun."""
        self._recorder.count(REJECTED_REQUESTS, str(int(status)))
        if self._log is not None:
            self._log.add((request_id, scope, status, body_bytes, 0, perf_counter_ns()))


def _labels(key: Key) -> tuple[str, ...]:
    operation, method, scheme, status = key
    return (
        operation.metric_name if operation else "",
        method if method in METHODS else OTHER_METHOD,
        operation.whole_path if operation else "",
        scheme,
        str(status) if status else "",
        _error_type(status),
    )


def _error_type(status: int) -> str:
    """Return the kind of a failure; what the client did wrong is none of the server."""
    if status == DISCONNECTED:
        return "client_disconnected"
    return str(status) if status >= SERVER_ERROR else ""
