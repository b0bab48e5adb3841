"""A worker without a free file descriptor still answers on the connections that it has."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from tests.functional.exchanges import EXCHANGES
from tests.support.postgres import PostgreSQL
from tests.support.service import Service, service
from tests.support.waiting import until

UNAVAILABLE = 503
IDLE_SECONDS = "600"
RAW = {
    b"nonsense\r\n\r\n": b"400",
    b"GET /ping HTTP/1.1\r\n\r\n": b"400",
    b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65536 + b"\r\n\r\n": b"431",
    b"POST /users HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{": b"408",
}


@pytest.fixture
def fresh(postgres: PostgreSQL) -> Iterator[Service]:
    """A server with one worker that has seen nothing but liveness checks."""
    waits = {"HEAD_TIMEOUT": IDLE_SECONDS, "BODY_TIMEOUT": "2"}
    with postgres.temporary("descriptors") as url, service(url, WEB_CONCURRENCY="1", **waits) as running:
        yield running


def ask(connection: HTTPConnection, method: str, path: str) -> int:
    """Return the status of a request without a body."""
    connection.request(method, path)
    response = connection.getresponse()
    response.read()
    return response.status


def statuses(connection: HTTPConnection) -> list[int]:
    """Return the statuses of all exchanges."""
    found = []
    for each in EXCHANGES:
        connection.request(each.method, each.path, each.body, each.headers)
        response = connection.getresponse()
        response.read()
        found.append(response.status)
    return found


@contextmanager
def no_free_descriptor(running: Service) -> Iterator[None]:
    """Lower the worker's limit and open connections until it has no free descriptor."""
    (worker,) = psutil.Process(running.process.pid).children()
    limit = max(int(link.name) for link in Path(f"/proc/{worker.pid}/fd").iterdir()) + 2
    worker.rlimit(psutil.RLIMIT_NOFILE, (limit, worker.rlimit(psutil.RLIMIT_NOFILE)[1]))
    with ExitStack() as idle:
        while (used := worker.num_fds()) < limit:
            idle.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=30))
            until(lambda: worker.num_fds() > used)
        yield


@pytest.fixture
def connection(fresh: Service) -> Iterator[HTTPConnection]:
    """A connection that the worker has accepted."""
    with closing(HTTPConnection("127.0.0.1", fresh.port, timeout=30)) as connection:
        assert ask(connection, "GET", "/health/live") == 200
        yield connection


def test_what_needs_no_database_answers_as_usual(fresh: Service, connection: HTTPConnection) -> None:
    with no_free_descriptor(fresh):
        found = statuses(connection)

    assert found == [UNAVAILABLE if each.uses_database else each.status for each in EXCHANGES]
    assert "Traceback" not in fresh.output()


def test_a_database_connection_in_the_pool_is_used(fresh: Service, connection: HTTPConnection) -> None:
    assert ask(connection, "GET", "/users") == 200

    with no_free_descriptor(fresh):
        found = statuses(connection)

    assert found == [each.status for each in EXCHANGES]
    assert "Traceback" not in fresh.output()


def test_the_server_rejects_invalid_requests_as_usual(fresh: Service) -> None:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", fresh.port), timeout=30)) for _ in RAW
        ]
        stack.enter_context(no_free_descriptor(fresh))
        for client, request in zip(clients, RAW, strict=True):
            client.sendall(request)
        found = [client.makefile("rb").readline().split()[1] for client in clients]

    assert found == list(RAW.values())
    assert "Traceback" not in fresh.output()


def test_the_service_is_ready_again_once_descriptors_are_free(
    fresh: Service, connection: HTTPConnection
) -> None:
    with no_free_descriptor(fresh):
        assert ask(connection, "GET", "/health/ready") == UNAVAILABLE

    until(lambda: ask(connection, "GET", "/health/ready") == 200)
