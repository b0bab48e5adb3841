"""psycopg2 connections wait on the event loop, and detect that they were closed."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2.extensions import POLL_READ
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.database.conftest import POOL_SIZE, SECONDS
from tests.database.tables import TEXTS
from tests.support.postgres import PostgreSQL
from users_api.database import db, rows, run_in_greenlet
from users_api.database.connections import (
    LoopConnection,
    require_encoding,
    return_to_autocommit,
    socket_ready,
)
from users_api.database.greenlets import waiting_greenlet


def test_a_wait_may_be_cancelled_when_its_socket_becomes_ready() -> None:
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


on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite has no server.


class UnreportedEncoding(psycopg2.extensions.connection):
    """A connection through a pooler that does not report the server's parameters."""

    def get_parameter_status(self, _parameter: str) -> None:
        return None


def test_an_encoding_that_is_not_reported_is_asked_for(postgres: PostgreSQL) -> None:
    with closing(
        psycopg2.connect(postgres.url("postgres"), connection_factory=UnreportedEncoding)
    ) as connection:
        require_encoding(connection, None)

        assert not connection.closed


@on_postgresql
def test_requests_wait_for_the_server_at_the_same_time(serve: Callable[..., list[Any]]) -> None:
    def pause() -> None:
        db.session.execute(text("SELECT pg_sleep(0.3)"))

    start = time.monotonic()
    assert serve(*[pause] * POOL_SIZE) == [None] * POOL_SIZE
    assert time.monotonic() - start < 0.3 * POOL_SIZE


@on_postgresql
def test_a_connection_that_ended_while_idle_is_replaced(
    one: Callable[..., Any], postgres: PostgreSQL
) -> None:
    def handler() -> list[Any]:
        pid = db.session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        db.session.rollback()
        with closing(psycopg2.connect(postgres.url("notes"))) as other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
        waiting_greenlet().wait_for(asyncio.sleep(0.05))
        return rows(TEXTS)

    assert one(handler) == []


@on_postgresql
def test_a_connection_that_ends_during_a_statement_is_an_outage(one: Callable[..., Any]) -> None:
    with pytest.raises(OperationalError) as failure:
        one(lambda: db.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")))

    assert failure.value.connection_invalidated


@on_postgresql
def test_a_timeout_closes_only_its_connection(one: Callable[..., Any]) -> None:
    with pytest.raises(TimeoutError):
        one(lambda: db.session.execute(text("SELECT pg_sleep(30)")), seconds=0.1)

    assert one(lambda: rows(TEXTS)) == []


def test_an_unresponsive_server_counts_as_unavailable() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=notes user=users sslmode=disable"

        with pytest.raises(psycopg2.OperationalError, match="the database does not respond"):
            asyncio.run(run_in_greenlet(lambda: LoopConnection(dsn, connect_seconds=0.1), SECONDS))


@pytest.mark.usefixtures("application")
@on_postgresql
def test_a_closed_connection_stays_as_it_is(postgres: PostgreSQL) -> None:
    connection = psycopg2.connect(postgres.url("notes"))
    connection.close()

    return_to_autocommit(connection, None)
    return_to_autocommit(None, None)


@on_postgresql
def test_a_connection_serves_greenlets_threads_and_the_next_loop(
    application: Flask, postgres: PostgreSQL
) -> None:
    connection: Any = None

    def ask() -> int:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone()[0]

    def connect() -> int:
        nonlocal connection
        connection = LoopConnection(postgres.url("notes"), connect_seconds=5)
        return ask()

    async def both() -> list[int]:
        return [
            await run_in_greenlet(ask, SECONDS),
            await asyncio.to_thread(ask),
            await run_in_greenlet(ask, SECONDS),
        ]

    with application.app_context():
        assert asyncio.run(run_in_greenlet(connect, SECONDS)) == 1
        assert asyncio.run(both()) == [1, 1, 1]
        assert ask() == 1
        assert not connection.stale
        connection.close()


def test_a_plain_connection_of_the_program_blocks_as_usual(
    one: Callable[..., Any], postgres: PostgreSQL
) -> None:
    def ask() -> Any:
        with closing(psycopg2.connect(postgres.url("postgres"))) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone()

    assert one(ask) == (1,)


def test_threads_and_greenlets_share_the_pool(application: Flask) -> None:
    def handler() -> list[Any]:
        with application.app_context():
            db.session.execute(TEXTS)
            db.session.rollback()
            return rows(TEXTS)

    async def main() -> list[Any]:
        try:
            return await asyncio.gather(
                *(asyncio.to_thread(handler) for _ in range(2 * POOL_SIZE)),
                *(run_in_greenlet(handler, SECONDS) for _ in range(2 * POOL_SIZE)),
                return_exceptions=True,
            )
        finally:
            with application.app_context():
                db.engine.dispose()

    assert asyncio.run(main()) == [[]] * 4 * POOL_SIZE
