"""ASGI middleware that checks sampled responses against the document, after they have been sent.

Most requests cost one comparison: only the response of a sampled one is recorded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.engine.operation import Operation
from users_api.engine.responses import RawHeaders
from users_api.engine.sampling import sample_gaps
from users_api.engine.violations import Violation

MAX_BODY_BYTES: Final = 256 * 1024
"""The bodies of larger responses are not checked: 256 KiB of JSON take about 2 ms, at worst 10 ms."""
MAX_BATCH: Final = 16
BATCH_BYTES: Final = 64 * 1024
"""As soon as the waiting bodies are larger together, they are checked."""
WAIT_SECONDS: Final = 0.1
START: Final = "http.response.start"
BODY: Final = "http.response.body"
OnViolation = Callable[[str, int, list[Violation]], None]

logger = logging.getLogger(__name__)


class RecordedResponse:
    """The `send` of a sampled request: passes everything on, and calls `finish` after the last piece."""

    __slots__ = ("_chunks", "_finish", "_send", "headers", "scope", "size", "status")

    def __init__(self, scope: Scope, send: Send, finish: Callable[["RecordedResponse"], Any]) -> None:
        """Start without a response."""
        self.scope, self._send, self._finish = scope, send, finish
        self.status, self.headers = 0, RawHeaders()
        self._chunks, self.size = list[bytes](), 0

    def __call__(self, message: Message) -> Awaitable[None]:
        """Send the message, and record it."""
        if message["type"] == BODY:
            self._record(message.get("body", b""))
            return self._send(message) if message.get("more_body") else self._send_last(message)
        if message["type"] == START:
            self.status, self.headers = message["status"], message.get("headers", [])
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        self._finish(self)

    def _record(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size <= MAX_BODY_BYTES:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    @property
    def body(self) -> bytes | None:
        """The body, or None if it is too large, or compressed."""
        is_coded = any(name == b"content-encoding" for name, _ in self.headers)
        return None if is_coded or self.size > MAX_BODY_BYTES else b"".join(self._chunks)


class ResponseChecks:
    """Wraps the whole application, so that the responses of the program's middleware are checked too.

    The event loop calls the check after the response has been handed to the server, so no client waits for
    it. A check alone takes several times as long as one of many, because its code and its data have left the
    processor's caches. Therefore rare ones wait for each other, but not for long: see `WAIT_SECONDS`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate: float,
        find_operations: Callable[[Scope, int], Iterable[Operation]],
        on_violation: OnViolation,
    ) -> None:
        """Check this share of the responses, above 0 and up to 1.

        `find_operations` returns the operations that document a response of this status to the request.
        """
        self._app, self._find_operations, self._on_violation = app, find_operations, on_violation
        self._gaps = sample_gaps(rate)
        self._next = next(self._gaps)
        self._batch = min(MAX_BATCH, int(1 / rate))
        self._waiting, self._bytes = list[RecordedResponse](), 0

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the application."""
        self._next -= 1
        if self._next:
            return self._app(scope, receive, send)
        self._next = next(self._gaps)
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        return self._app(scope, receive, RecordedResponse(scope, send, self._check_later))

    def _check_later(self, response: RecordedResponse) -> None:
        self._waiting.append(response)
        self._bytes += response.size
        if len(self._waiting) >= self._batch or self._bytes > BATCH_BYTES:
            asyncio.get_running_loop().call_soon(self._check_waiting)
        elif len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(WAIT_SECONDS, self._check_waiting)

    def _check_waiting(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for response in waiting:
            self._check(response)

    def _check(self, response: RecordedResponse) -> None:
        is_head, body = response.scope["method"] == "HEAD", response.body
        for operation in self._find_operations(response.scope, response.status):
            found = operation.responses.violations(response.status, response.headers, body, head=is_head)
            if found:
                self._on_violation(operation.metric_name, response.status, found)


def describe(violations: Iterable[Violation]) -> str:
    """Return the violations as text: pointers and keywords, which contain no data of the response."""
    return ", ".join(f"{pointer} ({keyword})" for pointer, keyword in violations)


def log_violations(operation: str, status: int, violations: list[Violation]) -> None:
    """Log the violations of a response."""
    logger.error("%s returned %d, which violates the document at %s", operation, status, describe(violations))
