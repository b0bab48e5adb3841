"""Pages of the origins in CORS_ORIGINS can use the API; responses to others are as if there was no CORS."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.functional.exchanges import EXCHANGES, JSON
from tests.support.security_headers import PAGE_POLICY, is_guarded
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.document import load_document

PAGE, EXTENSION = "https://app.example.org", "moz-extension://0f3e6f6e"
TWO = f"{EXTENSION}, {PAGE}"
STRANGER = "https://evil.example"
OPERATIONS = [
    (method.upper(), path.replace("{user_id}", "1"))
    for path, item in load_document()["paths"].items()
    for method in item
    if method != "parameters"
]
METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"
REQUEST_HEADERS = (
    "Accept, Accept-Language, Authorization, Content-Language, Content-Type, If-Match, If-None-Match, "
    "X-Request-ID"
)
RESPONSE_HEADERS = (
    "Accept-Encoding, Allow, ETag, Link, Location, RateLimit, RateLimit-Policy, Retry-After, "
    "WWW-Authenticate, X-Request-ID"
)


@pytest.fixture(scope="module", params=["*", TWO])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server that allows every origin, and one that allows two."""
    url = f"sqlite:///{tmp_path_factory.mktemp('cors')}/cors.db"
    settings = {"WEB_CONCURRENCY": "1", "ALLOWED_HOSTS": "127.0.0.1", "CORS_ORIGINS": request.param}
    with service(url, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Service) -> Iterator[httpx.Client]:
    """A client of the server."""
    with httpx.Client(base_url=running.url) as client:
        yield client


@pytest.fixture
def granted(running: Service) -> str:
    """The value of Access-Control-Allow-Origin for an allowed origin."""
    return "*" if running.environment["CORS_ORIGINS"] == "*" else PAGE


def preflight(origin: str = PAGE, method: str = "PATCH", headers: str | None = None) -> dict[str, str]:
    """Return the headers of a preflight request."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return asked if headers is None else asked | {"Access-Control-Request-Headers": headers}


def cors_headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers of the response that concern CORS."""
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def vary(response: httpx.Response) -> set[str]:
    return set(response.headers.get("Vary", "").split(", "))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_preflight_request_is_answered_without_a_token(
    client: httpx.Client, granted: str, method: str, path: str
) -> None:
    asked = preflight(method=method, headers="authorization,content-type,if-match,if-none-match")

    response = client.options(path, headers=asked)

    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "access-control-allow-origin": granted,
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": REQUEST_HEADERS,
        "access-control-max-age": "600",
    }
    assert "Origin" in vary(response)
    assert is_guarded(response.headers)
    assert "Content-Type" not in response.headers


def test_every_listed_origin_is_allowed(client: httpx.Client, running: Service) -> None:
    granted = {
        client.options("/users", headers=preflight(origin)).headers["Access-Control-Allow-Origin"]
        for origin in (PAGE, EXTENSION)
    }

    assert granted == {"*"} if running.environment["CORS_ORIGINS"] == "*" else {PAGE, EXTENSION}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (preflight(method="TRACE"), "Disallowed CORS method."),
        (preflight(method="patch"), "Disallowed CORS method."),
        (preflight(headers="x-secret"), "Disallowed CORS headers."),
        (preflight(headers="authorization, cookie"), "Disallowed CORS headers."),
        (preflight(headers="*"), "Disallowed CORS headers."),
        (
            preflight() | {"Access-Control-Request-Private-Network": "true"},
            "Disallowed CORS private-network.",
        ),
    ],
)
def test_a_preflight_request_for_anything_else_is_rejected_in_the_envelope(
    client: httpx.Client, granted: str, asked: dict[str, str], message: str
) -> None:
    response = client.options("/users", headers=asked)

    assert (response.status_code, response.json()) == (400, {"status": "fail", "message": message})
    assert response.headers["Access-Control-Allow-Origin"] == granted
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in vary(response)
    assert is_guarded(response.headers)


OTHERS = [
    STRANGER,
    "null",
    "*",
    "",
    "http://app.example.org",
    f"{PAGE}:8443",
    f"{PAGE}/",
    f"{PAGE}.evil.example",
    "https://evilapp.example.org",
    "https://APP.example.org",
    f"{PAGE}, {STRANGER}",
]


@pytest.mark.parametrize("origin", OTHERS)
@pytest.mark.parametrize("running", [TWO], indirect=True)
def test_another_origin_learns_nothing_from_a_preflight_request(client: httpx.Client, origin: str) -> None:
    response = client.options("/users", headers=preflight(origin, headers="authorization"))

    assert (response.status_code, response.json()) == (
        400,
        {"status": "fail", "message": "Disallowed CORS origin."},
    )
    assert cors_headers(response) == {}
    assert "Origin" in vary(response)
    assert is_guarded(response.headers)


@pytest.mark.parametrize("origin", OTHERS)
@pytest.mark.parametrize("running", [TWO], indirect=True)
def test_another_origin_gets_the_same_response_as_none(client: httpx.Client, origin: str) -> None:
    responses = [client.get("/users", headers=headers) for headers in ({}, {"Origin": origin})]

    without, response = (
        (
            each.status_code,
            each.content,
            [header for header in each.headers.multi_items() if header[0] not in {"date", "x-request-id"}],
        )
        for each in responses
    )
    assert response == without
    assert cors_headers(responses[1]) == {}
    assert vary(responses[1]) == {"Origin"}


def test_every_response_is_shared_with_an_allowed_origin(
    running: Service, client: httpx.Client, granted: str
) -> None:
    execute(running, "DELETE FROM users; DELETE FROM sqlite_sequence;")

    for each in EXCHANGES:
        headers = each.headers | {"Origin": PAGE, "Cookie": "session=1"}
        response = client.request(each.method, each.path, content=each.body, headers=headers)

        assert response.status_code == each.status
        assert cors_headers(response) == {
            "access-control-allow-origin": granted,
            "access-control-expose-headers": RESPONSE_HEADERS,
        }, each
        assert "Origin" in vary(response)
        is_page = response.headers["Content-Security-Policy"] == PAGE_POLICY
        assert is_guarded(response.headers, is_page=is_page)


def execute(running: Service, statements: str) -> None:
    """Run the statements on the service's database."""
    database = running.environment["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(statements)


def test_a_server_error_is_shared_with_an_allowed_origin(
    running: Service, client: httpx.Client, granted: str
) -> None:
    execute(running, "ALTER TABLE users RENAME TO people")

    response = client.get("/users", headers={"Origin": PAGE})

    execute(running, "ALTER TABLE people RENAME TO users")
    assert response.status_code == 503
    assert response.headers["Access-Control-Allow-Origin"] == granted
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_the_pages_keep_what_else_they_depend_on(client: httpx.Client) -> None:
    response = client.get("/openapi.json", headers={"Origin": PAGE})

    assert vary(response) == {"Accept-Encoding", "Origin"}


@pytest.mark.parametrize("headers", [{}, {"Origin": PAGE}, {"Access-Control-Request-Method": "GET"}])
def test_an_options_request_that_is_no_preflight_is_an_ordinary_request(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    assert client.options("/users", headers=headers).status_code == 405


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "DELETE"])
def test_the_host_is_checked_first(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/users", headers=preflight() | {"Host": "evil.example"})

    assert response.status_code == 421
    assert cors_headers(response) == {}
    assert is_guarded(response.headers)


def test_over_https_a_preflight_response_says_so(client: httpx.Client) -> None:
    response = client.options("/users", headers=preflight() | {"X-Forwarded-Proto": "https"})

    assert response.status_code == 204
    assert is_guarded(response.headers, is_https=True)


def test_a_preflight_request_is_counted(client: httpx.Client) -> None:
    client.options("/users", headers=preflight())

    counted = r'http_server_request_duration_seconds_count{[^}]*"OPTIONS",http_response_status_code="204"'
    until(lambda: re.search(counted, client.get("/metrics").text) is not None)


def test_without_the_setting_there_is_no_cors(server: Service) -> None:
    with httpx.Client(base_url=server.url) as client:
        asked = client.options("/users", headers=preflight())
        response = client.post("/users", content="{", headers=JSON | {"Origin": PAGE})

    assert (asked.status_code, response.status_code) == (405, 400)
    assert (cors_headers(asked), cors_headers(response)) == ({}, {})
    assert "Vary" not in response.headers
