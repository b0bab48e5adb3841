"""HTTP/1.1 as uvicorn speaks it, with what uvicorn leaves open: bounds, and the envelope for what is no request."""

import asyncio
import socket
import struct
from enum import Enum, auto
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from users_api.errors import Failed, HeadTimeout, HeadTooLarge, NotHTTP, envelope
from users_api.http.transport import LingeringTransport

LEAVE_SECONDS: Final = 1
MOST_WAITING: Final = 100


class Part(Enum):
    """Which part of a request comes next."""

    BREAK = auto()
    HEAD = auto()
    BODY = auto()


class Protocol(HttpToolsProtocol):
    """One connection; what cannot be read as HTTP is answered in the envelope too, and ends it."""

    largest_head = 64 * 1024
    head_seconds: float = 10
    send_seconds: float = 20

    part = Part.BREAK
    _size = 0
    _chunk = 0
    _deadline: asyncio.TimerHandle | None = None
    _send_deadline: asyncio.TimerHandle | None = None
    _leaving = False
    _previous: RequestResponseCycle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(LingeringTransport(transport, self, self._is_amid))  # type: ignore[arg-type]  # it stands in for one.
        self._deadline = self.loop.call_later(self.head_seconds, self._late)
        transport.set_write_buffer_limits(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._sent()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; behind the last request nothing is read."""
        if self.transport.is_closing() or self.parser is None:
            return
        self._chunk = len(data)
        try:
            self._feed(data)
            self._bound()
        except (HttpParserError, HeadTooLarge) as error:
            refusal = error if isinstance(error, Failed) else error.__context__
            self._end(refusal if isinstance(refusal, Failed) else NotHTTP())

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps its half open.
        """Let a caller who has only closed his half of the connection have the answers that are due."""
        return self._end(None)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self.part, self._size = Part.HEAD, -self._chunk

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but no trailer: behind the body it could gainsay what has been checked (RFC 9110, 6.5.1)."""
        if self.part is Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large or no HTTP/1.1, which has exactly one Host (RFC 9112, 3.2); else begin to answer.

        Of the transfer codings only chunked is known; the parser would hand on what another one has made (RFC 9112, 6.1).
        """
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.largest_head:
            raise HeadTooLarge(self.largest_head)
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        coded = any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in self.headers)
        if version not in {"1.0", "1.1"} or (version == "1.1" and hosts != 1) or coded or self.parser.get_method() == b"CONNECT":
            raise NotHTTP
        if len(self.pipeline) >= MOST_WAITING:
            raise NotHTTP  # The answers that are due come first, and the last of them ends the connection.
        if not self.parser.should_upgrade():
            previous = self.cycle
            super().on_headers_complete()
            self.cycle.keep_alive = self.cycle.keep_alive and not self._leaving
            self._previous, self.part = previous, Part.BODY
            self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        super().on_body(body)
        self._size = -self._chunk

    def on_message_complete(self) -> None:
        """Note that the request is whole, unless its head is to be read once more."""
        if self.part is Part.BODY:
            super().on_message_complete()
            self.part = Part.BREAK

    def on_response_complete(self) -> None:
        """Send what is left of the answer, and go on; read on only when no request waits, which uvicorn does at once."""
        self.transport.flush()  # type: ignore[attr-defined]  # it is the one above.
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        """Give a caller who does not read what is ready for him a while, then drop him."""
        super().pause_writing()
        self._send_deadline = self._send_deadline or self.loop.call_later(self.send_seconds, self._drop)

    def resume_writing(self) -> None:
        """Note that the caller, or the system for him, has taken everything."""
        super().resume_writing()
        self._sent()

    def shutdown(self) -> None:
        """Announce the end with the next answer; a caller who asks nothing more is left after a moment.

        Closed at once, an idle connection would swallow a request that is on its way.
        """
        self._leaving = True
        if self.cycle and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(LEAVE_SECONDS, super().shutdown)

    def _is_amid(self) -> bool:
        """Return whether a request has begun that has not yet come whole."""
        return self.part is not Part.BREAK

    def _drop(self) -> None:
        """Reset the connection: after a mere end the system would keep what the caller does not take."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _sent(self) -> None:
        if self._send_deadline:
            self._send_deadline.cancel()
            self._send_deadline = None

    def _feed(self, data: bytes) -> None:
        """Parse; a head that asks for another protocol is read again as if it did not (RFC 9110, 7.8).

        The parser believes that no body follows such a head, and would take the body for the next request.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            version = self.parser.get_http_version().encode()
            lines = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
            head = b"\r\n".join([b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version), *lines, b"\r\n"])
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self._feed(head + data[upgrade.args[0] :])

    def _bound(self) -> None:
        """Bound what is no body: the size of a head and of all that may stand around chunks, and the time that a head has."""
        if self.part is not Part.BREAK:
            self._size += self._chunk
            if self._size > self.largest_head:
                raise HeadTooLarge(self.largest_head)
        if self.part is Part.HEAD:
            self._deadline = self._deadline or self.loop.call_later(self.head_seconds, self._late)

    def _late(self) -> None:
        self._end(HeadTimeout(self.head_seconds) if self.part is Part.HEAD else None)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, failure: Failed | None) -> bool:
        """Read no more; return whether earlier requests are still being answered: the last of those answers ends the connection.

        If there is none, answer the failure and end it now. A request that broke off in its body is not answered otherwise.
        """
        self._stop_waiting()
        self.parser = None  # type: ignore[assignment]  # uvicorn does the same when the connection is lost.
        last: RequestResponseCycle | None = self.cycle
        if self.part is Part.BODY:
            failure = None if self.cycle.response_started else failure
            self._abandon(self.cycle)
            last = self._previous
        if last and not last.response_complete:
            last.keep_alive = False
            return True
        if failure:
            self._send(failure)
        self.transport.close()
        return False

    def _abandon(self, cycle: RequestResponseCycle) -> None:
        """Let the application know that the caller is gone; a request that waits its turn is never begun."""
        cycle.disconnected = True
        cycle.message_event.set()
        self.pipeline = type(self.pipeline)(waiting for waiting in self.pipeline if waiting[0] is not cycle)

    def _send(self, failure: Failed) -> None:
        body = envelope(failure.status, failure.message)
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[failure.status] + lines + b"\r\n" + body)
