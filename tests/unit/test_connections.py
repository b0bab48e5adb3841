"""Connections: how many each worker may have, how long one waits for them, and how their own waits end."""

import asyncio
import socket
import sqlite3
from contextlib import ExitStack, closing

import pytest
from psycopg2.extensions import POLL_READ
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.util.queue import Empty

from users_api.app import create_flask_app
from users_api.config import DevelopmentConfig, SettingsError, load_settings
from users_api.connections import socket_ready
from users_api.db import db, limit_sessions
from users_api.greenlets import in_fiber
from users_api.pool import GreenletPool, Turns

SECONDS = 30


@pytest.mark.parametrize(
    ("workers", "connections", "share"), [("2", "", 8), ("1", "", 16), ("3", "", 5), ("16", "", 1), ("4", "90", 22)]
)
def test_workers_share_the_connections(monkeypatch: pytest.MonkeyPatch, workers: str, connections: str, share: int) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    monkeypatch.setenv("DATABASE_CONNECTIONS", connections)

    assert share == DevelopmentConfig.POOL_SIZE


def test_each_worker_needs_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "17")

    with pytest.raises(SettingsError) as refusal:
        load_settings()

    assert str(refusal.value) == "DATABASE_CONNECTIONS must be 17 at least, one for each of WEB_CONCURRENCY's workers"


def test_the_wait_for_a_connection_may_be_a_part_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@database/users")
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "0.25")

    with create_flask_app().app_context():
        pool = db.engine.pool

    assert isinstance(pool, GreenletPool)
    assert pool.timeout() == pool.recreate().timeout() == 0.25


@pytest.mark.parametrize(("in_flight", "size", "most"), [("1", 1, 0), ("8", 8, 0), ("9", 8, 1), ("", 8, 248)])
def test_no_more_requests_are_in_flight_than_may_be(
    monkeypatch: pytest.MonkeyPatch, in_flight: str, size: int, most: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada@database/users")
    monkeypatch.setenv("REQUESTS_IN_FLIGHT", in_flight)

    with create_flask_app().app_context():
        pool = db.engine.pool

    assert (pool.size(), pool._pool.most_waiting) == (size, most)  # noqa: SLF001 -- nobody else tells.


def test_a_pool_made_anew_refuses_as_many() -> None:
    pool = GreenletPool(lambda: sqlite3.connect(":memory:"), pool_size=1, max_overflow=0, most_waiting=0).recreate()

    with closing(pool.connect()), pytest.raises(PoolTimeout, match="0 requests wait"):
        pool.connect()
    pool.dispose()


def test_who_waits_longest_gets_the_next_connection() -> None:
    async def main() -> list[tuple[int, str]]:
        turns, got, callers = waiting(3)
        await asyncio.sleep(0)
        turns.put("first")
        turns.put("second")
        await asyncio.sleep(0)
        late = asyncio.create_task(in_fiber(lambda: got.append((3, turns.get())), SECONDS))
        turns.put("third")
        turns.put("fourth")
        await asyncio.gather(*callers, late)
        return sorted(got)

    assert asyncio.run(main()) == [(0, "first"), (1, "second"), (2, "third"), (3, "fourth")]


def test_a_turn_of_somebody_who_gave_up_is_the_next_ones() -> None:
    async def main() -> list[tuple[int, str]]:
        turns, got, callers = waiting(4)
        await asyncio.sleep(0)
        callers[0].cancel()
        await asyncio.sleep(0)
        callers[1].cancel()
        turns.put("past the second, who is leaving")
        callers[2].cancel()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3 + [type(None)]
        return got

    assert asyncio.run(main()) == [(3, "past the second, who is leaving")]


def test_a_turn_that_does_not_come_is_none() -> None:
    async def main() -> int:
        turns = Turns()
        turns.most_waiting = 1
        with pytest.raises(Empty):
            await in_fiber(lambda: turns.get(timeout=0.01), SECONDS)
        with pytest.raises(Empty):
            turns.get(block=False)
        turns.put("late")
        return turns.qsize()

    assert asyncio.run(main()) == 1


def waiting(most: int) -> tuple[Turns, list[tuple[int, str]], list[asyncio.Task[None]]]:
    """Return turns for which so many callers wait, a list for who gets what, and the callers."""
    turns, got = Turns(), []
    turns.most_waiting = most
    callers = [asyncio.create_task(in_fiber(lambda who=who: got.append((who, turns.get())), SECONDS)) for who in range(most)]
    return turns, got, callers


@pytest.mark.parametrize(
    ("own", "options"),
    [
        pytest.param("", "-c statement_timeout=5000", id="no blank at the end, which PgBouncer 1.20 and newer refuse"),
        pytest.param("-c work_mem=8MB", "-c statement_timeout=5000 -c work_mem=8MB", id="an operator's come after"),
    ],
)
def test_the_time_outs_stand_in_the_options(monkeypatch: pytest.MonkeyPatch, own: str, options: str) -> None:
    monkeypatch.setenv("PGOPTIONS", own)
    engine = create_engine("postgresql+psycopg2://ada@database/users")
    limit_sessions(engine, statement_timeout=5, lock_timeout=0)
    parameters: dict[str, str] = {}

    engine.dialect.dispatch.do_connect(engine.dialect, None, [], parameters)

    assert parameters == {"options": options}


def test_a_wait_may_end_in_the_moment_that_its_socket_is_ready() -> None:
    faults = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, fault: faults.append(fault))
        with ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            waiting = loop.create_task(socket_ready(ours.fileno(), POLL_READ))
            await asyncio.sleep(0)
            theirs.send(b"x")
            loop.call_soon(waiting.cancel)
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())

    assert faults == []
