"""Every response tells browsers and caches what they may do with it, and over HTTPS to keep to HTTPS."""

import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.functional.exchanges import EXCHANGES, Exchange
from tests.support.issued import own_issuer
from tests.support.raw_http import JSON, Stream, head, read_response, send
from tests.support.security_headers import is_guarded, joined
from tests.support.service import Service, service
from users_api.document import OPEN, load_document

OPERATIONS: list[tuple[str, str, Mapping[str, Any]]] = [
    (method.upper(), path, operation)
    for path, item in load_document(OPEN)["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]
PROXY_HEADERS = {"http": (), "https": ("X-Forwarded-Proto: https",)}
HOST = "Host: 127.0.0.1"
ADA = '{"username": "Ada", "email": "<new>"}'
# No row can be read from this table.
MISFIT = """
ALTER TABLE users RENAME TO people;
CREATE TABLE users (id integer, username text, active boolean, created_date text, version integer);
INSERT INTO users (id) VALUES (1);
ALTER TABLE users ADD COLUMN email AS (abs(-9223372036854775808));
"""
API = ("/users", "/ping", "/health", "/metrics")
FIT = "DROP TABLE users; ALTER TABLE people RENAME TO users;"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The production server with an empty database."""
    settings = {
        "WEB_CONCURRENCY": "1",
        "HEAD_TIMEOUT": "2",
        "BODY_TIMEOUT": "0.3",
        "ALLOWED_HOSTS": "127.0.0.1",
    }
    with service(f"sqlite:///{tmp_path_factory.mktemp('fresh')}/fresh.db", **settings) as running:
        yield running


def is_page(each: Exchange) -> bool:
    """Return whether the response is a page rather than an envelope."""
    return each.status < 400 and not each.path.startswith(API)


def unguarded(client: Any, **headers: str) -> list[tuple[Exchange, int]]:
    """Send all requests in order; return those with another status, or without the headers."""
    responses = [
        (each, client.request(each.method, each.path, content=each.body, headers=each.headers | headers))
        for each in EXCHANGES
    ]
    return [
        (each, response.status_code)
        for each, response in responses
        if response.status_code != each.status
        or not is_guarded(response.headers, is_page=is_page(each), is_https=bool(headers))
    ]


def test_every_response_of_the_application_has_the_headers(client: TestClient) -> None:
    assert unguarded(client) == []


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Proto": "https"}], ids=PROXY_HEADERS)
def test_every_response_of_the_server_has_the_headers(fresh: Service, headers: dict[str, str]) -> None:
    run(fresh, "DELETE FROM users; DELETE FROM sqlite_sequence;")

    with httpx.Client(base_url=fresh.url) as client:
        assert unguarded(client, **headers) == []


@pytest.mark.parametrize("scheme", PROXY_HEADERS)
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\n%s\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n%s", 408),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n%sX: " + b"x" * 65536 + b"\r\n\r\n", 431),
    ],
)
def test_every_failure_of_the_server_itself_has_the_headers_without_hsts(
    fresh: Service, scheme: str, head: bytes, status: int
) -> None:
    proxy = b"".join(header.encode() + b"\r\n" for header in PROXY_HEADERS[scheme])

    response = answer(fresh, head.replace(b"%s", proxy))

    assert response.status == status
    assert is_guarded(response.headers)


def run(running: Service, statements: str) -> None:
    """Run the statements on the service's database."""
    with closing(
        sqlite3.connect(running.environment["DATABASE_URL"].removeprefix("sqlite:///"))
    ) as connection:
        connection.executescript(statements)


def answer(running: Service, request: bytes, method: str = "GET") -> Any:
    """Send the request on a new connection, and return the response."""
    with (
        closing(socket.create_connection(("127.0.0.1", running.port), timeout=30)) as connection,
        connection.makefile("rb", buffering=0) as raw,
    ):
        connection.sendall(request)
        return read_response(Stream(raw), method)


def requests(
    running: Service, method: str, path: str, operation: Mapping[str, Any], *proxy: str
) -> dict[str, bytes]:
    """Return a request for each documented status that a working database allows."""
    made = answer(running, send("POST /users", ADA, JSON, host=HOST))
    target = f"{method} {path.replace('{user_id}', made.headers['Location'].rpartition('/')[2])}"
    has_body = "requestBody" in operation
    body = ADA if has_body else ""
    headers = (*proxy, JSON) if has_body else proxy
    every = {
        "200": send(target, body, *headers, "X: y", host=HOST),
        "201": send(target, body, *headers, host=HOST),
        "304": head(target, "If-None-Match: *", *headers, host=HOST),
        "400": send(f"{target}?nope=1", body, *headers, "X: y", host=HOST),
        "404": send(f"{method} /users/4000", body, *headers, "X: y", host=HOST),
        "405": head(f"OPTIONS {target.split()[1]}", *proxy, host=HOST),
        "408": head(target, "Content-Length: 9", *headers, host=HOST),
        "412": send(target, body, 'If-Match: "0-0"', *headers, host=HOST),
        "413": head(target, "Content-Length: 9999999", *headers, host=HOST),
        "415": send(target, body, "Content-Type: text/plain", *proxy, host=HOST),
        "421": head(target, *proxy, host="Host: evil.example"),
        "431": head(target, "X: " + "x" * 65536, *headers, host=HOST),
    }
    order = sorted(operation["responses"].keys() - {"500", "503"}, reverse=True)  # The success comes last.
    return {status: every[status] for status in order}


@pytest.mark.parametrize("scheme", PROXY_HEADERS)
@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[each["operationId"] for *_, each in OPERATIONS]
)
def test_every_documented_response_has_the_headers(
    fresh: Service, scheme: str, method: str, path: str, operation: Mapping[str, Any]
) -> None:
    responses = {
        status: answer(fresh, request, method)
        for status, request in requests(fresh, method, path, operation, *PROXY_HEADERS[scheme]).items()
    }

    assert {status: str(response.status) for status, response in responses.items()} == {
        status: status for status in responses
    }
    is_unseen = {"431"}  # The server rejects the head before it reads what the proxy reports.
    for status, response in responses.items():
        is_https = scheme == "https" and status not in is_unseen
        assert is_guarded(response.headers, is_https=is_https), (status, response.getheaders())


@pytest.mark.parametrize("scheme", PROXY_HEADERS)
@pytest.mark.parametrize(
    ("status", "change", "undo"),
    [
        ("500", MISFIT, FIT),
        ("503", "ALTER TABLE users RENAME TO people", "ALTER TABLE people RENAME TO users"),
    ],
)
def test_every_error_of_the_database_has_the_headers(
    fresh: Service, scheme: str, status: str, change: str, undo: str
) -> None:
    proxy = PROXY_HEADERS[scheme]
    operations = [each for each in OPERATIONS if "users" in each[2]["tags"]]
    run(fresh, change)

    responses = [
        answer(
            fresh, send(f"{method} {path.replace('{user_id}', '1')}", ADA, JSON, *proxy, host=HOST), method
        )
        for method, path, _ in operations
    ]

    run(fresh, undo)

    assert [str(response.status) for response in responses] == [status] * len(operations)
    assert all(is_guarded(response.headers, is_https=scheme == "https") for response in responses)


def test_responses_about_access_have_the_headers(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('access')}/access.db"
    with (
        own_issuer(url, WEB_CONCURRENCY="1", RATE_LIMIT="4/day") as (running, _, tokens),
        httpx.Client(base_url=running.url) as client,
    ):
        read = {"Authorization": f"Bearer {tokens['users:read']}"}
        responses = [
            client.get("/users"),
            client.get("/users", headers=read | {"Authorization": "Bearer x"}),
            client.get("/metrics", headers=read),
            client.get("/.well-known/jwks.json"),
            client.post("/oauth/token", data={"grant_type": "client_credentials"}),
            client.post("/oauth/token", data={"grant_type": "password"}),
            *(client.get("/users") for _ in range(4)),
        ]

    assert [response.status_code for response in responses[:6]] == [401, 401, 403, 200, 401, 400]
    assert responses[-1].status_code == 429
    assert all(is_guarded(response.headers) for response in responses)


@pytest.mark.parametrize("scheme", ["http", "javascript", "HTTPS", "https, http", ""])
def test_only_https_is_reported_as_https(fresh: Service, scheme: str) -> None:
    response = answer(fresh, head("GET /ping", f"X-Forwarded-Proto: {scheme}", host=HOST))

    assert is_guarded(response.headers)


def test_only_a_trusted_proxy_reports_https(tmp_path_factory: pytest.TempPathFactory) -> None:
    database = f"sqlite:///{tmp_path_factory.mktemp('untrusted')}/users.db"
    with service(database, WEB_CONCURRENCY="1", FORWARDED_ALLOW_IPS="192.0.2.1") as running:
        response = answer(running, head("GET /ping", *PROXY_HEADERS["https"]))

    assert is_guarded(response.headers)


def test_the_development_server_sends_the_same_headers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    database = f"sqlite:///{tmp_path_factory.mktemp('development')}/users.db"
    running = Service(database, "run", APP_SETTINGS="users_api.config.DevelopmentConfig")
    with closing(running.log):
        responses = [
            answer(running, head("GET /ping", *proxy, host=HOST)) for proxy in PROXY_HEADERS.values()
        ]
        failure = answer(running, b"nonsense\r\n\r\n")
        running.stop()

    assert [
        is_guarded(each.headers, is_https=https) for each, https in zip(responses, (False, True), strict=True)
    ] == [True, True]
    assert is_guarded(failure.headers)


def test_a_repeated_header_is_not_accepted() -> None:
    headers = httpx.Headers([("Referrer-Policy", "no-referrer"), ("Referrer-Policy", "no-referrer")])

    assert joined(headers, "Referrer-Policy") == "no-referrer, no-referrer"
