"""The pool serves its callers in the order of arrival, and rejects those that it cannot serve."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from functools import partial
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from users_api.database.greenlets import run_in_greenlet, waiting_greenlet
from users_api.database.pool import FairQueue, GreenletPool
from users_api.database.sqlalchemy_internals import Empty

SECONDS = 30


def test_a_recreated_pool_has_the_same_options() -> None:
    pool = GreenletPool(
        lambda: sqlite3.connect(":memory:"), pool_size=1, max_overflow=0, max_waiting=0
    ).recreate()

    with closing(pool.connect()), pytest.raises(PoolTimeout, match="0 requests are already waiting"):
        pool.connect()
    pool.dispose()


def test_writes_leave_connections_for_reads() -> None:
    async def main() -> list[str]:
        pool, events = GreenletPool(lambda: sqlite3.connect(":memory:"), pool_size=4, max_overflow=0), []
        release = asyncio.Event()

        def write(number: int) -> None:
            with pool.writes, closing(pool.connect()):
                events.append(f"write {number}")
                waiting_greenlet().wait_for(release.wait())

        def read() -> None:
            with closing(pool.connect()):
                events.append("read")

        writes = [
            asyncio.create_task(run_in_greenlet(partial(write, number), SECONDS)) for number in range(4)
        ]
        await asyncio.sleep(0)
        await run_in_greenlet(read, SECONDS)
        release.set()
        await asyncio.gather(*writes)
        pool.dispose()
        return events

    assert asyncio.run(main()) == ["write 0", "write 1", "write 2", "read", "write 3"]


def test_a_write_that_gets_no_slot_in_time_fails() -> None:
    async def main() -> None:
        pool = GreenletPool(lambda: sqlite3.connect(":memory:"), pool_size=1, max_overflow=0, seconds=0.01)

        def write() -> None:
            with pool.writes:
                pass

        with (
            pool.writes,
            pytest.raises(PoolTimeout, match="all connections for writes are in use"),
        ):
            await run_in_greenlet(write, SECONDS)
        await run_in_greenlet(write, SECONDS)

    asyncio.run(main())


def test_writes_and_reads_that_wait_are_counted_together() -> None:
    async def main() -> None:
        pool = GreenletPool(lambda: sqlite3.connect(":memory:"), pool_size=1, max_overflow=0, max_waiting=1)

        def write() -> None:
            with pool.writes:
                pass

        with closing(pool.connect()), pool.writes:
            waiting_write = asyncio.create_task(run_in_greenlet(write, SECONDS))
            await asyncio.sleep(0)
            with pytest.raises(PoolTimeout, match="1 requests are already waiting"):
                await run_in_greenlet(pool.connect, SECONDS)
        await waiting_write
        pool.dispose()

    asyncio.run(main())


def test_the_caller_that_has_waited_longest_gets_the_next_connection() -> None:
    async def main() -> list[tuple[int, str]]:
        queue, got, callers = waiting(3)
        await asyncio.sleep(0)
        queue.put("first")
        queue.put("second")
        await asyncio.sleep(0)
        late = asyncio.create_task(run_in_greenlet(lambda: got.append((3, queue.get())), SECONDS))
        queue.put("third")
        queue.put("fourth")
        await asyncio.gather(*callers, late)
        return sorted(got)

    assert asyncio.run(main()) == [(0, "first"), (1, "second"), (2, "third"), (3, "fourth")]


def test_a_connection_for_a_timed_out_caller_goes_to_the_next() -> None:
    async def main() -> list[tuple[int, str]]:
        queue, got, callers = waiting(4)
        await asyncio.sleep(0)
        callers[0].cancel()
        await asyncio.sleep(0)
        callers[1].cancel()
        queue.put("handed to the second caller as it leaves")
        callers[2].cancel()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3 + [type(None)]
        return got

    assert asyncio.run(main()) == [(3, "handed to the second caller as it leaves")]


def test_waiting_for_a_connection_times_out() -> None:
    async def main() -> int:
        queue = FairQueue()
        queue.max_waiting = 1
        with pytest.raises(Empty):
            await run_in_greenlet(lambda: queue.get(timeout=0.01), SECONDS)
        with pytest.raises(Empty):
            queue.get(block=False)
        queue.put("late")
        return queue.qsize()

    assert asyncio.run(main()) == 1


def waiting(most: int) -> tuple[FairQueue, list[tuple[int, str]], list[asyncio.Task[None]]]:
    """Return a queue with this many waiting callers, the list of deliveries, and the callers."""
    queue, got = FairQueue(), []
    queue.max_waiting = most
    callers = [
        asyncio.create_task(run_in_greenlet(lambda who=who: got.append((who, queue.get())), SECONDS))
        for who in range(most)
    ]
    return queue, got, callers


def test_the_event_loop_itself_does_not_wait() -> None:
    async def main() -> None:
        queue = FairQueue()
        queue.max_waiting = 1
        with pytest.raises(PoolTimeout, match="no connection is free"):
            queue.get(timeout=SECONDS)

    asyncio.run(main())


def test_a_thread_waits_for_what_a_greenlet_returns() -> None:
    async def main() -> str:
        queue = FairQueue()
        queue.max_waiting = 1
        waiting = asyncio.create_task(asyncio.to_thread(queue.get, timeout=SECONDS))
        while not queue._waiters:  # noqa: ASYNC110, SLF001 -- nothing else shows that the thread waits.
            await asyncio.sleep(0)
        await run_in_greenlet(lambda: queue.put("for the thread"), SECONDS)
        return await waiting

    assert asyncio.run(main()) == "for the thread"


def test_a_greenlet_waits_for_what_a_thread_returns() -> None:
    async def main() -> tuple[str, str]:
        queue = FairQueue()
        queue.max_waiting = 2
        one = asyncio.create_task(run_in_greenlet(queue.get, SECONDS))
        other = asyncio.create_task(run_in_greenlet(queue.get, SECONDS))
        await asyncio.sleep(0)
        await asyncio.to_thread(queue.put, "for the first")
        return await one, await asyncio.to_thread(queue.put, "for the second") or await other

    assert asyncio.run(main()) == ("for the first", "for the second")


def test_a_connection_for_a_cancelled_greenlet_goes_to_the_next_caller() -> None:
    async def main() -> int:
        queue = FairQueue()
        queue.max_waiting = 1
        caller = asyncio.create_task(run_in_greenlet(queue.get, SECONDS))
        await asyncio.sleep(0)
        thread = Thread(target=queue.put, args=("left over",))
        thread.start()
        thread.join()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.sleep(0)
        return queue.qsize()

    assert asyncio.run(main()) == 1


def test_waiting_in_a_thread_times_out() -> None:
    queue = FairQueue()
    queue.max_waiting = 1

    with pytest.raises(Empty):
        queue.get(timeout=0.01)

    queue.put("late")
    assert queue.get() == "late"


def test_a_thread_gets_a_connection_that_arrives_at_its_timeout() -> None:
    class Late(FairQueue):
        def _remove_waiter(self, waiter: Any) -> bool:
            self.put("just in time")
            return super()._remove_waiter(waiter)

    queue = Late()
    queue.max_waiting = 1

    assert queue.get(timeout=0.01) == "just in time"


def test_a_connection_is_kept_if_every_waiting_caller_has_just_given_up() -> None:
    async def main() -> int:
        queue = FairQueue()
        queue.max_waiting = 1
        waiting = asyncio.create_task(run_in_greenlet(queue.get, SECONDS))
        await asyncio.sleep(0)
        waiting.cancel()
        queue.put_nowait("connection")
        with suppress(asyncio.CancelledError):
            await waiting
        return queue.qsize()

    assert asyncio.run(main()) == 1
