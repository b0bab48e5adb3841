"""Every response tells browsers not to guess its type, and caches not to reuse it without asking."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.testclient import TestClient

from tests.support.cache_headers import is_guarded
from tests.support.service import Service, service

JSON = {"Content-Type": "application/json"}
ADA = b'{"username": "Ada", "email": "ada@example.org"}'
BUNDLE = "/ui/swagger-ui-bundle.js"


class Exchange(NamedTuple):
    """A request and the status of its response."""

    status: int
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = JSON


EXCHANGES = [
    Exchange(200, "GET", "/ping"),
    Exchange(200, "GET", "/health/live"),
    Exchange(200, "GET", "/health/ready"),
    Exchange(404, "GET", "/users/1"),
    Exchange(201, "POST", "/users", ADA),
    Exchange(200, "GET", "/users/1"),
    Exchange(200, "HEAD", "/users/1"),
    Exchange(304, "GET", "/users/1", headers={"If-None-Match": "*"}),
    Exchange(200, "GET", "/users?limit=1"),
    Exchange(400, "GET", "/users?limit=0"),
    Exchange(400, "POST", "/users", b"{"),
    Exchange(400, "POST", "/users", ADA),
    Exchange(415, "POST", "/users", ADA, {"Content-Type": "text/plain"}),
    Exchange(413, "POST", "/users", b" " * (1024 * 1024 + 1)),
    Exchange(200, "PUT", "/users/1", ADA),
    Exchange(200, "PATCH", "/users/1", ADA),
    Exchange(412, "PATCH", "/users/1", ADA, JSON | {"If-Match": '"1-0"'}),
    Exchange(200, "DELETE", "/users/1"),
    Exchange(404, "GET", "/users/blah"),
    Exchange(404, "GET", "/nowhere"),
    Exchange(405, "POST", "/ping"),
    Exchange(307, "GET", "/"),
    Exchange(307, "GET", "/ui"),
    Exchange(200, "GET", "/ui/"),
    Exchange(200, "HEAD", "/ui/"),
    Exchange(200, "GET", BUNDLE),
    Exchange(200, "GET", BUNDLE, headers={"Accept-Encoding": "gzip"}),
    Exchange(304, "GET", BUNDLE, headers={"If-None-Match": "*"}),
    Exchange(404, "GET", "/ui/nope"),
    Exchange(405, "POST", "/ui/"),
    Exchange(200, "GET", "/openapi.json"),
    Exchange(200, "GET", "/openapi.yaml"),
    Exchange(200, "GET", "/metrics"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The production server with an empty database."""
    with service(
        f"sqlite:///{tmp_path_factory.mktemp('fresh')}/fresh.db", WEB_CONCURRENCY="1", HEAD_TIMEOUT="0.5"
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
