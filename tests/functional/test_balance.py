"""The workers share the connections evenly, whatever happens to one of them."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from tests.server import Service, service
from tests.waiting import until

FAIR = 6  # of 16: a worker that the system does not let run for a moment loses its turn.
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    """A server with two workers that the test may harm."""
    with service(f"sqlite:///{tmp_path}/balance.db") as running:
        until(lambda: len(workers(running)) == 2)
        yield running


def workers(running: Service) -> list[psutil.Process]:
    """Return the workers that have told that they are ready."""
    ready = running.output().split()
    return [child for child in psutil.Process(running.process.pid).children() if f"[{child.pid}]" in ready]


@contextmanager
def connections(running: Service, times: int) -> Iterator[None]:
    """Hold so many connections open, each of which has been answered."""
    with ExitStack() as stack:
        for _ in range(times):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            connection.sendall(PING)
            assert connection.recv(1024).startswith(b"HTTP/1.1 200 OK")
        yield


def shares(running: Service) -> list[int]:
    """Return how many connections each worker has."""
    return sorted(
        sum(each.status == psutil.CONN_ESTABLISHED for each in worker.net_connections("tcp")) for worker in workers(running)
    )


def test_connections_are_shared_evenly(running: Service) -> None:
    until(lambda: running.output().count("Application startup complete.") == 2)

    with connections(running, 16):
        assert min(shares(running)) >= FAIR


def test_a_dead_workers_share_is_taken_by_its_successor(running: Service) -> None:
    until(lambda: running.output().count("Application startup complete.") == 2)
    with connections(running, 2):
        os.kill(workers(running)[0].pid, signal.SIGKILL)
        until(lambda: running.output().count("Application startup complete.") == 3)

        with connections(running, 15):
            assert min(shares(running)) >= FAIR


def test_callers_who_come_all_at_once_need_not_queue_for_their_turns(running: Service) -> None:
    until(lambda: running.output().count("Application startup complete.") == 2)

    assert median(_seconds(running, callers=64) for _ in range(15)) < 0.1  # With a wait for each it is 0.17.


def _seconds(running: Service, callers: int) -> float:
    """Return how long it takes until each of so many new callers has an answer."""
    began = time.monotonic()
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", running.port))) for _ in range(callers)]
        for caller in opened:
            caller.sendall(PING)
        assert all(caller.recv(1024).startswith(b"HTTP/1.1 200 OK") for caller in opened)
        return time.monotonic() - began
