"""Functions in greenlets wait concurrently, receive the result of each wait, and release their greenlet."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from greenlet import getcurrent

from users_api.database.greenlets import (
    MAX_CACHED_GREENLETS,
    Deadline,
    ReusableGreenlet,
    SharedLock,
    idle_greenlets,
    run_in_greenlet,
    sleep_briefly,
)

SECONDS = 30
name: ContextVar[str] = ContextVar("name")


async def fail() -> None:
    raise ConnectionResetError


def current() -> ReusableGreenlet:
    greenlet = getcurrent()
    assert isinstance(greenlet, ReusableGreenlet)
    return greenlet


def test_functions_wait_concurrently() -> None:
    order = []

    def work(number: int) -> int:
        order.append(number)
        got = current().wait_for(asyncio.sleep(0, result=number))
        order.append(got)
        return got

    async def main() -> list[int]:
        return await asyncio.gather(
            run_in_greenlet(lambda: work(1), SECONDS), run_in_greenlet(lambda: work(2), SECONDS)
        )

    assert asyncio.run(main()) == [1, 2]
    assert order == [1, 2, 1, 2]


def test_a_function_receives_the_failure_of_its_wait() -> None:
    def work() -> str:
        with pytest.raises(ConnectionResetError):
            current().wait_for(fail())
        return "received"

    assert asyncio.run(run_in_greenlet(work, SECONDS)) == "received"


def test_a_wait_times_out() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(run_in_greenlet(lambda: current().wait_for(asyncio.sleep(SECONDS)), 0.01))


async def outcome(deadline: Any, wait: float, cancelled_after: float | None, *, swallow: bool) -> str:
    """Return how a wait under a deadline ends: in time, late, or cancelled from elsewhere."""

    async def work() -> str:
        try:
            with contextlib.suppress(asyncio.CancelledError) if swallow else contextlib.nullcontext():
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise
        return "finished"

    async def limited() -> str:
        async with deadline:
            return await work()

    task = asyncio.create_task(limited())
    if cancelled_after is not None:
        asyncio.get_running_loop().call_later(cancelled_after, task.cancel)
    try:
        return f"{await task}, {task.cancelling()}"
    except (TimeoutError, asyncio.CancelledError) as error:
        return f"{type(error).__name__} from {type(error.__cause__).__name__}, {task.cancelling()}"


@contextlib.asynccontextmanager
async def ours(seconds: float) -> AsyncIterator[None]:
    with Deadline(seconds):
        yield


@pytest.mark.parametrize("swallow", [False, True])
@pytest.mark.parametrize(
    ("wait", "cancelled_after"), [(0, None), (5, None), (0, 0), (5, 0), (5, 0.02), (5, 0.5)]
)
def test_a_deadline_ends_as_the_standard_librarys_does(
    wait: float, cancelled_after: float | None, *, swallow: bool
) -> None:
    async def both() -> list[str]:
        return [
            await outcome(each(0.02), wait, cancelled_after, swallow=swallow)
            for each in (asyncio.timeout, ours)
        ]

    theirs, own = asyncio.run(both())

    assert own == theirs


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
        greenlets = await asyncio.gather(
            *(run_in_greenlet(work, SECONDS) for _ in range(2 * MAX_CACHED_GREENLETS))
        )
        return [greenlet.dead for greenlet in greenlets]

    assert sorted(asyncio.run(main())) == [False] * MAX_CACHED_GREENLETS + [True] * MAX_CACHED_GREENLETS


def test_an_idle_greenlet_keeps_nothing_of_the_last_call_alive() -> None:
    class Request:
        """What a handler holds."""

    async def main() -> list[Any]:
        request = Request()
        kept = weakref.ref(request)
        name.set("a context of its own")
        await run_in_greenlet(partial(lambda request: [request], request), SECONDS)
        del request
        gc.collect()
        return [kept(), idle_greenlets.greenlets[-1].gr_context]

    assert asyncio.run(main()) == [None, None]


def test_a_lock_is_shared_by_greenlets_and_threads() -> None:
    lock, order = SharedLock(), []

    def hold(who: str) -> None:
        with lock:
            order.append(who)
            sleep_briefly()
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
