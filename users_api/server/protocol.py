"""HTTP/1.1 on one connection: uvicorn's protocol with limits, and with responses to invalid requests."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from users_api.server.cycle import ResponseCycle
from users_api.server.failures import (
    ChunksTooSmall,
    Headers,
    HeadTimeout,
    HeadTooLarge,
    InvalidRequest,
    Overloaded,
    Render,
    RequestFailure,
    render_problem,
)
from users_api.server.heads import head_size, is_valid_head, take_host_from_target
from users_api.server.memory import FREE_BYTES, HeldRequests, MemoryBudget
from users_api.server.observer import Observer
from users_api.server.rate import ReadingRate
from users_api.server.transport import LingeringTransport

IDLE_CLOSE_SECONDS: Final = 1
MAX_PIPELINED: Final = 100
HEADER_BYTES: Final = 200  # Of memory that the objects of a header take, besides its text.
FREE_CHUNKS: Final = 2_000
MIN_CHUNK_BYTES: Final = 64
DISCARDED_BYTES: Final = 16 * 1024**2
LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds.
SPECIAL_HEADERS: Final = frozenset({b"expect", b"host", b"transfer-encoding"})
CONNECTION: Final = "users_api.connection"
"""Key in `scope["state"]` of a dictionary that lives as long as the connection."""


@dataclass(frozen=True)
class Limits:
    """What a client may send, and how long it may take."""

    head_bytes: int = 64 * 1024
    """The size of the request line and headers together, and of all around the chunks of a body."""
    head_seconds: float = 10
    """How long the request line and the headers may take to arrive."""
    send_seconds: float = 20
    """How long a client may take to read data that is ready to be sent."""
    memory_bytes: int = 64 * 1024**2
    """How much of a worker's memory its clients may hold: see `MemoryBudget`."""
    large_bytes_per_second: float = 32 * 1024**2
    """How fast a worker reads bodies beyond their first `FREE_BYTES`, all connections together."""


class Phase(Enum):
    """Which part of a request arrives next."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()


class Protocol(HttpToolsProtocol):
    """One connection; a request that the server rejects is answered in the service's own format."""

    phase = Phase.IDLE
    _overhead = 0  # Bytes received since the head began or since the last piece of the body.
    _received = 0
    _first_received = 0  # Bytes received at once with the first byte of the head.
    _idle_since = 0.0
    _partial_since: float | None = None  # When the part of a request arrived whose rest is still missing.
    _chunks = _discarded = 0
    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _shutting_down = False
    _special_headers: Headers
    _observed_headers: tuple[tuple[bytes, bytes], ...] = ()
    _is_deferred = False  # Whether the next request waits until the client has read a response.
    _previous: RequestResponseCycle | None = None  # The one before `cycle`.
    _running: ResponseCycle | None = None  # Whose application runs; others wait in the pipeline.

    def __init__(  # noqa: PLR0913 -- all are keywords.
        self,
        *arguments: Any,
        limits: Limits | None = None,
        budget: MemoryBudget | None = None,
        rate: ReadingRate | None = None,
        render: Render = render_problem,
        https_headers: Headers | None = None,
        observer: Observer | None = None,
        **options: Any,
    ) -> None:
        """Accept the arguments of uvicorn's protocol, the limits, and the function that renders failures.

        The connections of a worker share its budget and its rate. `https_headers` are those of responses to
        requests that arrive over HTTPS, as a trusted proxy reports. The observer gets a report of each
        request.
        """
        super().__init__(*arguments, **options)
        self.app_state = {**self.app_state, CONNECTION: {}}
        self._limits, self._render, self._https_headers = limits or Limits(), render, https_headers or []
        self._budget = budget or MemoryBudget(self._limits.memory_bytes)
        self._rate = rate or ReadingRate(self._limits.large_bytes_per_second)
        self._held = HeldRequests(self._budget)
        self._observer = observer
        self._special_names = SPECIAL_HEADERS | observer.headers if observer else SPECIAL_HEADERS

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, for as long as a head may take."""
        super().connection_made(LingeringTransport(transport, self.loop, self._is_receiving))  # type: ignore[arg-type]  # it passes everything else through.
        self._head_timer = self.loop.call_later(self._limits.head_seconds, self._on_head_timeout)
        self._idle_since = self.loop.time()
        transport.set_write_buffer_limits(0)
        if self._observer is not None:
            self._observer.connect(self.tasks)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers, release what the connection holds, and end the requests in progress."""
        self._held.hold_head(0)
        self._held.release()
        self._budget.release_response(self)
        self._cancel_head_timer()
        self._cancel_send_timer()
        super()._unset_keepalive_if_required()
        if self._running:  # uvicorn reports the disconnection only to the newest request.
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)
        if self._observer is not None:
            self._observer.disconnect()
        self.transport.connection_lost()  # type: ignore[attr-defined]  # it is a LingeringTransport.

    def data_received(self, data: bytes) -> None:
        """Parse the data; ignore it after the last request of the connection."""
        if self.transport.is_closing() or self.parser is None:
            self._discard(len(data))
            return
        self._received = len(data)
        try:
            self._parse(data)
            self._check_limits()
        except (HttpParserError, RequestFailure) as error:
            self._stop_reading(_find_failure(error))  # In a variable it would keep this frame alive.

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps its own half open.
        """Finish the pending responses to a client that has closed only its own half of the connection."""
        return self._stop_reading(None)

    def on_message_begin(self) -> None:
        """Start a request head, and count its bytes from here."""
        super().on_message_begin()
        self._special_headers, self._observed_headers = [], ()
        self._first_received = self._received
        self.phase, self._overhead = Phase.HEAD, -self._received

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, also to the few that the server itself reads."""
        name = name.lower()
        self.headers.append((name, value))
        if name not in self._special_names:
            return
        if name not in SPECIAL_HEADERS:
            self._observed_headers = (*self._observed_headers, (name, value))
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue" or self.expect_100_continue
        else:
            self._special_headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Call the application; reject a head that is too large, or that parsers could read differently."""
        limit = self._limits.head_bytes
        is_large = self._first_received + self._overhead + self._received > limit
        if is_large and head_size(self.parser.get_method(), self.url, self.headers) > limit:
            raise HeadTooLarge(limit)
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if not is_valid_head(method, version, self._special_headers) or len(self.pipeline) >= MAX_PIPELINED:
            raise InvalidRequest  # Sent after the pending responses, the last of which closes the connection.
        if not self.url.startswith(b"/"):
            take_host_from_target(self.url, self.headers)
        if not self.parser.should_upgrade():
            self._begin_request(method.decode("ascii"), version)

    def _begin_request(self, method: str, version: str) -> None:
        """Call the application, or queue the request behind those that are in progress.

        Raises:
            InvalidRequest: the target has no path.
            Overloaded: the budget has no room for the headers.
        """
        self._complete_scope(method, version)
        self._previous, self.cycle = self.cycle, self._make_cycle(version)
        if self._previous is None or self._previous.response_complete:
            self._running = self.cycle
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self.phase = Phase.BODY
        has_room = self._held.begin(HEADER_BYTES * len(self.headers))
        # Trailers: the request ignores them, since they could contradict its headers (RFC 9110, 6.5.1).
        self.headers = []
        self._cancel_head_timer()
        self._chunks = self._discarded = 0
        if not has_room:
            raise Overloaded

    def _complete_scope(self, method: str, version: str) -> None:
        target, scope = parse_url(self.url), cast("dict[str, Any]", self.scope)
        if target.path is None:
            raise InvalidRequest
        path = target.path.decode("ascii")
        scope["method"], scope["http_version"] = method, version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + target.path
        scope["query_string"] = target.query or b""

    def _make_cycle(self, version: str) -> ResponseCycle:
        cycle = ResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and not self._shutting_down and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.render, cycle.https_headers, cycle.observer = self._render, self._https_headers, self._observer
        if self._observer is not None:
            cycle.request_id = self._observer.choose_id(self.scope, self._observed_headers)
        return cycle

    def on_chunk_header(self) -> None:
        """Reject many small chunks; the parser calls back for each."""
        self._chunks += 1
        is_small = (self._chunks - FREE_CHUNKS) * MIN_CHUNK_BYTES > self._held.body_size
        if is_small and not self.cycle.response_complete:
            raise ChunksTooSmall

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on, or discard it if the response is complete."""
        super().on_body(body)
        self._overhead = -self._received
        if self.cycle.response_complete:
            self._discard(len(body))
        elif not self._held.add(len(body)):
            raise Overloaded
        elif self._held.body_size > FREE_BYTES:
            self._throttle(len(body))

    def on_message_complete(self) -> None:
        """Finish the request, unless its head is about to be parsed again without its upgrade."""
        if self.phase is Phase.BODY:
            super().on_message_complete()
            self.phase, self._partial_since = Phase.IDLE, None

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, once the response is on its way to the client.

        Unlike uvicorn, resume reading only when the pipeline is empty.
        """
        if self.pipeline and self.flow.write_paused:
            self._is_deferred = True
            return
        if self.pipeline:
            self._running = cast("ResponseCycle", self.pipeline[-1][0])
            super().on_response_complete()
            if self.pipeline:
                self.flow.pause_reading()
            else:
                self._held.release_earlier()
            return
        self._held.release()
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._start_idle_timer(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for the whole time; uvicorn sets a timer for each request."""
        self.timeout_keep_alive_task = None
        if self.phase is Phase.HEAD or not self.cycle.response_complete:
            return  # The head's timer applies, or the application's limits.
        remaining = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._start_idle_timer(remaining)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """Leave the timer of an idle connection alone: it finds out whether a request has arrived."""

    def _start_idle_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def pause_writing(self) -> None:
        """Start the timer that disconnects a client that does not read the response in time."""
        super().pause_writing()
        self._budget.hold_response(self, self.transport.get_write_buffer_size())
        self._send_timer = self._send_timer or self.loop.call_later(self._limits.send_seconds, self._reset)

    def resume_writing(self) -> None:
        """Stop the timer: the kernel has accepted all data."""
        super().resume_writing()
        self._budget.release_response(self)
        self._cancel_send_timer()
        if self._is_deferred:
            self._is_deferred = False
            self.on_response_complete()

    @property
    def waiting_since(self) -> float | None:
        """When the connection began to wait for its client; None while it waits for the application."""
        if self._send_timer:
            return self._send_timer.when() - self._limits.send_seconds
        if self.transport.is_closing():
            return self._idle_since
        earlier = self._previous if self.phase is Phase.BODY else self.cycle
        if self.pipeline or (earlier and not earlier.response_complete):
            return None
        return self._idle_since if self._partial_since is None else self._partial_since

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for the next request."""
        return not self._send_timer and self._partial_since is None

    def evict(self) -> None:
        """Close the connection, which waits for its client, in favor of a new one."""
        if self._send_timer:
            self._reset()
            return
        if not (self.is_idle or self.transport.is_closing()):
            self._stop_reading(Overloaded())
        self.transport.close_now()  # type: ignore[attr-defined]  # it is a LingeringTransport.

    def disconnect(self) -> None:
        """Disconnect the client, which takes too long to read while memory is short."""
        self._reset()

    def shutdown(self) -> None:
        """Close the connection after the next response, or soon if the client sends no request.

        Closing an idle connection immediately would lose a request in transit.
        """
        self._shutting_down = True
        if self.cycle and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(IDLE_CLOSE_SECONDS, super().shutdown)

    def _is_receiving(self) -> bool:
        """Return whether part of a request is still to arrive."""
        return self.phase is not Phase.IDLE

    def _parse(self, data: bytes) -> None:
        """Parse; a head that asks for another protocol is parsed again without that header (RFC 9110, 7.8).

        The parser assumes that no body follows such a head, and would take the body for the next request.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            version = self.parser.get_http_version().encode()
            lines = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            request_line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._parse(b"\r\n".join([request_line, *lines, b"\r\n"]) + data[upgrade.args[0] :])

    def _discard(self, size: int) -> None:
        """Close the connection of a client that goes on sending a request after the response to it."""
        self._discarded += size
        if self._discarded > DISCARDED_BYTES:
            self._reset()
        else:
            self._throttle(size)

    def _throttle(self, size: int) -> None:
        """Leave time for other connections after bytes of a large body."""
        if delay := self._rate.delay(size, self.loop.time()):
            self.transport.throttle(delay)  # type: ignore[attr-defined]  # it is a LingeringTransport.

    def _check_limits(self) -> None:
        """Limit the size of a head and of everything around chunks, and start the timer of a head."""
        if self.phase is not Phase.IDLE:
            if self._partial_since is None:
                self._partial_since = self.loop.time()
            arrived = max(0, self._first_received + self._overhead + self._received)
            if self.phase is Phase.HEAD and not self._held.hold_head(
                arrived + HEADER_BYTES * len(self.headers)
            ):
                raise Overloaded
            self._overhead += self._received
            if self._overhead > self._limits.head_bytes:
                raise HeadTooLarge(self._limits.head_bytes)
        if self.phase is Phase.HEAD and not self._head_timer:
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self._on_head_timeout)

    def _on_head_timeout(self) -> None:
        is_late = self.phase is Phase.HEAD
        self._stop_reading(HeadTimeout(self._limits.head_seconds) if is_late else None)

    def _cancel_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _cancel_send_timer(self) -> None:
        if self._send_timer:
            self._send_timer.cancel()
            self._send_timer = None

    def _reset(self) -> None:
        """Reset the connection: after a close the kernel would keep data that the client does not read."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.transport.abort()

    def _stop_reading(self, failure: RequestFailure | None) -> bool:
        """Ignore further data; return whether earlier requests run, the last of which closes the connection.

        If none does, send the failure and close. A request with an incomplete body gets no second response.
        """
        self._cancel_head_timer()
        self._held.hold_head(0)
        self.headers = []
        self.parser = None  # type: ignore[assignment]  # as uvicorn does when the connection is lost.
        last: RequestResponseCycle | None = self.cycle
        if self.phase is Phase.BODY:
            failure = None if self.cycle.response_started else failure
            self._disconnect_cycle(self.cycle)
            last = self._previous
        if last and not last.response_complete:
            last.keep_alive = False
            return True
        if failure:
            self._send_failure(failure)
        self.transport.close()
        return False

    def _disconnect_cycle(self, cycle: RequestResponseCycle) -> None:
        """Report the disconnection to the application; drop a request that still waits in the pipeline."""
        cycle.disconnected, cycle.body = True, bytearray()
        cycle.message_event.set()
        self._held.release_last()
        self.pipeline = type(self.pipeline)(waiting for waiting in self.pipeline if waiting[0] is not cycle)

    def _send_failure(self, failure: RequestFailure) -> None:
        body, rendered = self._render(failure.status, failure.message)
        # Each head begins a scope; what a proxy reports of the scheme is in it once the application runs.
        of_scheme = self._https_headers if self.scope["scheme"] == "https" else ()
        headers = [
            *self.server_state.default_headers,
            *of_scheme,
            *failure.headers,
            *rendered,
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        head = STATUS_LINE[failure.status] + self._report_failure(failure, len(body)) + lines
        self.transport.write(head + b"\r\n" + body)

    def _report_failure(self, failure: RequestFailure, body_bytes: int) -> bytes:
        """Report the request to the observer; return the header line with the id of the request."""
        if self._observer is None:
            return b""
        if self.phase is Phase.BODY and self._running is not None:
            self._running.reject(failure.status, body_bytes)
            return b"x-request-id: %b\r\n" % self._running.request_id
        request_id = self._observer.reject(self._observed_headers, failure.status, body_bytes)
        return b"x-request-id: %b\r\n" % request_id


def _find_failure(error: Exception) -> RequestFailure:
    """Return the failure that a callback of the parser raised, or that of invalid bytes."""
    failure = error if isinstance(error, RequestFailure) else error.__context__
    return failure if isinstance(failure, RequestFailure) else InvalidRequest()
