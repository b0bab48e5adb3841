"""The body of a request, read whole, within bounds of size and time."""

import asyncio
from typing import Final

from connexion.exceptions import ClientProblem
from starlette.types import Message, Receive, Scope

LARGEST_NUMBER: Final = 20


class BodyTooLarge(ClientProblem):
    """The body exceeds the limit; the rest is not read, so the connection closes."""

    def __init__(self, limit: int) -> None:
        """Keep the limit, in bytes."""
        super().__init__(413, "Content Too Large", detail=f"The request body must not be larger than {limit} bytes.")
        self.limit = limit
        self.headers = {"Connection": "close"}


class BodyTimeout(ClientProblem):
    """The body did not arrive in time; the connection closes."""

    def __init__(self, seconds: float) -> None:
        """Keep the time, in seconds."""
        super().__init__(408, "Request Timeout", detail=f"The request body did not arrive within {seconds:g} seconds.")
        self.seconds = seconds
        self.headers = {"Connection": "close"}


class ClientDisconnected(Exception):  # noqa: N818 -- it is no error: there is just no client to answer.
    """The client closed the connection before the body was complete."""


class Reader:
    """Reads bodies of at most so many bytes that arrive within so many seconds; None means no bound."""

    def __init__(self, limit: int | None, seconds: float | None) -> None:
        """Take the bounds."""
        self._limit, self._seconds = limit, seconds

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: it exceeds the limit by its Content-Length or, chunked, by what has arrived.
            BodyTimeout: it did not arrive in time.
            ClientDisconnected: it will never be complete.
        """
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" not in headers and length.isdigit():  # Servers reject any other length before this.
            announced = int(length.lstrip(b"0")[:LARGEST_NUMBER] or b"0")
            if self._limit is not None and announced > self._limit:
                raise BodyTooLarge(self._limit)
            if not announced:
                return b""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._receive(receive)
        except TimeoutError:
            raise BodyTimeout(self._seconds or 0) from None

    async def _receive(self, receive: Receive) -> bytes:
        chunks = bytearray()
        more_body = True
        while more_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            chunks += message.get("body", b"")
            more_body = message.get("more_body", False)
            if self._limit is not None and len(chunks) > self._limit:
                raise BodyTooLarge(self._limit)
        return bytes(chunks)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body in one message, then whatever comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
