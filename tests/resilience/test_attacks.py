"""Clients take memory, connections, descriptors or CPU time: their neighbours are served all the same."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from tests.resilience.attacks import (
    FILTERING_CLIENTS,
    MIB,
    combine_filters,
    hold_bodies,
    hold_idle,
    leave_unread,
    send_hostile_json,
    use_descriptors,
)
from tests.resilience.callers import Witness, is_served
from tests.resilience.conftest import RECOVERY_SECONDS, UnderLoad
from tests.resilience.load import Load
from tests.resilience.neighbours import Attack, impact, run
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, migrate, service
from tests.support.waiting import until

STARTED = "Application startup complete."
MAX_MEMORY = 256 * MIB
GROWTH = 1.1
CLIENT_CONNECTIONS = 200
IDLE_CONNECTIONS = 600  # More than two workers accept.
MAX_WAIT_SECONDS = 2
FREE_DESCRIPTORS = 30  # More than the connections that the pool may still open.
WARMING_CLIENTS, WARMING_SECONDS = 10, 1
OK, UNAVAILABLE = 200, 503
# The first users have the longest names; then half of the others are active, and these have one name.
FILL = """
    INSERT INTO users (username, email)
    SELECT repeat('😀', 128), lpad(number || '@example.org', 128, 'x') FROM generate_series(1, 1000) number;
    INSERT INTO users (username, email, active)
    SELECT CASE number % 2 WHEN 0 THEN 'same' ELSE 'user' || number END,
           number || '@example.org', number % 2 = 0
    FROM generate_series(1, 100000) number;
    ANALYZE users
"""


@pytest.fixture(scope="module")
def url(postgres: PostgreSQL) -> str:
    """A database with many users; the services connect to it directly."""
    url = postgres.create("users_attacked")
    migrate(url)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(FILL)
    return url


@pytest.fixture(scope="module")
def running(url: str) -> Iterator[Service]:
    """The real server on that database."""
    with service(url) as running:
        until(lambda: running.output().count(STARTED) == 2)
        yield running


class Launch:
    """Launches attacks, each on a running service, and measures by how much they delay its other clients."""

    def __init__(self, attackers: Executor, neighbours: Executor) -> None:
        self.attackers, self.neighbours = attackers, neighbours

    def warm_up(self, running: Service, attack: Callable[..., Any]) -> None:
        """Let a few clients send the requests of the attack, so that memory has been used for them once."""
        warming = partial(attack, clients=WARMING_CLIENTS)
        self.attackers.submit(run, warming, running.port, WARMING_SECONDS).result()

    def __call__(
        self, load: Load, running: Service, attack: Attack, accepted: frozenset[int] = frozenset({OK})
    ) -> Counter[int]:
        """Record the slowdown of the neighbours, who accept some statuses; return those of the attack."""
        load.slowdown, statuses = impact(self.attackers, self.neighbours, running.port, attack, accepted)
        return statuses


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Launches attacks; these and the neighbours have processes of their own, which are running."""
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as attackers,
        ProcessPoolExecutor(1, get_context("spawn")) as neighbours,
    ):
        for process in (attackers, neighbours):
            process.submit(os.getpid).result()
        yield Launch(attackers, neighbours)


def workers(running: Service) -> list[psutil.Process]:
    """Return the workers."""
    return psutil.Process(running.process.pid).children()


def memory(running: Service) -> list[int]:
    """Return the memory of each worker in bytes."""
    return [worker.memory_info().rss for worker in workers(running)]


def peak_memory(running: Service) -> int:
    """Return how much memory a worker has had at most, in bytes."""
    lines = [
        line.split()
        for worker in workers(running)
        for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    ]
    return max(int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:")


@pytest.mark.parametrize(
    ("fault", "attack", "statuses"),
    [
        ("1,000 clients that hold back the end of 1 MiB", hold_bodies, {0, UNAVAILABLE}),
        ("300 clients that do not read the largest list", leave_unread, {0}),
    ],
)
def test_clients_hold_memory(  # noqa: PLR0913, PLR0917 -- three of them are parameters.
    under_load: UnderLoad,
    running: Service,
    launch: Launch,
    fault: str,
    attack: Callable[..., Any],
    statuses: set[int],
) -> None:
    with under_load(fault, running) as load:
        launch.warm_up(running, attack)
        load.go_on()
        start = memory(running)
        found = launch(load, running, attack)
        print(f"memory: {start}, {memory(running)} afterwards, at most {peak_memory(running)}")
        assert found.keys() == statuses
        assert peak_memory(running) <= MAX_MEMORY
        until(lambda: all(now <= GROWTH * then for now, then in zip(memory(running), start, strict=True)))
        load.go_on()
    assert all(map(is_served, load.answers))


def test_idle_connections_use_all_slots(under_load: UnderLoad, url: str, launch: Launch) -> None:
    fault = f"{IDLE_CONNECTIONS} idle connections, {2 * CLIENT_CONNECTIONS} possible"
    with service(url, CLIENT_CONNECTIONS=str(CLIENT_CONNECTIONS)) as running:
        until(lambda: running.output().count(STARTED) == 2)
        with under_load(fault, running) as load:
            newcomers = Witness(running.port, load.over, "/users/1")
            newcomers.start()
            statuses = launch(load, running, partial(hold_idle, clients=IDLE_CONNECTIONS))
        newcomers.join()
    assert statuses == {OK: IDLE_CONNECTIONS}
    answers = (*load.witness.answers, *newcomers.answers)
    assert all(map(is_served, (*load.answers, *answers)))
    assert max(answer.ended - answer.began for answer in answers) < MAX_WAIT_SECONDS


def test_a_worker_has_no_free_descriptor(under_load: UnderLoad, url: str, launch: Launch) -> None:
    with service(url) as running:
        until(lambda: running.output().count(STARTED) == 2)
        with under_load("one of two workers without a free descriptor", running) as load:
            worker = workers(running)[0]
            limit = (
                max(int(link.name) for link in Path(f"/proc/{worker.pid}/fd").iterdir()) + FREE_DESCRIPTORS
            )
            worker.rlimit(psutil.RLIMIT_NOFILE, (limit, worker.rlimit(psutil.RLIMIT_NOFILE)[1]))
            attack = partial(use_descriptors, process=worker.pid, limit=limit)
            launch(load, running, attack, accepted=frozenset({OK, UNAVAILABLE}))
            assert load.recover() < RECOVERY_SECONDS
            until(lambda: worker.num_fds() < limit, seconds=RECOVERY_SECONDS)
        assert "Traceback" not in running.output()


@pytest.mark.parametrize("clients", [16, 4])
def test_clients_send_hostile_json(
    under_load: UnderLoad, running: Service, launch: Launch, clients: int
) -> None:
    with under_load(f"{clients} clients send hostile JSON", running) as load:
        statuses = launch(load, running, partial(send_hostile_json, clients=clients))
    assert statuses.keys() <= {400, 503}
    assert all(map(is_served, load.answers))


def test_clients_combine_filters(under_load: UnderLoad, running: Service, launch: Launch) -> None:
    with under_load(f"{FILTERING_CLIENTS} clients combine filters without results", running) as load:
        statuses = launch(load, running, combine_filters)
    assert statuses.keys() == {OK}
    assert all(map(is_served, load.answers))
