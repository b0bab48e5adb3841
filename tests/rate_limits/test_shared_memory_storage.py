"""The storage for the library `limits`."""

import asyncio

import pytest
from limits import parse
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from tests.rate_limits.clock import Clock
from users_api.rate_limits.shared_memory_storage import SharedMemoryStorage
from users_api.rate_limits.window_table import WindowTable


@pytest.fixture
def storage():
    """A storage with its own table."""
    return SharedMemoryStorage(WindowTable(), Clock())


def test_the_librarys_strategy_clears_a_key(storage) -> None:
    strategy, item = SlidingWindowCounterRateLimiter(storage), parse("1/minute")

    async def clear() -> list[bool]:
        hits = [await strategy.hit(item, "key"), await strategy.hit(item, "key")]
        await strategy.clear(item, "key")
        return [*hits, await strategy.test(item, "key"), await strategy.hit(item, "key")]

    assert asyncio.run(clear()) == [True, False, True, True]


def test_a_request_that_costs_more_than_the_limit_is_rejected(storage) -> None:
    strategy = SlidingWindowCounterRateLimiter(storage)

    assert not asyncio.run(strategy.hit(parse("5/minute"), "key", cost=6))


def test_memory_is_always_available(storage) -> None:
    assert asyncio.run(storage.check())


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("incr", ("key", 60)), ("get", ("key",)), ("get_expiry", ("key",)), ("clear", ("key",)), ("reset", ())],
)
def test_what_sliding_windows_do_not_need_is_missing(storage, method, arguments) -> None:
    with pytest.raises(NotImplementedError):
        asyncio.run(getattr(storage, method)(*arguments))
