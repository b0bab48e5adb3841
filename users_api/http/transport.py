"""How answers leave: a head along with its body, and an end that loses none of them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

LINGER_SECONDS: Final = 5


class LingeringTransport:
    """A transport that, when it is closed amid a request, first ends its own half and listens on for a moment.

    Otherwise a caller who still sends would lose the answer to the reset of the connection (RFC 9112, 9.6).
    The head of an answer it sends along with the body: that wakes the caller, and the kernel, once in place of twice.
    """

    def __init__(self, transport: asyncio.Transport, protocol: HttpToolsProtocol, is_amid_request: Callable[[], bool]) -> None:
        """Wrap the transport that the event loop has made; the protocol knows whether the caller is amid a request."""
        self._transport, self._protocol, self._is_amid_request = transport, protocol, is_amid_request
        self._closing = False
        self._head, self._answering = b"", protocol.cycle

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data, but keep the head of an answer back for a moment."""
        cycle: RequestResponseCycle = self._protocol.cycle
        if cycle is not self._answering and cycle.response_started:
            self._head, self._answering = data, cycle
        elif not self._transport.is_closing():  # Of several requests on a connection uvicorn tells only the last that it is lost.
            self._transport.write(self._head + data)
            self._head = b""

    def flush(self) -> None:
        """Send a head that no body has followed."""
        if self._head:
            self.write(b"")

    def is_closing(self) -> bool:
        """Return whether nothing more is to be sent."""
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        """End the connection: at once between two requests, amid one after a moment."""
        if self.is_closing():
            return
        self.flush()
        self._closing = True
        if self._is_amid_request() and self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._protocol.loop.call_later(LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()
