"""Functions in greenlets: they wait at the same time, hear how a wait ended, and leave their greenlet to the next."""

import asyncio
from contextvars import ContextVar

import pytest
from greenlet import getcurrent

from users_api.greenlets import MOST_IDLE, Fiber, in_fiber

SECONDS = 30
name: ContextVar[str] = ContextVar("name")


async def fail() -> None:
    raise ConnectionResetError


def current() -> Fiber:
    fiber = getcurrent()
    assert isinstance(fiber, Fiber)
    return fiber


def test_functions_wait_at_the_same_time() -> None:
    order = []

    def work(number: int) -> int:
        order.append(number)
        got = current().wait_for(asyncio.sleep(0, result=number))
        order.append(got)
        return got

    async def main() -> list[int]:
        return await asyncio.gather(in_fiber(lambda: work(1), SECONDS), in_fiber(lambda: work(2), SECONDS))

    assert asyncio.run(main()) == [1, 2]
    assert order == [1, 2, 1, 2]


def test_a_function_hears_how_its_wait_failed() -> None:
    def work() -> str:
        with pytest.raises(ConnectionResetError):
            current().wait_for(fail())
        return "heard"

    assert asyncio.run(in_fiber(work, SECONDS)) == "heard"


def test_a_function_waits_no_longer_than_it_may() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(in_fiber(lambda: current().wait_for(asyncio.sleep(SECONDS)), 0.01))


def test_a_failure_reaches_the_one_who_awaits() -> None:
    with pytest.raises(ConnectionResetError):
        asyncio.run(in_fiber(lambda: current().wait_for(fail()), SECONDS))


def test_a_fiber_serves_again_in_the_context_of_the_next() -> None:
    async def main() -> tuple[object, object]:
        name.set("first")
        first = await in_fiber(lambda: (current(), name.get()), SECONDS)
        name.set("second")
        second = await in_fiber(lambda: (current(), name.get()), SECONDS)
        return first, second

    first, second = asyncio.run(main())

    assert first == (first[0], "first")
    assert second == (first[0], "second")


def test_of_many_fibers_a_few_are_kept() -> None:
    def work() -> Fiber:
        current().wait_for(asyncio.sleep(0))
        return current()

    async def main() -> list[bool]:
        fibers = await asyncio.gather(*(in_fiber(work, SECONDS) for _ in range(2 * MOST_IDLE)))
        return [fiber.dead for fiber in fibers]

    assert sorted(asyncio.run(main())) == [False] * MOST_IDLE + [True] * MOST_IDLE
