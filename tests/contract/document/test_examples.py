"""All examples of the document are valid, and the service responds exactly as in the examples."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import psycopg2
import pytest
from connexion import FlaskApp
from jsonschema_rs import Draft4Validator
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.contract.document import access, examples
from tests.support.service import Service
from users_api.database import db

SCHEMAS = list(examples.schemas(examples.DOCUMENT))
EXAMPLES = list(examples.schemas(examples.WHOLE))
RESPONSES = {response.name: response for response in examples.responses()}
REQUESTS = list(examples.requests())
MICHAEL = {"username": "michael", "email": "hermanmu@gmail.com"}
HEDY = {"username": "hedy", "email": "hedy@example.org"}
CAST = [MICHAEL, {"username": "michaelherman", "email": "michael@mherman.org"}, HEDY]

# How to obtain each response: the number of existing users, and the request.
ANSWERS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "ping 200": (0, "GET", "/ping", {}),
    "list_users 200": (3, "GET", "/users?limit=1&after=1", {}),
    "create_user 201": (2, "POST", "/users", {"json": HEDY}),
    "get_user 200": (1, "GET", "/users/1", {}),
    "delete_user 200": (1, "DELETE", "/users/1", {}),
    "check_liveness 200": (0, "GET", "/health/live", {}),
    "check_readiness 200": (0, "GET", "/health/ready", {}),
    "UserChanged": (
        1,
        "PUT",
        "/users/1",
        {"json": {"username": "michael", "email": "michael@example.org", "active": False}},
    ),
    "InvalidParameter": (0, "GET", "/users?limit=1001", {}),
    "InvalidPayload InvalidPayload": (
        0,
        "POST",
        "/users",
        {"json": {"username": "michael", "nickname": "mike"}},
    ),
    "InvalidPayload EmailTaken": (1, "POST", "/users", {"json": MICHAEL}),
    "NotFound": (0, "GET", "/users/1", {}),
    "MethodNotAllowed": (0, "PUT", "/users", {}),
    "PreconditionFailed": (1, "DELETE", "/users/1", {"headers": {"If-Match": '"1-18bc9e4b21f40"'}}),
    "ContentTooLarge": (0, "POST", "/users", {"content": b" " * (1024 * 1024 + 1)}),
    "UnsupportedMediaType": (
        0,
        "POST",
        "/users",
        {"content": b"<user/>", "headers": {"Content-Type": "application/xml"}},
    ),
}
APART = {
    "InternalServerError",
    "MisdirectedRequest",
    "RequestHeaderFieldsTooLarge",
    "RequestTimeout",
    "ServiceUnavailable",
    "TooManyRequests",  # Nothing limits the rate of requests yet.
}


@pytest.fixture
def people(client: TestClient) -> Callable[[int], None]:
    """Stores the first of the people in the examples."""

    def store(number: int) -> None:
        for person in CAST[:number]:
            assert client.post("/users", json=person).status_code == 201

    return store


@contextmanager
def names_kept_unique(app: FlaskApp) -> Iterator[None]:
    """Add a temporary constraint that the service does not know."""
    with app.app.app_context(), db.autocommit_engine.connect() as connection:
        connection.execute(text("CREATE UNIQUE INDEX uq_users_username ON users (username)"))
        try:
            yield
        finally:
            connection.execute(text("DROP INDEX uq_users_username"))


@contextmanager
def without_connections(app: FlaskApp) -> Iterator[None]:
    """Close and reject all connections to the PostgreSQL database temporarily."""
    with app.app.app_context():
        url = db.engine.url
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with closing(psycopg2.connect(server)) as operator:
        operator.autocommit = True
        statements = operator.cursor()
        statements.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        statements.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
        )
        try:
            yield
        finally:
            statements.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")


def assert_answered_as(example: examples.Response, answer: Any) -> None:
    """Compare the body and the documented headers, except for times."""
    assert timeless(answer.text) == timeless(httpx.Response(200, json=example.body).text)
    assert {name: timeless(answer.headers[name]) for name in example.headers} == {
        name: timeless(value) for name, value in example.headers.items()
    }


def timeless(value: str) -> str:
    """Return the text without dates and versions."""
    return re.sub(r'"\d{4}-\d\d-\d\dT[^"]*Z"|"\d+-[0-9a-f]{13}"', "…", value)


@pytest.mark.parametrize(("schema", "example"), [pytest.param(*rest, id=name) for name, *rest in EXAMPLES])
def test_an_example_is_valid(schema: dict[str, Any], example: Any) -> None:
    assert [str(error) for error in Draft4Validator(schema, validate_formats=True).iter_errors(example)] == []


def test_every_example_of_a_response_is_tested() -> None:
    assert set(RESPONSES) == ANSWERS.keys() | access.ANSWERS.keys() | APART


@pytest.mark.parametrize("name", ANSWERS)
def test_a_response_equals_its_example(client: TestClient, people: Callable[[int], None], name: str) -> None:
    number, method, path, options = ANSWERS[name]
    people(number)

    answer = client.request(method, path, **options)

    assert_answered_as(RESPONSES[name], answer)


def test_an_internal_error_equals_its_example(
    app: FlaskApp, client: TestClient, people: Callable[[int], None]
) -> None:
    people(1)

    with names_kept_unique(app):
        answer = client.post("/users", json=CAST[0] | {"email": "michael@example.org"})

    assert_answered_as(RESPONSES["InternalServerError"], answer)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_response_without_the_database_equals_its_example(app: FlaskApp, client: TestClient) -> None:
    with without_connections(app):
        answer = client.get("/users")

    assert_answered_as(RESPONSES["ServiceUnavailable"], answer)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_response_to_a_late_body_equals_its_example(server: Service) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(
            b"POST /users HTTP/1.1\r\nHost: here\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
        )
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(httpx.Response(200, json=RESPONSES["RequestTimeout"].body).content)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_response_to_large_headers_equals_its_example(server: Service) -> None:
    answer = httpx.get(f"{server.url}/users", headers={"X-Padding": "x" * 64 * 1024}, timeout=60)

    assert answer.status_code == 431
    assert_answered_as(RESPONSES["RequestHeaderFieldsTooLarge"], answer)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(each, id=f"{each.operation}: {each.part}")
        for each in REQUESTS
        if each.operation not in access.OPERATIONS
    ],
)
def test_a_request_example_is_accepted(
    client: TestClient, people: Callable[[int], None], request_: examples.Request
) -> None:
    people({"create_user": 0, "list_users": 3}.get(request_.operation, 1))

    answer = client.request(
        request_.method,
        request_.path,
        params=request_.query or None,
        headers=request_.headers,
        json=request_.body,
    )

    assert answer.status_code == (201 if request_.operation == "create_user" else 200)
    assert answer.json().get("data") != {"users": [], "next": None, "prev": None}


def test_every_example_of_a_schema_is_sent_or_returned() -> None:
    said = [*(response[1:] for response in RESPONSES.values()), *(request[4:] for request in REQUESTS)]
    paths = [request.path.rpartition("/")[2] for request in REQUESTS]

    seen = {str(value) for value in examples.scalars([list(map(list, said)), paths])}

    assert {str(example) for name, _, example in SCHEMAS if not isinstance(example, dict)} <= seen
