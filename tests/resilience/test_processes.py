"""The service's processes are killed, stopped, reloaded, started too early and overloaded."""

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from statistics import median

import httpx
import psutil
import psycopg2
import pytest

from tests.resilience.callers import AWAY, CALLER_SECONDS, is_served
from tests.resilience.conftest import RECOVERY_SECONDS, UnderLoad
from tests.resilience.flood import flood
from tests.resilience.load import WRITERS
from tests.support.postgres import PostgreSQL
from tests.support.programs import Program
from tests.support.service import Service, service
from tests.support.waiting import until

STARTED = "Application startup complete."
SLOW_SECONDS = 0.02
CAPACITY = 2 / SLOW_SECONDS
SLOW = f"""
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN PERFORM pg_sleep({SLOW_SECONDS}); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION be_slow()
"""


def workers(running: Service) -> list[psutil.Process]:
    """Return the running workers."""
    return psutil.Process(running.process.pid).children()


@pytest.fixture
def slow(postgres: PostgreSQL, pooler: Program | None) -> Iterator[Service]:
    """A server with two connections to a database where adding a user is slow."""
    url = postgres.create("users_slow_pooled" if pooler else "users_slow")
    with service(url, DATABASE_CONNECTIONS="2", REQUESTS_IN_FLIGHT="20") as running:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(SLOW)
        yield running


def test_a_worker_is_killed(under_load: UnderLoad, running: Service) -> None:
    until(lambda: running.output().count(STARTED) == 2)
    with under_load("one of two workers killed with kill -9", running, broken=WRITERS) as load:
        os.kill(workers(running)[0].pid, signal.SIGKILL)
        assert load.recover() < RECOVERY_SECONDS
        until(lambda: running.output().count(STARTED) == 3)
        load.go_on()


def test_the_master_is_killed(under_load: UnderLoad, faulty_url: str) -> None:
    with service(faulty_url) as running:
        until(lambda: running.output().count(STARTED) == 2)
        with under_load(
            "gunicorn's master killed with kill -9, and start", running, broken=WRITERS, gone=True
        ) as load:
            orphans = workers(running)
            running.process.kill()
            running.process.wait()
            until(lambda: not any(map(is_alive, orphans)))
            running.start()
            assert load.recover() < RECOVERY_SECONDS


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is running, and not a zombie."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_reload_answers_every_request(under_load: UnderLoad, running: Service) -> None:
    until(lambda: running.output().count(STARTED) >= 2)
    starts = running.output().count(STARTED)
    with under_load("reload (SIGHUP)", running, gone=True) as load:
        before = workers(running)
        running.process.send_signal(signal.SIGHUP)
        until(
            lambda: (
                running.output().count(STARTED) == starts + 2
                and not any(worker.is_running() for worker in before)
            )
        )
        load.go_on()
    assert all(map(is_served, load.answers))


def test_graceful_shutdown_answers_every_request(under_load: UnderLoad, faulty_url: str) -> None:
    with service(faulty_url) as running:
        until(lambda: running.output().count(STARTED) == 2)
        with under_load("stop (SIGTERM) and start", running, gone=True) as load:
            assert running.stop() == 0
            running.start()
            assert load.recover() < RECOVERY_SECONDS


def test_startup_without_the_database_waits_for_it(
    under_load: UnderLoad, postgres: PostgreSQL, faulty_url: str
) -> None:
    with service(faulty_url):
        postgres.stop()
    early = Service(faulty_url)
    try:
        answers = [
            httpx.get(early.url + path, timeout=CALLER_SECONDS) for path in ("/users", "/health/ready")
        ]
        assert [(answer.status_code, answer.json(), answer.headers["Retry-After"]) for answer in answers] == [
            (503, AWAY, "1")
        ] * 2
        assert httpx.get(f"{early.url}/health/live").status_code == http.client.OK
        postgres.start()
        until(lambda: httpx.get(f"{early.url}/health/ready").is_success, seconds=RECOVERY_SECONDS)
        with under_load("start while PostgreSQL is down", early):
            pass
    finally:
        assert early.stop() == 0
        early.log.close()


def test_load_exceeds_the_capacity_ten_times(under_load: UnderLoad, slow: Service) -> None:
    with under_load(f"load of ten times the capacity: {10 * CAPACITY:.0f}/s", slow) as load:
        answers = flood(slow.port, 10 * CAPACITY, seconds=4)
        load.recover()
    admitted = [answer.seconds for answer in answers if answer.status == 201]
    refused = [answer.seconds for answer in answers if answer.status == 503]
    print(
        f"admitted {len(admitted)}, longest {max(admitted):.2f} s; "
        f"refused {len(refused)}, median {median(refused):.3f} s"
    )
    assert len(admitted) + len(refused) == len(answers)
    assert len(admitted) > CAPACITY
    assert max(admitted) < 1.5
    assert median(refused) < 0.5
