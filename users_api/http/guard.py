"""The gate before Connexion: path, method, size, arrival and media type, where stock Connexion answers 500 or has no limit."""

import asyncio
import re
from typing import Any, Final

from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
from connexion.spec import Specification
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from users_api.errors import BodyTimeout, BodyTooLarge, UnsupportedMediaType
from users_api.http.routing import Paths

JSON: Final = re.compile(rb'application/json[ \t]*+(;[ \t]*+(charset=(utf-?8|"utf-?8")[ \t]*+)?)*+', re.IGNORECASE)


class Guard(SpecMiddleware):
    """Lets a request through only if the document has its path and method; its body comes whole, bounded and typed.

    It stands in the place of Connexion's RoutingMiddleware and tells the others, as that one does, which operation it is.

    Raises:
        Failed: one of its subclasses names what is wrong; the exception middleware outside answers it.
    """

    def __init__(self, app: ASGIApp, body_limit: int, body_seconds: float) -> None:
        """Stand before the application, with the size that a body may have and the time that it may take."""
        self.app = app
        self._limits = body_limit, body_seconds

    def add_api(self, specification: Specification, **options: Any) -> None:
        """Take the document's paths."""
        self._paths = Paths(specification, next_app=self.app, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then pass it on with its operation, its arguments so far and its body in one message."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        operation, scope["arguments"] = self._paths.find(scope)
        headers = dict(scope["headers"])
        body = await _read(headers, receive, *self._limits)
        if body is None:
            return
        if operation.takes_body and (body or b"content-type" in headers):
            _check_media_type(scope)
        scope.setdefault("extensions", {})[ROUTING_CONTEXT] = operation.routing
        await self.app(scope, _replay(body, receive) if operation.takes_body else receive, send)


async def _read(headers: dict[bytes, bytes], receive: Receive, limit: int, seconds: float) -> bytes | None:
    """Return the whole body, or None when the caller is gone.

    Raises:
        BodyTooLarge: it is over the limit by its Content-Length or, chunked, by what arrived.
        BodyTimeout: it did not arrive in time.
    """
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" not in headers and length.isdigit():  # Another length says nothing; servers refuse it before this.
        announced = int(length.lstrip(b"0")[:20] or b"0")
        if announced > limit:
            raise BodyTooLarge(limit)
        if not announced:
            return b""
    try:
        async with asyncio.timeout(seconds):
            return await _receive(receive, limit)
    except TimeoutError:
        raise BodyTimeout(seconds) from None


async def _receive(receive: Receive, limit: int) -> bytes | None:
    chunks = bytearray()
    more_body = True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks += message.get("body", b"")
        more_body = message.get("more_body", False)
        if len(chunks) > limit:
            raise BodyTooLarge(limit)
    return bytes(chunks)


def _check_media_type(scope: Scope) -> None:
    """Raise UnsupportedMediaType unless the body is JSON in UTF-8, not compressed, and says so once."""
    media_types = [value for name, value in scope["headers"] if name == b"content-type"]
    codings = [value for name, value in scope["headers"] if name == b"content-encoding"]
    if len(media_types) != 1 or not JSON.fullmatch(media_types[0]) or any(codings):
        raise UnsupportedMediaType


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body in one message, then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
