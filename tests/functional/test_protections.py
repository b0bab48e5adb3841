"""What keeps one worker answering while its database does not, or refuses."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import psutil
import psycopg2
import pytest

from tests.postgres import PostgreSQL
from tests.server import Service, service
from tests.waiting import until

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
    """A server of one worker with one connection to a database that has one user."""
    with service(postgres.create("users_limited"), **LIMITS) as running:
        assert httpx.post(f"{running.url}/users", json=USER).status_code == 201
        yield running


@pytest.fixture
def holder(limited: Service) -> Iterator[psycopg2.extensions.connection]:
    """A session that holds the user."""
    with closing(psycopg2.connect(limited.environment["DATABASE_URL"])) as holder:
        holder.cursor().execute("SELECT 1 FROM users FOR UPDATE")
        yield holder


@pytest.fixture
def frozen(limited: Service, postgres: PostgreSQL) -> Iterator[None]:
    """A PostgreSQL that does nothing and ends nothing."""
    main = psutil.Process(postgres.process.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    yield
    for process in reversed(processes):
        process.resume()


def ask(running: Service, method: str, path: str, body: Any = None) -> tuple[int, Any, float]:
    """Send a request; return status and content of the answer, and after how many seconds it came."""
    began = time.monotonic()
    answer = httpx.request(method, running.url + path, json=body, timeout=60)
    assert (answer.status_code == 503) == (answer.headers.get("Retry-After") == "1")
    return answer.status_code, answer.json(), time.monotonic() - began


def test_a_lock_is_waited_for_so_long(limited: Service, holder: psycopg2.extensions.connection) -> None:
    status, content, seconds = ask(limited, "PATCH", "/users/1", {"username": "late"})

    assert (status, content) == (503, AWAY)
    assert 2 <= seconds < 2 + MARGIN_SECONDS


def test_one_request_too_many_is_refused_at_once(limited: Service, holder: psycopg2.extensions.connection) -> None:
    with ThreadPoolExecutor() as pool, closing(psycopg2.connect(limited.environment["DATABASE_URL"])) as watcher:
        watcher.autocommit = True
        cursor = watcher.cursor()
        using = pool.submit(ask, limited, "PATCH", "/users/1", {"username": "first"})
        until(lambda: cursor.execute(WAITING) or cursor.fetchone())
        others = [pool.submit(ask, limited, "GET", "/users/1") for _ in range(2)]
        until(lambda: any(other.done() for other in others))
        refused = next(other for other in others if other.done()).result()
        lives, _, _ = ask(limited, "GET", "/health/live")
        assert not using.done()
        holder.rollback()

    assert refused[:2] == (503, AWAY)
    assert lives == using.result()[0] == 200
    assert sorted(other.result()[0] for other in others) == [200, 503]


def test_a_database_that_does_not_answer_is_waited_for_so_long(limited: Service, postgres: PostgreSQL, frozen: None) -> None:
    amid_a_statement, anew, again = (ask(limited, "GET", "/users/1") for _ in range(3))

    (worker,) = psutil.Process(limited.process.pid).children()
    kept = [each for each in worker.net_connections("tcp") if each.raddr and each.raddr.port == postgres.port]
    assert [answer[:2] for answer in (amid_a_statement, anew, again)] == [(503, AWAY)] * 3
    assert kept == []
    assert 4 <= amid_a_statement[2] < 4 + MARGIN_SECONDS
    assert 1 <= anew[2] < 1 + MARGIN_SECONDS


def test_after_all_that_the_one_connection_is_of_use(limited: Service) -> None:
    assert ask(limited, "GET", "/users/1")[0] == 200


def test_a_database_that_refuses_to_write_is_left_for_another_try(postgres: PostgreSQL) -> None:
    url = postgres.create("users_read_only")
    with service(url, **LIMITS) as running:
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            connection.cursor().execute("ALTER DATABASE users_read_only SET default_transaction_read_only = on")
            connection.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'users-api'"
            )
            refused = [ask(running, "POST", "/users", USER)[:2] for _ in range(2)]
            read, _, _ = ask(running, "GET", "/users")
            connection.cursor().execute("SET default_transaction_read_only = off")
            connection.cursor().execute("ALTER DATABASE users_read_only RESET default_transaction_read_only")
        still_refused, written = (ask(running, "POST", "/users", USER) for _ in range(2))

    assert refused == [(503, AWAY)] * 2
    assert read == 200
    assert (still_refused[0], written[0]) == (503, 201)


def test_postgresql_may_keep_its_own_limits(postgres: PostgreSQL) -> None:
    own = dict.fromkeys(("DATABASE_STATEMENT_TIMEOUT", "DATABASE_LOCK_TIMEOUT", "DATABASE_IDLE_TIMEOUT"), "0")
    with service(postgres.create("users_own_limits"), **own) as running:
        assert ask(running, "GET", "/users")[0] == 200
