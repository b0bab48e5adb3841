"""Fixtures of the conversations: the service, the front ends, and the lanes through them."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from queue import SimpleQueue

import pytest

from tests.desync.attacks import BODY_LIMIT, BODY_SECONDS, Attack
from tests.desync.conversation import PATIENCE_SECONDS, Lane, Report
from tests.desync.front_ends import FRONT_ENDS
from tests.support.postgres import PostgreSQL, postgresql
from tests.support.service import Service, service

LANES = 12
NUMBERS = count(1)

Converse = Callable[[str, Attack], Future[Report]]
"""Runs a conversation with this name and attack when a lane is free."""


def pytest_collection_modifyitems() -> None:
    """Refuse to start without the front ends."""
    missing = [name for name in FRONT_ENDS if not shutil.which(name)]
    if missing:
        message = f"not in PATH: install {' '.join(missing)} (make desync does, on Debian as root)"
        raise pytest.UsageError(message)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A PostgreSQL server with a connection for each lane."""
    with postgresql("-c", "max_connections=200") as server:
        yield server


def start(postgres: PostgreSQL, database: str) -> Iterator[Service]:
    """Start the service with short limits for attackers, and long ones for victims on a busy machine."""
    settings = {
        "HEAD_TIMEOUT": str(BODY_SECONDS),
        "BODY_TIMEOUT": str(BODY_SECONDS),
        "BODY_LIMIT": str(BODY_LIMIT),
        "DATABASE_POOL_TIMEOUT": "15",
        "REQUEST_TIMEOUT": "15",
    }
    with service(postgres.create(database), **settings) as running:
        yield running


@pytest.fixture(scope="session")
def running(postgres: PostgreSQL) -> Iterator[Service]:
    """The real server with two workers."""
    yield from start(postgres, "users_desync")


@pytest.fixture(scope="session")
def misled(postgres: PostgreSQL) -> Iterator[Service]:
    """Another one, behind back ends that misread requests; its users are not checked."""
    yield from start(postgres, "users_misled")


@pytest.fixture(scope="session")
def lanes_to() -> Iterator[Callable[..., Converse]]:
    """Returns what runs conversations on the ports of a front end, several at the same time."""
    with ExitStack() as stack:

        def lanes_to(
            name: str, ports: list[int], running: Service, patience: float = PATIENCE_SECONDS
        ) -> Converse:
            free: SimpleQueue[Lane] = SimpleQueue()
            for port in ports:
                lane = Lane(name, port, running.environment["DATABASE_URL"], patience)
                free.put(stack.enter_context(closing(lane)))
            pool = stack.enter_context(ThreadPoolExecutor(len(ports)))

            def converse(name: str, attack: Attack) -> Report:
                lane = free.get()
                try:
                    return lane.converse(name, attack, f"{next(NUMBERS):08}")
                finally:
                    free.put(lane)

            return lambda name, attack: pool.submit(converse, name, attack)

        yield lanes_to


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test enters into it."""
    with ExitStack() as stack:
        yield stack
