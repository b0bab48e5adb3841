"""Clients that disconnect or are slow, while others are served."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tests.resilience.callers import is_served
from tests.resilience.conftest import UnderLoad
from tests.support.service import Service, service
from tests.support.waiting import until

TIMES = 100
HEAD = b"POST /users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"username": "gone", "email": "gone@example.org"}'
BIG = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def running(faulty_url: str) -> Iterator[Service]:
    """A server with shorter timeouts, so that the tests can wait for them."""
    with service(faulty_url, HEAD_TIMEOUT="2", BODY_TIMEOUT="2", SEND_TIMEOUT="2") as running:
        yield running


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        ("during the headers", HEAD),
        ("during the body", HEAD + b"Content-Length: 49\r\n\r\n" + BODY[:20]),
        ("before the response", HEAD + b"Content-Length: 49\r\n\r\n" + BODY),
    ],
)
def test_clients_disconnect(under_load: UnderLoad, running: Service, fault: str, sent: bytes) -> None:
    with under_load(f"{TIMES} clients disconnect {fault}", running) as load:
        for _ in range(TIMES):
            with closing(socket.create_connection(("127.0.0.1", running.port))) as caller:
                caller.sendall(sent)
        load.go_on()
    assert all(map(is_served, load.answers))


@pytest.mark.parametrize(
    ("fault", "sent", "trickle"),
    [
        ("slow headers", HEAD + b"X: ", b"x"),
        ("slow bodies", HEAD + b"Content-Length: 49\r\n\r\n", b" "),
        ("unread responses", BIG * 90, b""),
    ],
)
def test_clients_are_slow(
    under_load: UnderLoad, running: Service, fault: str, sent: bytes, trickle: bytes
) -> None:
    with under_load(f"{TIMES} clients with {fault}", running) as load, ExitStack() as stack:
        ended = select.poll()
        callers = {}
        for _ in range(TIMES):
            caller = stack.enter_context(closing(socket.socket()))
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", running.port))
            caller.sendall(sent)
            ended.register(caller, select.POLLIN if trickle else 0)
            callers[caller.fileno()] = caller

        def all_ended() -> bool:
            for number, _ in ended.poll(0):
                ended.unregister(number)
                del callers[number]
            for caller in callers.values() if trickle else ():
                caller.send(trickle)
            return not callers

        until(all_ended)
        load.go_on()
    assert all(map(is_served, load.answers))
