"""Decides which requests are within the rate limits."""

from functools import partial
from typing import TYPE_CHECKING, Final

from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from users_api.rate_limits.limits import Decision, RateLimits
from users_api.rate_limits.shared_memory_storage import SharedMemoryStorage
from users_api.rate_limits.window_table import shared_window_table
from users_api.rate_limits.windows import Window

if TYPE_CHECKING:
    from users_api.rate_limits.redis_store import RedisStore

REJECTED_SECONDS: Final = 1.0
"""No longer than the shortest time after which a rejected request may be allowed."""
MAX_REJECTED_KEYS: Final = 10_000


class RateLimiter:
    """Counts the requests of each key in a storage of the library `limits`.

    A rejected request is not counted, so that it extends no wait. If one of several limits is exhausted, the
    request is counted by none; only requests of the same key at the same time may be counted by a few limits
    and then be rejected by the next one.
    """

    def __init__(self, name: str, limits: RateLimits, storage: SharedMemoryStorage | RedisStorage) -> None:
        """Count under the name: limiters with different names count apart."""
        self._name, self._limits, self._storage = name, limits, storage
        self._strategy = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, key: str) -> Decision:
        """Count a request of the key, if it is allowed."""
        windows = await self._windows(key)
        for window in windows:
            if not window.remaining:
                return self._limits.reject(windows)
        for item in self._limits.items:
            if not await self._strategy.hit(item, self._name, key):
                return self._limits.reject(await self._windows(key))  # Others took the rest meanwhile.
        return self._limits.allow([window.with_one_more() for window in windows])

    async def _windows(self, key: str) -> list[Window]:
        windows = []
        for item in self._limits.items:
            name, seconds = item.key_for(self._name, key), item.get_expiry()
            counts = await self._storage.get_sliding_window(name, seconds)
            windows.append(Window.of(item, counts))
        return windows


class RedisRateLimiter(RateLimiter):
    """Counts in Redis, for all instances; requests pass while it is unavailable."""

    def __init__(self, name: str, limits: RateLimits, store: "RedisStore") -> None:
        """Count under the name; the limiters of a process share the store."""
        super().__init__(name, limits, store.storage)
        self._store, self._rejected = store, dict[str, tuple[float, Decision]]()

    async def hit(self, key: str) -> Decision:
        """Count a request of the key, if it is allowed or Redis is unavailable.

        Once a key is rejected, Redis is not asked about it for up to a second.
        """
        if rejected := self._recall(key):
            return rejected
        async with self._store.slots:
            if rejected := self._recall(key):  # By a request that had a slot before.
                return rejected
            decision = await self._store.attempt(partial(super().hit, key))
        if not decision.allowed:
            self._remember(key, decision)
        return decision

    def _recall(self, key: str) -> Decision | None:
        until, decision = self._rejected.get(key, (0.0, None))
        return decision if self._store.clock() < until else None

    def _remember(self, key: str, decision: Decision) -> None:
        if len(self._rejected) >= MAX_REJECTED_KEYS:
            self._rejected.clear()
        self._rejected[key] = self._store.clock() + REJECTED_SECONDS, decision


def rate_limiter(name: str, limits: RateLimits, store: "RedisStore | None" = None) -> RateLimiter:
    """Return a limiter that counts in Redis, or without a store in memory that the workers share.

    Workers share what exists before they are forked: the master calls `shared_window_table` first.
    """
    if store:
        return RedisRateLimiter(name, limits, store)
    return RateLimiter(name, limits, SharedMemoryStorage(shared_window_table()))
