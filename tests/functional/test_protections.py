"""A worker keeps responding while its database is slow, unresponsive or read-only."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import psutil
import psycopg2
import pytest

from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until

AWAY = {"status": "error", "message": "The service is unavailable for the moment. Please try again."}
USER = {"username": "michael", "email": "hermanmu@gmail.com"}
LIMITS = {
    "WEB_CONCURRENCY": "1",
    "DATABASE_CONNECTIONS": "1",
    "REQUESTS_IN_FLIGHT": "2",
    "DATABASE_POOL_TIMEOUT": "20",
    "DATABASE_CONNECT_TIMEOUT": "1",
    "DATABASE_LOCK_TIMEOUT": "2",
    "REQUEST_TIMEOUT": "4",
}
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
MARGIN_SECONDS = 3


@pytest.fixture(scope="module")
def limited(postgres: PostgreSQL) -> Iterator[Service]:
    """A server with one worker, one database connection and one stored user."""
    with service(postgres.create("users_limited"), **LIMITS) as running:
        assert httpx.post(f"{running.url}/users", json=USER).status_code == 201
        yield running


@pytest.fixture
def holder(limited: Service) -> Iterator[psycopg2.extensions.connection]:
    """A session that holds a lock on the user."""
    with closing(psycopg2.connect(limited.environment["DATABASE_URL"])) as holder:
        holder.cursor().execute("SELECT 1 FROM users FOR UPDATE")
        yield holder


@pytest.fixture
def frozen(limited: Service, postgres: PostgreSQL) -> Iterator[None]:
    """Suspends PostgreSQL's processes, which keep their connections open."""
    main = psutil.Process(postgres.process.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    yield
    for process in reversed(processes):
        process.resume()


def ask(running: Service, method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
    """Send a request; return the response's status, its content and its time in seconds."""
    began = time.monotonic()
    response = httpx.request(method, running.url + path, json=body, timeout=60)
    assert (response.status_code == 503) == (response.headers.get("Retry-After") == "1")
    return response.status_code, response.json(), time.monotonic() - began


def test_waiting_for_a_lock_times_out(limited: Service, holder: psycopg2.extensions.connection) -> None:
    status, content, seconds = ask(limited, "PATCH", "/users/1", {"username": "late"})

    assert (status, content) == (503, AWAY)
    assert 2 <= seconds < 2 + MARGIN_SECONDS


def test_a_request_over_the_limit_is_rejected_immediately(
    limited: Service, holder: psycopg2.extensions.connection
) -> None:
    with (
        ThreadPoolExecutor() as pool,
        closing(psycopg2.connect(limited.environment["DATABASE_URL"])) as watcher,
    ):
        watcher.autocommit = True
        cursor = watcher.cursor()
        using = pool.submit(ask, limited, "PATCH", "/users/1", {"username": "first"})
        until(lambda: cursor.execute(WAITING) or cursor.fetchone())
        others = [pool.submit(ask, limited, "GET", "/users/1") for _ in range(2)]
        until(lambda: any(other.done() for other in others))
        rejected = next(other for other in others if other.done()).result()
        lives, _, _ = ask(limited, "GET", "/health/live")
        assert not using.done()
        holder.rollback()

    assert rejected[:2] == (503, AWAY)
    assert lives == using.result()[0] == 200
    assert sorted(other.result()[0] for other in others) == [200, 503]


def test_waiting_for_an_unresponsive_database_times_out(
    limited: Service, postgres: PostgreSQL, frozen: None
) -> None:
    during_statement, reconnecting, again = (ask(limited, "GET", "/users/1") for _ in range(3))

    (worker,) = psutil.Process(limited.process.pid).children()
    kept = [each for each in worker.net_connections("tcp") if each.raddr and each.raddr.port == postgres.port]
    assert [response[:2] for response in (during_statement, reconnecting, again)] == [(503, AWAY)] * 3
    assert kept == []
    assert 4 <= during_statement[2] < 4 + MARGIN_SECONDS
    assert 1 <= reconnecting[2] < 1 + MARGIN_SECONDS


def test_the_connection_is_usable_after_timeouts(limited: Service) -> None:
    assert ask(limited, "GET", "/users/1")[0] == 200


def test_a_read_only_connection_is_replaced(postgres: PostgreSQL) -> None:
    url = postgres.create("users_read_only")
    with service(url, **LIMITS) as running:
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(
                "ALTER DATABASE users_read_only SET default_transaction_read_only = on"
            )
            connection.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'users-api'"
            )
            rejected = [ask(running, "POST", "/users", USER)[:2] for _ in range(2)]
            read, _, _ = ask(running, "GET", "/users")
            connection.cursor().execute("SET default_transaction_read_only = off")
            connection.cursor().execute("ALTER DATABASE users_read_only RESET default_transaction_read_only")
        still_refused, written = (ask(running, "POST", "/users", USER) for _ in range(2))

    assert rejected == [(503, AWAY)] * 2
    assert read == 200
    assert (still_refused[0], written[0]) == (503, 201)


def test_zero_keeps_postgresqls_own_limits(postgres: PostgreSQL) -> None:
    own = dict.fromkeys(("DATABASE_STATEMENT_TIMEOUT", "DATABASE_LOCK_TIMEOUT", "DATABASE_IDLE_TIMEOUT"), "0")
    with service(postgres.create("users_own_limits"), **own) as running:
        assert ask(running, "GET", "/users")[0] == 200
