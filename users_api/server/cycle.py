"""A request and its response: uvicorn's cycle, which here sends a response in fewer steps."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

HEADER_LINE: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+: [^\0-\x08\n-\x1f\x7f]*\r\n")
CACHED_BYTES: Final = 64
START: Final = "http.response.start"
BODY: Final = "http.response.body"
BODILESS_STATUSES: Final = frozenset({204, 304})
FRAMING_NAMES: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
LIST_SEPARATOR: Final = re.compile(rb"[ \t]*,[ \t]*")


def header_line(name: bytes, value: bytes) -> tuple[bytes, bytes | None]:
    """Return the line of a header, and its name if it determines where the response ends.

    Raises:
        RuntimeError: the line would be no header, or more than one (RFC 9110, 5.1 and 5.5).
    """
    name = name.lower()
    line = b"%s: %s\r\n" % (name, value)
    if not HEADER_LINE.fullmatch(line):
        message = f"The application sent an invalid header: {line!r}"
        raise RuntimeError(message)
    return line, name if name in FRAMING_NAMES else None


cached_header_line: Final = lru_cache(maxsize=512)(header_line)


class Cycle(RequestResponseCycle):
    """Sends the head with the first piece of the body, and does not check the same header again and again.

    One write is one system call, and one wake-up of the client. uvicorn writes the head by itself, and
    searches every header of every response for invalid characters.
    """

    _head = b""  # The head of a response whose body has not begun.
    _status = 0
    _due = START

    async def send(self, message: Any) -> None:
        """Send a part of the response; nothing reaches the client before the first piece of the body.

        Raises:
            RuntimeError: ASGI does not allow the message, or not now.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind, due = message["type"], self._due
        if kind != due:
            problem = f"The application sent {kind}, but {due} was due"
            raise RuntimeError(problem)
        if kind == START:
            self._start(message["status"], message.get("headers", ()))
        else:
            self._send_body(message.get("body", b""), more_body=message.get("more_body", False))

    async def send_500_response(self) -> None:
        """Respond to a request whose application raised before the body of its response."""
        self._head, self._due, self.chunked_encoding = b"", START, None
        await super().send_500_response()

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the head until the body begins."""
        lines, announces_close = [STATUS_LINE[status]], False
        for name, value in (*self.default_headers, *headers):
            is_short = len(value) <= CACHED_BYTES
            line, framing = cached_header_line(name, value) if is_short else header_line(name, value)
            lines.append(line)
            if framing == b"content-length" and self.chunked_encoding is None:
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif framing == b"transfer-encoding" and value.lower() == b"chunked":
                self.chunked_encoding, self.expected_content_length = True, 0
            elif framing == b"connection":
                announces_close = announces_close or b"close" in LIST_SEPARATOR.split(value.lower())
        self.keep_alive = self.keep_alive and not announces_close
        if not (self.keep_alive or announces_close):
            lines.append(b"connection: close\r\n")
        has_body = self.scope["method"] != "HEAD" and status not in BODILESS_STATUSES
        if has_body and self.chunked_encoding is None:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head, self._status = b"".join(lines), status
        self._due, self.waiting_for_100_continue = BODY, False

    def _send_body(self, body: bytes, *, more_body: bool) -> None:
        """Send a piece of the body, after the head if it is the first one."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk if more_body else chunk + b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
        missing = self.expected_content_length
        if missing < 0 or (missing and not more_body):
            problem = "The application's body is shorter or longer than its Content-Length"
            raise RuntimeError(problem)
        if self.access_log and not self.response_started:
            self._log()
        self.response_started = True
        self.transport.write(self._head + body)
        self._head = b""
        if not more_body:
            self.response_complete, self._due = True, "nothing"
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _log(self) -> None:
        client, target = get_client_addr(self.scope), get_path_with_query_string(self.scope)
        method, version = self.scope["method"], self.scope["http_version"]
        self.access_logger.info('%s - "%s %s HTTP/%s" %d', client, method, target, version, self._status)
