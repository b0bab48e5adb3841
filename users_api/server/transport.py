"""A transport that closes without losing the response, and that can slow down a client."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

LINGER_SECONDS: Final = 5


class LingeringTransport:
    """Wraps the event loop's transport; everything that it does not define is passed through.

    A transport that closes while the client is still sending a request first closes its own half and reads on
    for a moment. Otherwise the kernel resets the connection, and the response is lost (RFC 9112, 9.6).
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        is_receiving: Callable[[], bool],
    ) -> None:
        """Wrap a transport; `is_receiving` returns whether part of a request is still to arrive."""
        self._transport, self._loop, self._is_receiving = transport, loop, is_receiving
        self._closing = False
        self._is_paused, self._throttle_timer = False, cast("asyncio.TimerHandle | None", None)

    def __getattr__(self, name: str) -> Any:
        """Return the wrapped transport's attribute."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send the data; a connection may be lost while its requests are still in progress."""
        if not self._transport.is_closing():  # uvicorn marks only the last of several cycles as lost.
            self._transport.write(data)

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
            self._throttle_timer = self._loop.call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._throttle_timer = None
        if not self._is_paused:
            self._transport.resume_reading()

    def connection_lost(self) -> None:
        """Release the protocol, so that both are freed at once instead of by the garbage collector."""
        if self._throttle_timer is not None:
            self._throttle_timer.cancel()
        del self._is_receiving

    def close_now(self) -> None:
        """Close the connection without waiting for the rest of a request; the response may be lost."""
        self._transport.close()

    def close(self) -> None:
        """Close the connection: at once between requests, after `LINGER_SECONDS` while one is arriving."""
        if self.is_closing():
            return
        self._closing = True
        if self._is_receiving() and self._transport.can_write_eof():
            self._transport.write_eof()
            self.resume_reading()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()
