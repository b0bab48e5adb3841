"""Each limit can be set, and the production server enforces it."""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from tests.support.service import COMMAND, Service, service
from tests.support.waiting import until
from users_api.server.protocol import MAX_PIPELINED

USER = {"username": "michael", "email": "hermanmu@gmail.com"}
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
BIG = PING.replace(b"/ping", b"/openapi.json")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with low limits."""
    limits = {
        "HEAD_LIMIT": "2048",
        "BODY_LIMIT": "1100",
        "HEAD_TIMEOUT": "0.5",
        "BODY_TIMEOUT": "0.25",
        "SEND_TIMEOUT": "6",
    }
    with service(f"sqlite:///{tmp_path_factory.mktemp('strict')}/strict.db", **limits) as running:
        yield running


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Service]:
    """A server that accepts one connection at a time."""
    with service(f"sqlite:///{tmp_path}/narrow.db", WEB_CONCURRENCY="1", CLIENT_CONNECTIONS="1") as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[[Service], socket.socket]]:
    """Opens connections with a timeout of 30 s."""
    with ExitStack() as stack:
        yield lambda running: stack.enter_context(
            closing(socket.create_connection(("127.0.0.1", running.port), timeout=30))
        )


def read_response(connection: socket.socket) -> tuple[int, str | None, bytes]:
    """Read one response; return its status, `Connection` header and body."""
    with closing(HTTPResponse(connection)) as response:
        response.begin()
        return response.status, response.headers["Connection"], response.read()


def test_head_and_body_sizes_are_limited_by_settings(strict: Service) -> None:
    long_head = httpx.get(f"{strict.url}/ping", headers={"X": "x" * 2048})
    long_body = httpx.post(f"{strict.url}/users", json=USER | {"username": "x" * 1100})

    assert (long_head.status_code, long_head.json()["message"]) == (
        431,
        "The request line and the headers must not be larger than 2 KiB together.",
    )
    assert (long_body.status_code, long_body.json()["message"]) == (
        413,
        "The request body must not be larger than 1100 bytes.",
    )


def test_head_and_body_times_are_limited_by_settings(
    strict: Service, connect: Callable[[Service], socket.socket]
) -> None:
    slow_head, slow_body = connect(strict), connect(strict)

    slow_head.sendall(PING[:-2])
    slow_body.sendall(
        b"POST /users HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    )

    responses = [read_response(connection) for connection in (slow_head, slow_body)]
    assert [(status, json.loads(body)["message"]) for status, _, body in responses] == [
        (408, "The request line and the headers did not arrive within 0.5 seconds."),
        (408, "The request body did not arrive within 0.25 seconds."),
    ]


def test_a_client_that_stops_reading_is_disconnected(
    strict: Service, connect: Callable[[Service], socket.socket]
) -> None:
    client, end = connect(strict), select.poll()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    end.register(client, 0)

    def has_ended() -> bool:
        """Send a byte, since a full receive buffer may drop the reset, but not the response to the byte."""
        with suppress(ConnectionError):
            client.send(b"\n")
        return bool(end.poll(0))

    client.sendall(BIG * MAX_PIPELINED)

    assert [httpx.get(f"{strict.url}/ping").status_code for _ in range(10)] == [200] * 10
    until(has_ended)


def test_a_client_that_reads_is_not_disconnected(
    strict: Service, connect: Callable[[Service], socket.socket]
) -> None:
    client = connect(strict)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.sendall(BIG * (MAX_PIPELINED - 1) + BIG.replace(b"Host", b"Connection: close\r\nHost"))

    with client.makefile("rb") as responses:
        assert responses.read().count(b"HTTP/1.1 200 OK\r\n") == MAX_PIPELINED


def test_pipelined_requests_are_answered_up_to_the_limit(
    strict: Service, connect: Callable[[Service], socket.socket]
) -> None:
    client = connect(strict)
    client.sendall(PING * 10 * MAX_PIPELINED)

    with client.makefile("rb") as responses:
        assert responses.read().count(b"HTTP/1.1 200 OK\r\n") == MAX_PIPELINED + 1


def test_a_connection_over_the_limit_waits_until_another_closes(
    narrow: Service, connect: Callable[[Service], socket.socket]
) -> None:
    first, second = connect(narrow), connect(narrow)
    first.sendall(PING)
    assert read_response(first)[0] == 200
    second.sendall(PING)
    second.settimeout(0.5)
    with pytest.raises(TimeoutError):
        read_response(second)

    first.close()

    second.settimeout(30)
    assert read_response(second)[0] == 200


def test_a_new_connection_replaces_the_one_that_has_waited_longest(
    tmp_path: Path, connect: Callable[[Service], socket.socket]
) -> None:
    options = {"WEB_CONCURRENCY": "1", "CLIENT_CONNECTIONS": "3", "HEAD_TIMEOUT": "60"}
    with service(f"sqlite:///{tmp_path}/full.db", **options) as running:
        until(lambda: httpx.get(f"{running.url}/ping").status_code == 200)
        partial = connect(running)
        partial.sendall(PING[:-2])
        idle = [connect(running) for _ in range(2)]
        for connection in idle:
            connection.sendall(PING)
            assert read_response(connection)[0] == 200

        received = []
        for _ in range(3):
            newcomer = connect(running)
            newcomer.sendall(PING.replace(b"/ping", b"/health/live"))
            received.append(read_response(newcomer)[0])

        assert received == [200] * 3
        assert [connection.recv(1) for connection in idle] == [b"", b""]
        assert read_response(partial)[:2] == (503, "close")


@pytest.mark.parametrize(("limit", "most"), [(400, 264), (130, 0)])
def test_more_connections_than_open_files_stop_the_start(tmp_path: Path, limit: int, most: int) -> None:
    command = ["bash", "-c", f"ulimit -n {limit} && exec {COMMAND} serve"]
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/few.db"}

    ended = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"Error: CLIENT_CONNECTIONS must be at most {most}, because the system allows {limit} open files; "
        "or raise that limit, for example with `ulimit -n`\n"
    )


def test_graceful_shutdown_answers_requests_in_the_backlog(
    narrow: Service, connect: Callable[[Service], socket.socket]
) -> None:
    idle, waiting = connect(narrow), connect(narrow)
    idle.sendall(PING)
    assert read_response(idle)[:2] == (200, None)
    waiting.sendall(PING)

    narrow.process.send_signal(signal.SIGTERM)
    until(lambda: "Shutting down" in narrow.output())
    idle.sendall(PING)

    assert [read_response(connection)[:2] for connection in (idle, waiting)] == [(200, "close")] * 2
    assert narrow.process.wait(25) == 0
