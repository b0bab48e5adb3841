"""Beyond one machine: a pooler, a standby that is promoted, and two instances behind a reverse proxy."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.postgres import PostgreSQL, postgresql
from tests.resilience.conftest import FROZEN_SECONDS, RECOVERY_SECONDS, UnderLoad, frozen, kill
from tests.resilience.load import WRITERS
from tests.resilience.proxies import Program, haproxy, pgbouncer, standby
from tests.server import Service, service

IN_PROCESS = ("users", "lists", "versions", "requests", "failures")


@pytest.fixture(scope="module")
def pooler(postgres: PostgreSQL) -> Iterator[Program]:
    """PgBouncer in transaction mode."""
    with pgbouncer(postgres) as pooler:
        yield pooler


@pytest.fixture(scope="module")
def pooled(pooler: Program, postgres: PostgreSQL) -> Iterator[Service]:
    """The real server, which reaches its database through PgBouncer only."""
    with service(postgres.create("users_pooled").replace(str(postgres.port), str(pooler.port))) as running:
        yield running


def test_the_functional_tests_pass_through_pgbouncer(pooler: Program, postgres: PostgreSQL, root: Path) -> None:
    url = postgres.create("users_test").replace(str(postgres.port), str(pooler.port))
    tests = [f"tests/functional/test_{name}.py" for name in IN_PROCESS]
    command = [sys.executable, "-m", "pytest", "-q", "-k", "postgresql", *tests]

    done = subprocess.run(
        command, env=os.environ | {"DATABASE_TEST_URL": url}, cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-5000:]
    print(done.stdout.splitlines()[-1])


def test_postgresql_is_killed_behind_pgbouncer(under_load: UnderLoad, pooled: Service, postgres: PostgreSQL) -> None:
    with under_load("PostgreSQL killed and restarted behind PgBouncer", pooled) as load:
        kill(postgres.process)
        load.fail()
        postgres.start()
        assert load.recover() < RECOVERY_SECONDS


def test_connections_are_terminated_behind_pgbouncer(under_load: UnderLoad, pooled: Service, postgres: PostgreSQL) -> None:
    with under_load("every connection behind PgBouncer terminated, ten times", pooled) as load:
        for _ in range(10):
            with closing(psycopg2.connect(postgres.url("postgres"))) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'users_pooled'")
            assert load.recover() < RECOVERY_SECONDS


def test_postgresql_is_frozen_behind_pgbouncer(under_load: UnderLoad, pooled: Service, postgres: PostgreSQL) -> None:
    with under_load(f"PostgreSQL behind PgBouncer frozen for {FROZEN_SECONDS} s", pooled) as load:
        with frozen(postgres, FROZEN_SECONDS):
            load.fail()
        assert load.recover() < RECOVERY_SECONDS


def test_pgbouncer_is_killed(under_load: UnderLoad, pooled: Service, pooler: Program) -> None:
    with under_load("PgBouncer killed and restarted", pooled) as load:
        pooler.kill()
        load.fail()
        pooler.start()
        assert load.recover() < RECOVERY_SECONDS


def test_the_service_follows_a_promoted_standby(under_load: UnderLoad) -> None:
    with postgresql() as primary, standby(primary) as successor:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{successor.port}"
        url = primary.create("users_replicated").replace(f"127.0.0.1:{primary.port}", hosts) + "?target_session_attrs=read-write"
        with service(url) as running, under_load("primary killed, synchronous standby promoted", running) as load:
            kill(primary.process)
            load.fail()
            successor.promote()
            assert load.recover() < RECOVERY_SECONDS


def test_one_of_two_instances_is_killed(under_load: UnderLoad, running: Service, faulty_url: str) -> None:
    with (
        service(faulty_url) as other,
        haproxy(running, other) as proxy,
        under_load("one of two instances behind HAProxy killed", other, port=proxy.port, broken=2 * WRITERS) as load,
    ):
        kill(other.process)
        assert load.recover() < RECOVERY_SECONDS
        other.start()
        load.go_on()
