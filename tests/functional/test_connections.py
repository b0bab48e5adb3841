"""Connections that PostgreSQL has ended."""

from contextlib import closing

import httpx
import psycopg2
import pytest

from tests.postgres import PostgreSQL
from tests.server import service
from tests.waiting import until

OURS = "FROM pg_stat_activity WHERE application_name = 'users-api'"


@pytest.mark.parametrize("path", ["/users", "/health/ready"])
def test_a_connection_that_ended_while_nobody_used_it_fails_no_request(postgres: PostgreSQL, path: str) -> None:
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
