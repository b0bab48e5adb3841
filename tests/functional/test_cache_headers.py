"""Every response tells browsers not to guess its type, and caches not to reuse it without asking."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.functional.exchanges import EXCHANGES, Exchange
from tests.support.cache_headers import is_guarded
from tests.support.service import Service, service


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The production server with an empty database."""
    with service(
        f"sqlite:///{tmp_path_factory.mktemp('fresh')}/fresh.db", WEB_CONCURRENCY="1", HEAD_TIMEOUT="2"
    ) as running:
        yield running


def unguarded(client: Any) -> list[tuple[Exchange, int]]:
    """Send all requests in order; return those with another status, or without the headers."""
    responses = [
        (each, client.request(each.method, each.path, content=each.body, headers=each.headers))
        for each in EXCHANGES
    ]
    return [
        (each, response.status_code)
        for each, response in responses
        if response.status_code != each.status or not is_guarded(response.headers)
    ]


def test_every_response_of_the_application_has_the_headers(client: TestClient) -> None:
    assert unguarded(client) == []


def test_every_response_of_the_server_has_the_headers(fresh: Service) -> None:
    with httpx.Client(base_url=fresh.url) as client:
        assert unguarded(client) == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n", b"408"),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65536 + b"\r\n\r\n", b"431"),
    ],
)
def test_every_failure_of_the_server_itself_has_the_headers(
    fresh: Service, head: bytes, status: bytes
) -> None:
    with closing(socket.create_connection(("127.0.0.1", fresh.port), timeout=30)) as connection:
        connection.sendall(head)
        lines = connection.makefile("rb").read().partition(b"\r\n\r\n")[0].split(b"\r\n")

    assert lines[0].split()[1] == status
    assert {b"x-content-type-options: nosniff", b"cache-control: no-store"} <= set(lines)
