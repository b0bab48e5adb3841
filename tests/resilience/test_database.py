"""PostgreSQL fails in many ways: no acknowledged write is lost, and the service recovers automatically."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from tests.resilience.callers import CALLER_SECONDS, is_served
from tests.resilience.conftest import FROZEN_SECONDS, RECOVERY_SECONDS, UnderLoad, frozen, kill
from tests.resilience.load import Load
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until

OTHER = "another session"
# Sessions of the service or PgBouncer; a new session of PgBouncer has no name yet.
OURS = f"""
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database() AND application_name <> '{OTHER}'
"""
TERMINATE = f"SELECT pg_terminate_backend(pid) {OURS}"


@pytest.fixture
def sql(direct_url: str) -> Iterator[Callable[[str], list[Any]]]:
    """Runs a statement independently of the service, as an operator would."""
    with closing(psycopg2.connect(direct_url, application_name=OTHER)) as connection:
        connection.autocommit = True

        def run(statement: str) -> list[Any]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

        yield run


def test_postgresql_is_killed_and_restarted(
    under_load: UnderLoad, running: Service, postgres: PostgreSQL
) -> None:
    with under_load("PostgreSQL killed with kill -9 and restarted", running) as load:
        kill(postgres.process)
        load.fail()
        postgres.start()
        assert load.recover() < RECOVERY_SECONDS


def test_every_connection_is_terminated(
    under_load: UnderLoad, running: Service, sql: Callable[[str], list[Any]]
) -> None:
    with under_load("every connection terminated, ten times", running) as load:
        for _ in range(10):
            sql(TERMINATE)
            assert load.recover() < RECOVERY_SECONDS


def test_idle_connections_that_are_terminated_fail_no_request(
    under_load: UnderLoad, running: Service, sql: Callable[[str], list[Any]]
) -> None:
    with Load("before", running.port, running.environment["DATABASE_URL"]):
        pass
    sql(TERMINATE)
    until(lambda: not sql(f"SELECT 1 {OURS}"))
    with under_load("idle connections terminated", running) as load:
        pass
    assert all(map(is_served, load.answers))


def test_postgresql_is_frozen(under_load: UnderLoad, running: Service, postgres: PostgreSQL) -> None:
    with under_load(f"PostgreSQL frozen for {FROZEN_SECONDS} s", running) as load:
        with frozen(postgres, FROZEN_SECONDS):
            load.fail()
        assert load.recover() < RECOVERY_SECONDS


def test_a_row_is_locked(under_load: UnderLoad, running: Service, direct_url: str) -> None:
    made = httpx.post(f"{running.url}/users", json={"username": "locked", "email": "locked@example.org"})
    path = running.url + made.headers["Location"]

    def change(_number: int) -> int:
        return httpx.patch(path, json={"username": "unlocked"}, timeout=CALLER_SECONDS).status_code

    with (
        under_load("a row locked by another session", running) as load,
        closing(psycopg2.connect(direct_url)) as holder,
    ):
        holder.cursor().execute("SELECT 1 FROM users WHERE username = 'locked' FOR UPDATE")
        with ThreadPoolExecutor() as pool:
            assert set(pool.map(change, range(4))) == {503}
        load.go_on()
        holder.rollback()
        assert change(0) == 200
    assert all(map(is_served, load.answers))


def test_the_table_is_locked(under_load: UnderLoad, running: Service, direct_url: str) -> None:
    with (
        under_load("the table locked by another session", running) as load,
        closing(psycopg2.connect(direct_url)) as holder,
    ):
        holder.cursor().execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        load.fail()
        holder.rollback()
        assert load.recover() < RECOVERY_SECONDS


def test_other_clients_exhaust_the_connections(
    under_load: UnderLoad, running: Service, direct_url: str, sql: Callable[[str], list[Any]]
) -> None:
    with under_load("max_connections exhausted by other clients", running) as load, ExitStack() as others:

        def take_all() -> None:
            """Take every connection; a new one of PgBouncer is not in `OURS` before it has logged in."""
            sql(TERMINATE)
            with suppress(psycopg2.OperationalError):
                while True:
                    others.enter_context(closing(psycopg2.connect(direct_url, application_name=OTHER)))

        load.fail(take_all)
        others.close()
        assert load.recover() < RECOVERY_SECONDS


def test_postgresql_is_read_only(
    under_load: UnderLoad, running: Service, sql: Callable[[str], list[Any]]
) -> None:
    with under_load("PostgreSQL read-only", running) as load:
        sql("ALTER SYSTEM SET default_transaction_read_only = on")
        sql("SELECT pg_reload_conf()")
        load.fail()
        sql("ALTER SYSTEM RESET default_transaction_read_only")
        sql("SELECT pg_reload_conf()")
        assert load.recover() < RECOVERY_SECONDS


@pytest.fixture
def small_disk(postgres: PostgreSQL) -> Iterator[Path]:
    """A disk of 24 MiB for the server's files; creating it requires root."""
    folder = postgres.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=777", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="creating a small disk requires root")
def test_the_disk_is_full(
    under_load: UnderLoad, small_disk: Path, postgres: PostgreSQL, sql: Callable[[str], list[Any]]
) -> None:
    store = small_disk / "store"
    store.mkdir(mode=0o700)
    os.chown(store, postgres.owner["user"], postgres.owner["group"])
    sql(f"CREATE TABLESPACE small LOCATION '{store}'")
    sql("CREATE DATABASE users_full TABLESPACE small")
    with (
        service(postgres.url("users_full", postgres.entrance)) as running,
        under_load("PostgreSQL's disk full", running) as load,
    ):
        filler = small_disk / "filler"
        fill(filler)
        load.fail()
        filler.unlink()
        assert load.recover() < RECOVERY_SECONDS
    sql("DROP DATABASE users_full WITH (FORCE)")  # PgBouncer keeps its connections.
    sql("DROP TABLESPACE small")


def fill(filler: Path) -> None:
    """Write the file until the disk is full."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
