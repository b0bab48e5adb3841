"""Database connections that PostgreSQL or the network has closed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import psutil
import psycopg2
import pytest

from tests.support.network import network
from tests.support.postgres import PostgreSQL
from tests.support.service import service
from tests.support.waiting import until, until_a_lock_is_waited_for

NOTICE = b"N"  # The first byte of a protocol message; its length is missing.
PATIENT = {"REQUEST_TIMEOUT": "60", "DATABASE_LOCK_TIMEOUT": "60", "DATABASE_STATEMENT_TIMEOUT": "60"}
OURS = "FROM pg_stat_activity WHERE application_name = 'users-api'"


@pytest.mark.parametrize("path", ["/users", "/health/ready"])
def test_a_connection_that_was_closed_while_idle_fails_no_request(postgres: PostgreSQL, path: str) -> None:
    database = f"users_ended_{path.count('/')}"
    with (
        service(postgres.create(database), WEB_CONCURRENCY="1") as running,
        closing(psycopg2.connect(postgres.url(database))) as other,
        other.cursor() as cursor,
    ):
        other.autocommit = True
        assert httpx.get(f"{running.url}{path}").status_code == 200
        cursor.execute(f"SELECT pg_terminate_backend(pid) {OURS} AND datname = current_database()")
        assert cursor.fetchall() == [(True,)]

        def ended() -> bool:
            cursor.execute(f"SELECT count(*) {OURS} AND datname = current_database()")
            return cursor.fetchone() == (0,)

        until(ended)

        assert httpx.get(f"{running.url}{path}").status_code == 200


def test_a_reset_during_a_result_is_detected_immediately(postgres: PostgreSQL) -> None:
    url = postgres.create("users_broken_off")
    with (
        network(url) as (net, way),
        service(way, WEB_CONCURRENCY="1", **PATIENT) as running,
        closing(psycopg2.connect(url)) as holder,
        ThreadPoolExecutor() as pool,
    ):
        assert (
            httpx.post(
                f"{running.url}/users", json={"username": "ada", "email": "ada@example.org"}
            ).status_code
            == 201
        )
        holder.cursor().execute("SELECT 1 FROM users FOR UPDATE")
        change = pool.submit(httpx.patch, f"{running.url}/users/1", json={"active": False}, timeout=30)
        until_a_lock_is_waited_for(url)
        (worker,) = psutil.Process(running.process.pid).children()

        worker.suspend()  # The worker then receives the last byte and the reset together.
        net.reset(NOTICE)
        worker.resume()

        assert change.result().status_code == 503
