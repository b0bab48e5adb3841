"""A storage for the library `limits` in memory that a server's processes share."""

from collections.abc import Callable
from math import floor
from time import monotonic

from limits.aio.storage.base import SlidingWindowCounterSupport, Storage

from users_api.rate_limits.window_table import Entry, WindowTable


class SharedMemoryStorage(Storage, SlidingWindowCounterSupport):
    """Counts sliding windows exactly, also when several processes count at once.

    Its methods never suspend. All windows of a length end at the same time. The clock is the monotonic one,
    which Linux's processes share and which is never set.
    """

    STORAGE_SCHEME = None

    def __init__(self, table: WindowTable, clock: Callable[[], float] = monotonic) -> None:
        """Count in the table; the clock is in seconds."""
        super().__init__()
        self._table, self._clock = table, clock

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count the amount if the limit allows it; return whether it does."""
        with self._table.lock:
            entry, ends_in = self._entry(key, expiry)
            tag, position, expires_at, previous, current = entry
            if floor(previous * ends_in / expiry) + current + amount > limit:
                return False
            self._table.write(Entry(tag, position, expires_at, previous, current + amount))
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the counts of the previous and the current window, each followed by its remaining seconds.

        It needs no lock: the next `acquire_sliding_window_entry` corrects what was read during a write.
        """
        (_, _, _, previous, current), ends_in = self._entry(key, expiry)
        return previous, ends_in, current, ends_in + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 -- the library's name.
        """Forget the counts of the key."""
        with self._table.lock:
            self._table.write(self._table.find(key)._replace(expires_at=0))

    def _entry(self, key: str, expiry: int) -> tuple[Entry, float]:
        """Return the counts of the window that contains the present, and in how many seconds it ends."""
        tag, position, expires_at, _, current = entry = self._table.find(key)
        now = self._clock()  # It is read last, so that no process has written a later window.
        end = (int(now // expiry) + 1) * expiry
        if expires_at == end + expiry:
            return entry, end - now
        return Entry(tag, position, end + expiry, current if expires_at == end else 0, 0), end - now

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Return no exceptions, since memory has no outages."""
        return ()

    async def check(self) -> bool:
        """Return True, since memory is always available."""
        return True

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Reject fixed windows."""
        raise NotImplementedError

    async def get(self, key: str) -> int:
        """Reject fixed windows."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> float:
        """Reject fixed windows."""
        raise NotImplementedError

    async def clear(self, key: str) -> None:
        """Reject fixed windows."""
        raise NotImplementedError

    async def reset(self) -> int | None:
        """Reject it: other processes use the counts."""
        raise NotImplementedError
