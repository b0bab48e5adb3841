"""What the server reports of each request, and where it goes."""

import asyncio
import atexit
from collections.abc import Callable, Sequence, Sized
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from users_api.observability.instruments import (
    CONNECTIONS,
    REJECTED_REQUESTS,
    REQUEST_DURATION,
    REQUESTS_IN_FLIGHT,
)
from users_api.observability.recorder import Recorder
from users_api.observability.request_ids import RequestIds, accepted_id, current_request_id
from users_api.observability.request_log import RequestLog
from users_api.observability.requests import (
    SERVER_ERROR,
    Report,
    RequestKind,
    RequestKinds,
    ended,
    trace_id_in,
)
from users_api.observability.traced_ids import in_trace

if TYPE_CHECKING:
    from users_api.observability.tracing import Tracing

FLUSH_SECONDS: Final = 0.05
BATCH_SIZE: Final = 256
"""How many requests to process together: more of them do not fit the processor's caches."""
REQUEST_ID: Final = b"x-request-id"
TRACE_PARENT: Final = b"traceparent"
TRACE_STATE: Final = b"tracestate"
# OpenTelemetry's semantic conventions for HTTP: other methods are counted together.
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
DISCONNECTED: Final = 0


class RequestObserver:
    """Gives each request an id, and counts and logs it a moment after it has ended; the server calls it.

    About BATCH_SIZE requests are counted and logged together, or fewer after FLUSH_SECONDS: one of many lines
    takes an eighth of the time of one alone. A process that is killed loses those of its last moment.
    """

    headers: frozenset[bytes] = frozenset({REQUEST_ID, TRACE_PARENT})
    """The headers that `choose_id` needs."""
    begin: Final = current_request_id.set
    """Begins a request in the current task."""
    end: Callable[[Report], None]
    """Reports a request that has ended."""

    def __init__(self, recorder: Recorder, log: RequestLog) -> None:
        """Count with this recorder, and log to this log; what is left is written when the process exits."""
        self._recorder, self._log, self._ids = recorder, log, RequestIds()
        self._durations = recorder.histogram(REQUEST_DURATION, _labels)
        self._reports: Final = list[Report]()
        self.end = self._reports.append
        self._kinds = RequestKinds()
        self._connections, self._is_flushing, self._pause = 0, False, FLUSH_SECONDS
        self._tasks: Sized = ()
        recorder.add_gauge(REQUESTS_IN_FLIGHT, lambda: len(self._tasks))
        recorder.add_gauge(CONNECTIONS, lambda: self._connections)
        atexit.register(self.flush)

    def connect(self, tasks: Sized) -> None:
        """Count a new connection; `tasks` are those of all requests that this process works on."""
        self._connections, self._tasks = self._connections + 1, tasks
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_later(self._pause, self._flush_and_continue)

    def disconnect(self) -> None:
        """Count a connection that has ended."""
        self._connections -= 1

    def choose_id(self, scope: Any, found: Sequence[tuple[bytes, bytes]]) -> bytes:  # noqa: ARG002 -- for traces.
        """Return the id of a request, which may offer one, and may belong to a trace.

        `found` are those of its headers that are in `headers`.
        """
        if not found:
            return self._ids.new()
        request_id = accepted_id([value for name, value in found if name == REQUEST_ID]) or self._ids.new()
        trace = trace_id_in([value for name, value in found if name == TRACE_PARENT])
        return in_trace(request_id, trace) if trace else request_id

    def reject(self, found: Sequence[tuple[bytes, bytes]], status: int, body_bytes: int) -> bytes:
        """Count and log a request that the application never sees, and return its id."""
        self._recorder.count(REJECTED_REQUESTS, str(int(status)))
        request_id, now = RequestObserver.choose_id(self, {}, found), perf_counter_ns()
        report = request_id, None, None, None, status, body_bytes, now, now, None
        self._log.write(ended([report], self._kinds))
        return request_id

    def flush(self) -> None:
        """Count and log the requests that have ended."""
        if self._reports:
            reports = self._reports.copy()
            self._reports.clear()
            self._process(reports)
        self._recorder.flush()

    def _process(self, reports: Sequence[Report]) -> None:
        requests = ended(reports, self._kinds)
        self._durations.record_all((kind, duration) for _, kind, _, duration, _, _ in requests)
        self._log.write(requests)

    def _flush_and_continue(self) -> None:
        self._pause = min(FLUSH_SECONDS, self._pause * BATCH_SIZE / max(1, len(self._reports)))
        try:
            self.flush()
        finally:
            self._is_flushing = self._connections > 0 or len(self._tasks) > 0
            if self._is_flushing:
                asyncio.get_running_loop().call_later(self._pause, self._flush_and_continue)


def _labels(kind: RequestKind) -> tuple[str, ...]:
    operation, status = kind.operation, kind.status
    return (
        operation.metric_name if operation else "",
        kind.method if kind.method in METHODS else OTHER_METHOD,
        operation.whole_path if operation else "",
        kind.scheme or "",
        str(int(status)) if status else "",
        _error_type(status),
    )


def _error_type(status: int) -> str:
    """Return the kind of a failure; what the client did wrong is none of the server."""
    if status == DISCONNECTED:
        return "client_disconnected"
    return str(int(status)) if status >= SERVER_ERROR else ""


class TracedRequests(RequestObserver):
    """Does the same, and traces requests."""

    def __init__(self, recorder: Recorder, log: RequestLog, tracing: "Tracing") -> None:
        """Trace with this tracer."""
        super().__init__(recorder, log)
        self._tracing, self._skipped = tracing, tracing.skips()
        self.headers = RequestObserver.headers | {TRACE_STATE}

    def choose_id(self, scope: Any, found: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the id of a request; that of a traced one has its span."""
        if found:
            request_id = super().choose_id(scope, found)
            if any(name == TRACE_PARENT for name, _ in found):
                return self._tracing.begin(request_id, scope, found)
        else:
            request_id = self._ids.new()
        self._skipped -= 1
        if self._skipped >= 0:
            return request_id
        self._skipped = self._tracing.skips()
        return self._tracing.begin_sampled(request_id, scope)

    def _process(self, reports: Sequence[Report]) -> None:
        super()._process(reports)
        self._tracing.end(reports)
