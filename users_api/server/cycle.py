"""A request and its response: uvicorn's cycle, which here sends the head along with the body."""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from users_api.server.failures import APPLICATION_FAILED_MESSAGE, Headers, Render
from users_api.server.observer import CLAIMS, DISCONNECTED, OPERATION, Observer

NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
VALUE: Final = re.compile(rb"[^\0-\x08\n-\x1f\x7f]*")
CACHED_BYTES: Final = 64
FRAMING_NAMES: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
BODILESS_STATUSES: Final = frozenset({204, 304})
START: Final = "http.response.start"
BODY: Final = "http.response.body"
NOTHING: Final = "nothing more"
CLOSE_LINE: Final = b"connection: close\r\n"
CHUNKED_LINE: Final = b"transfer-encoding: chunked\r\n"
END: Final = b"\r\n"


def header_line(name: bytes, value: bytes) -> tuple[bytes, bytes | None]:
    """Return the line of a header, and its name in lower case if it affects framing or keep-alive.

    Raises:
        RuntimeError: the name or the value is invalid (RFC 9110, 5.1 and 5.5).
    """
    name = name.lower()
    if not (NAME.fullmatch(name) and VALUE.fullmatch(value)):
        message = f"The application sent an invalid header: {name!r}: {value!r}"
        raise RuntimeError(message)
    return b"%s: %s\r\n" % (name, value), name if name in FRAMING_NAMES else None


cached_header_line: Final = lru_cache(maxsize=512)(header_line)


class ResponseCycle(RequestResponseCycle):
    """Sends the head and the first piece of the body in one write, and caches the lines of headers.

    One write is one system call, and one wake-up of the client. Until then the application may still fail:
    the client gets 500, and to uvicorn the response has not started.
    """

    render: Render
    """Renders that 500."""
    https_headers: Headers
    """The headers of a response to a request that arrived over HTTPS."""
    observer: Observer | None
    """Gets a report of each request."""
    request_id: bytes
    """The id that the observer has given to the request."""
    _status = 0
    _body_bytes = 0
    _is_rejected = False
    _unsent_head = b""
    _last_lines = END
    _announces_close = False
    _expected_type = START

    async def run_asgi(self, app: Any) -> None:
        """Run the application, and report the request to the observer when the application has returned."""
        observer, start = self.observer, perf_counter_ns()
        if observer is not None:
            observer.begin(self.request_id)
        try:
            await app(self.scope, self.receive, self.send)
            if not (self.response_complete or self.disconnected):
                self.logger.error("The application returned without completing a response")
                await self._fail()
        except BaseException:
            self.logger.exception("Exception in ASGI application")
            await self._fail()
        finally:
            self.on_response = _do_nothing
            if observer is not None:
                status = self._status if self.response_started or self._is_rejected else DISCONNECTED
                scope, end = self.scope, perf_counter_ns()
                observer.end(
                    (
                        self.request_id,
                        scope.get(OPERATION),
                        scope["method"],
                        scope["scheme"],
                        status,
                        self._body_bytes,
                        start,
                        end,
                        scope.get(CLAIMS),
                    )
                )

    async def _fail(self) -> None:
        """Respond with 500, or close the connection if the response has started."""
        if self.response_started:
            self.transport.close()
        else:
            await self.send_500_response()

    def reject(self, status: int, body_bytes: int) -> None:
        """Report this status, which the server has sent, although the application still runs."""
        self._status, self._body_bytes, self._is_rejected = status, body_bytes, True

    async def send(self, message: Any) -> None:
        """Send a part of the response.

        Raises:
            RuntimeError: ASGI does not allow the message, or not now.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        message_type, expected_type = message["type"], self._expected_type
        if message_type != expected_type:
            problem = f"The application sent {message_type}, but {expected_type} was expected"
            raise RuntimeError(problem)
        self._expected_type = NOTHING  # After an error.
        if message_type == START:
            self._start(message["status"], message.get("headers", ()))
        else:
            self._send_body(message.get("body", b""), more_body=message.get("more_body", False))

    async def send_500_response(self) -> None:
        """Respond to a request whose application failed before the body of its response."""
        self._unsent_head, self._last_lines, self._expected_type = b"", END, START
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        body, rendered = self.render(status, APPLICATION_FAILED_MESSAGE)
        headers = [*rendered, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await self.send({"type": START, "status": status, "headers": headers})
        await self.send({"type": BODY, "body": body})

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the head until the body begins."""
        lines, length, is_chunked, announces_close = [STATUS_LINE[status]], None, False, False
        if self.observer is not None:
            lines.append(b"x-request-id: %b\r\n" % self.request_id)
        # uvicorn's ProxyHeadersMiddleware changes the scheme in this scope.
        of_scheme = self.https_headers if self.scope["scheme"] == "https" else ()
        for name, value in (*self.default_headers, *of_scheme, *headers):
            is_short = len(value) <= CACHED_BYTES
            line, framing = cached_header_line(name, value) if is_short else header_line(name, value)
            lines.append(line)
            if framing is None:
                continue
            if framing == b"content-length":
                length = int(value) if length is None else length
            elif framing == b"transfer-encoding":
                is_chunked = is_chunked or value.lower() == b"chunked"
            else:
                tokens = [token.strip() for token in value.lower().split(b",")]
                announces_close = announces_close or b"close" in tokens
        has_body = self.scope["method"] != "HEAD" and status not in BODILESS_STATUSES
        if has_body and length is None and not is_chunked:
            is_chunked, self._last_lines = True, CHUNKED_LINE + END
        self.chunked_encoding = is_chunked and has_body
        self.expected_content_length = length if length and has_body and not is_chunked else 0
        self._announces_close, self.keep_alive = announces_close, self.keep_alive and not announces_close
        self._unsent_head, self._status, self._expected_type = b"".join(lines), status, BODY

    def _send_body(self, body: bytes, *, more_body: bool) -> None:
        """Send a piece of the body, after the head if it is the first one."""
        self._body_bytes += len(body)
        if self.scope["method"] == "HEAD":
            body, self._body_bytes = b"", 0
        elif self.chunked_encoding:
            end = b"" if more_body else b"0\r\n\r\n"
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        elif more_body or self.expected_content_length != len(body):
            self._count(len(body), more_body=more_body)
        if not self.response_started:
            body = self._take_head() + body
        self.transport.write(body)
        if more_body:
            self._expected_type = BODY
            return
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _count(self, size: int, *, more_body: bool) -> None:
        """Compare Content-Length with a body that has several pieces or another length."""
        missing = self.expected_content_length - size
        if missing < 0 or (missing and not more_body):
            problem = (
                f"The application's body is {'longer' if missing < 0 else 'shorter'} than Content-Length"
            )
            raise RuntimeError(problem)
        self.expected_content_length = missing

    def _take_head(self) -> bytes:
        """Return the head, which is sent now."""
        if self.access_log:
            self._log()
        self.response_started, self.waiting_for_100_continue = True, False
        head, self._unsent_head = self._unsent_head, b""
        if not (self.keep_alive or self._announces_close):
            head += CLOSE_LINE
        return head + self._last_lines

    def _log(self) -> None:
        client, target = get_client_addr(self.scope), get_path_with_query_string(self.scope)
        method, version = self.scope["method"], self.scope["http_version"]
        self.access_logger.info('%s - "%s %s HTTP/%s" %d', client, method, target, version, self._status)


def _do_nothing() -> None:
    """Start no other request."""
