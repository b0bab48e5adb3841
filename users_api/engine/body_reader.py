"""Reads a whole request body within limits of size and time."""

import asyncio
from collections.abc import Mapping
from typing import Final

from connexion.exceptions import ClientProblem
from starlette.types import Message, Receive

from users_api.engine.coroutines import resume

MAX_LENGTH_DIGITS: Final = 20
Headers = Mapping[bytes, bytes]


class BodyTooLarge(ClientProblem):
    """The body exceeds the limit; the rest is not read, so the connection closes."""

    def __init__(self, limit: int) -> None:
        """Name the limit, in bytes."""
        detail = f"The request body must not be larger than {_format_size(limit)}."
        super().__init__(413, "Content Too Large", detail=detail)
        self.headers = {"Connection": "close"}


class BodyTimeout(ClientProblem):
    """The body did not arrive in time; the connection closes."""

    def __init__(self, seconds: float) -> None:
        """Name the limit."""
        super().__init__(
            408, "Request Timeout", detail=f"The request body did not arrive within {seconds:g} seconds."
        )
        self.headers = {"Connection": "close"}


class ClientDisconnected(Exception):  # noqa: N818 -- not an error: there is no client to respond to.
    """The client closed the connection before the body was complete."""


class BodyReader:
    """Reads bodies within a size limit in bytes and a time limit in seconds; None means no limit."""

    def __init__(self, limit: int | None, seconds: float | None) -> None:
        """Store the limits."""
        self._limit, self._seconds = limit, seconds

    @staticmethod
    def is_bodiless(headers: Headers) -> bool:
        """Return whether no header announces a body (RFC 9112, 6.3)."""
        return b"content-length" not in headers and b"transfer-encoding" not in headers

    async def read(self, headers: Headers, receive: Receive) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: its Content-Length or, if chunked, the received size exceeds the limit.
            BodyTimeout: it did not arrive in time.
            ClientDisconnected: the client disconnected before the body was complete.
        """
        length = headers.get(b"content-length", b"0")
        # Servers reject any other length before this.
        if b"transfer-encoding" not in headers and length.isdigit():
            announced = int(length.lstrip(b"0")[:MAX_LENGTH_DIGITS] or b"0")
            if self._limit is not None and announced > self._limit:
                raise BodyTooLarge(self._limit)
            if not announced:
                return b""
        receiving = self._receive(receive)
        try:
            waits_for = receiving.send(None)
        except StopIteration as end:  # The body had arrived, so that no timer is needed.
            body: bytes = end.value
            return body
        try:
            async with asyncio.timeout(self._seconds):
                body = await resume(receiving, waits_for)
        except TimeoutError:
            raise BodyTimeout(self._seconds or 0) from None
        return body

    async def _receive(self, receive: Receive) -> bytes:
        received = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            piece: bytes = message.get("body", b"")
            if self._limit is not None and len(received) + len(piece) > self._limit:
                raise BodyTooLarge(self._limit)
            if not (received or message.get("more_body", False)):
                return piece
            received += piece
            if not message.get("more_body", False):
                return bytes(received)


def _format_size(size: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a receive channel that sends the body in one message, then the original channel's messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
