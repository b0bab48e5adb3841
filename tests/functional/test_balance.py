"""Workers share client connections evenly, even after one of them was killed."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.service import Service, service
from tests.support.waiting import until

FAIR = 6  # Of 16 connections; a worker that the kernel schedules late gets fewer than half.
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    """A server with two workers, which the test may kill."""
    with service(f"sqlite:///{tmp_path}/balance.db") as running:
        until(lambda: len(workers(running)) == 2)
        yield running


def workers(running: Service) -> list[psutil.Process]:
    """Return the workers that are ready."""
    children, log = psutil.Process(running.process.pid).children(), running.output()
    return [child for child in children if f"Started server process [{child.pid}]" in log]


@contextmanager
def connections(running: Service, times: int) -> Iterator[None]:
    """Hold this many connections open, after one response on each."""
    with ExitStack() as stack:
        for _ in range(times):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            connection.sendall(PING)
            assert connection.recv(1024).startswith(b"HTTP/1.1 200 OK")
        yield


def shares(running: Service) -> list[int]:
    """Return how many connections each worker has."""
    return sorted(
        sum(each.status == psutil.CONN_ESTABLISHED for each in worker.net_connections("tcp"))
        for worker in workers(running)
    )


def test_connections_are_shared_evenly(running: Service) -> None:
    until(lambda: running.output().count("Application startup complete.") == 2)

    with connections(running, 16):
        assert min(shares(running)) >= FAIR


def test_a_replacement_worker_takes_over_the_share_of_a_killed_one(running: Service) -> None:
    until(lambda: running.output().count("Application startup complete.") == 2)
    with connections(running, 2):
        os.kill(workers(running)[0].pid, signal.SIGKILL)
        until(lambda: running.output().count("Application startup complete.") == 3)

        with connections(running, 15):
            assert min(shares(running)) >= FAIR
