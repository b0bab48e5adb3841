"""Functions in greenlets wait together, receive the outcome of each wait, and leave their greenlet."""

import asyncio
from contextvars import ContextVar

import pytest
from greenlet import getcurrent

from users_api.database.greenlets import MAX_CACHED, ReusableGreenlet, SharedLock, pause, run_in_greenlet

SECONDS = 30
name: ContextVar[str] = ContextVar("name")


async def fail() -> None:
    raise ConnectionResetError


def current() -> ReusableGreenlet:
    greenlet = getcurrent()
    assert isinstance(greenlet, ReusableGreenlet)
    return greenlet


def test_functions_wait_at_the_same_time() -> None:
    order = []

    def work(number: int) -> int:
        order.append(number)
        got = current().wait_for(asyncio.sleep(0, result=number))
        order.append(got)
        return got

    async def main() -> list[int]:
        return await asyncio.gather(run_in_greenlet(lambda: work(1), SECONDS), run_in_greenlet(lambda: work(2), SECONDS))

    assert asyncio.run(main()) == [1, 2]
    assert order == [1, 2, 1, 2]


def test_a_function_receives_the_failure_of_its_wait() -> None:
    def work() -> str:
        with pytest.raises(ConnectionResetError):
            current().wait_for(fail())
        return "received"

    assert asyncio.run(run_in_greenlet(work, SECONDS)) == "received"


def test_a_function_waits_no_longer_than_it_may() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(run_in_greenlet(lambda: current().wait_for(asyncio.sleep(SECONDS)), 0.01))


def test_a_failure_reaches_the_awaiting_task() -> None:
    with pytest.raises(ConnectionResetError):
        asyncio.run(run_in_greenlet(lambda: current().wait_for(fail()), SECONDS))


def test_a_reused_greenlet_runs_in_the_context_of_its_caller() -> None:
    async def main() -> tuple[object, object]:
        name.set("first")
        first = await run_in_greenlet(lambda: (current(), name.get()), SECONDS)
        name.set("second")
        second = await run_in_greenlet(lambda: (current(), name.get()), SECONDS)
        return first, second

    first, second = asyncio.run(main())

    assert first == (first[0], "first")
    assert second == (first[0], "second")


def test_no_more_than_the_maximum_of_greenlets_is_cached() -> None:
    def work() -> ReusableGreenlet:
        current().wait_for(asyncio.sleep(0))
        return current()

    async def main() -> list[bool]:
        greenlets = await asyncio.gather(*(run_in_greenlet(work, SECONDS) for _ in range(2 * MAX_CACHED)))
        return [greenlet.dead for greenlet in greenlets]

    assert sorted(asyncio.run(main())) == [False] * MAX_CACHED + [True] * MAX_CACHED


def test_a_lock_is_shared_by_greenlets_and_threads() -> None:
    lock, order = SharedLock(), []

    def hold(who: str) -> None:
        with lock:
            order.append(who)
            pause()
            order.append(who)

    async def main() -> None:
        await asyncio.gather(
            run_in_greenlet(lambda: hold("greenlet"), SECONDS),
            run_in_greenlet(lambda: hold("other"), SECONDS),
            asyncio.to_thread(hold, "thread"),
        )

    asyncio.run(main())

    assert len(order) == 6
    assert order[::2] == order[1::2]
