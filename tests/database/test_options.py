"""Engines are created for their database."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from users_api.database import db, engine_options, set_session_timeouts
from users_api.database.pool import GreenletPool

OPTIONS = {
    "application_name": "notes",
    "pool_size": 2,
    "max_waiting": 5,
    "pool_timeout": 0.5,
    "connect_timeout": 2.5,
}


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("sqlite://", False),
        ("sqlite:///:memory:", False),
        ("sqlite:///users.db", True),
        ("postgresql+psycopg2://ada@database/users", True),
    ],
)
def test_every_pool_but_that_of_a_database_in_memory_suspends_greenlets(url: str, *, waits: bool) -> None:
    engine = create_engine(url, **engine_options(make_url(url), **OPTIONS))

    assert isinstance(engine.pool, GreenletPool) is waits
    if waits:
        assert (engine.pool.size(), engine.pool.timeout(), engine.pool.queue.max_waiting) == (2, 0.5, 5)


def test_postgresql_lists_connections_under_the_name_of_the_application() -> None:
    options = engine_options(make_url("postgresql+psycopg2://ada@database/users"), **OPTIONS)["connect_args"]

    assert options["application_name"] == "notes"


def test_libpq_timeouts_are_rounded_up_to_seconds() -> None:
    options = engine_options(make_url("postgresql+psycopg2://ada@database/users"), **OPTIONS)["connect_args"]

    assert (options["connect_timeout"], options["tcp_user_timeout"]) == (3, 2500)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL does both by default.
def test_sqlite_checks_foreign_keys_and_uses_wal(one: Callable[..., Any]) -> None:
    def pragmas() -> tuple[Any, ...]:
        pragma = db.session.connection().exec_driver_sql
        return pragma("PRAGMA foreign_keys").scalar_one(), pragma("PRAGMA journal_mode").scalar_one()

    assert one(pragmas) == (1, "wal")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite has no server.
def test_a_connection_to_a_read_only_server_is_closed(one: Callable[..., Any]) -> None:
    def write() -> None:
        db.session.execute(text("SET TRANSACTION READ ONLY"))
        db.session.execute(text("INSERT INTO labels VALUES ('Ada')"))

    with pytest.raises(DBAPIError) as failure:
        one(write)

    assert failure.value.connection_invalidated


@pytest.mark.parametrize(
    ("own", "options"),
    [
        pytest.param(
            "", "-c statement_timeout=5000", id="no trailing space, which PgBouncer 1.20 and newer reject"
        ),
        pytest.param(
            "-c work_mem=8MB",
            "-c statement_timeout=5000 -c work_mem=8MB",
            id="an operator's options come last",
        ),
    ],
)
def test_the_timeouts_are_startup_options(monkeypatch: pytest.MonkeyPatch, own: str, options: str) -> None:
    monkeypatch.setenv("PGOPTIONS", own)
    engine = create_engine("postgresql+psycopg2://ada@database/users")
    set_session_timeouts(engine, statement_timeout=5, lock_timeout=0)
    parameters: dict[str, str] = {}

    engine.dialect.dispatch.do_connect(engine.dialect, None, [], parameters)

    assert parameters == {"options": options}


@pytest.mark.parametrize(
    ("url", "seconds"), [("sqlite://", 5), ("postgresql+psycopg2://ada@database/users", 0)]
)
def test_without_timeouts_there_are_no_options(url: str, seconds: float) -> None:
    engine = create_engine(url)
    set_session_timeouts(engine, statement_timeout=seconds)
    parameters: dict[str, str] = {}

    engine.dialect.dispatch.do_connect(engine.dialect, None, [], parameters)

    assert parameters == {}
