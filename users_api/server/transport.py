"""A transport that sends a response's head along with its body, and closes without losing either."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

LINGER_SECONDS: Final = 5


class HttpProtocol(Protocol):
    """What the transport reads from the HTTP protocol: its event loop and current cycle."""

    loop: asyncio.AbstractEventLoop
    cycle: Any


class LostProtocol:
    """Stands in for the protocol of a connection that is lost."""

    cycle = None


LOST: Final[Any] = LostProtocol()


class LingeringTransport:
    """Wraps the event loop's transport; everything that it does not define is passed through.

    A transport that closes while the client is still sending a request first closes its own half and reads on
    for a moment. Otherwise the kernel resets the connection, and the response is lost (RFC 9112, 9.6).

    The head of a response waits for the body's first piece: one system call, and one wake-up of the client.
    """

    def __init__(
        self, transport: asyncio.Transport, protocol: HttpProtocol, is_receiving: Callable[[], bool]
    ) -> None:
        """Wrap a transport; `is_receiving` returns whether part of a request is still to arrive."""
        self._transport, self._protocol, self._is_receiving = transport, protocol, is_receiving
        self._closing = False
        self._is_paused, self._throttle_timer = False, cast("asyncio.TimerHandle | None", None)
        self._head, self._responding_cycle = b"", protocol.cycle

    def __getattr__(self, name: str) -> Any:
        """Return the wrapped transport's attribute."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data, or keep it until the next call if it is the head of a response."""
        cycle = self._protocol.cycle
        if cycle is not self._responding_cycle and cycle.response_started:
            self._head, self._responding_cycle = data, cycle
        elif not self._transport.is_closing():  # uvicorn marks only the last of several cycles as lost.
            self._transport.write(self._head + data)
            self._head = b""

    def flush(self) -> None:
        """Send a head that no body has followed."""
        if self._head:
            self.write(b"")

    def is_closing(self) -> bool:
        """Return whether the connection is closed or no longer accepts responses."""
        return self._closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read no more until `resume_reading`."""
        self._is_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, once the time of `throttle` is over."""
        self._is_paused = False
        if self._throttle_timer is None:
            self._transport.resume_reading()

    def throttle(self, seconds: float) -> None:
        """Read nothing for some seconds."""
        if self._throttle_timer is None:
            self._transport.pause_reading()
            self._throttle_timer = self._protocol.loop.call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._throttle_timer = None
        if not self._is_paused:
            self._transport.resume_reading()

    def connection_lost(self) -> None:
        """Release the protocol, so that both are freed at once instead of by the garbage collector."""
        if self._throttle_timer is not None:
            self._throttle_timer.cancel()
        self._responding_cycle, self._protocol = None, LOST
        del self._is_receiving

    def close_now(self) -> None:
        """Close the connection without waiting for the rest of a request; the response may be lost."""
        self._transport.close()

    def close(self) -> None:
        """Close the connection: at once between requests, after `LINGER_SECONDS` while one is arriving."""
        if self.is_closing():
            return
        self.flush()
        self._closing = True
        if self._is_receiving() and self._transport.can_write_eof():
            self._transport.write_eof()
            self.resume_reading()
            self._protocol.loop.call_later(LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()
