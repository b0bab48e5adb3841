"""How fast a worker reads large bodies: it serves small requests in between."""

from typing import Final

BURST_SECONDS: Final = 1 / 16


class ReadingRate:
    """Shares the bytes per second that a worker reads of large bodies among its connections.

    Reading a megabyte takes milliseconds. Without a limit, a few clients that send large bodies would leave
    the worker no time for others.
    """

    def __init__(self, bytes_per_second: float) -> None:
        """Start with room for the bytes of `BURST_SECONDS`, which an idle worker saves up."""
        self._bytes_per_second = bytes_per_second
        self._next = 0.0

    def delay(self, size: int, now: float) -> float:
        """Count bytes that were read at this time; return how many seconds to wait before reading more."""
        self._next = max(self._next, now - BURST_SECONDS) + size / self._bytes_per_second
        return max(0.0, self._next - now)
