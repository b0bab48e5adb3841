"""Access tokens are checked before anything else in a request, and end with their client."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tests.support.issued import EVERYTHING, HEADER, OWN_ISSUER, Issued, claims, external_issuer, own_issuer
from tests.support.service import Service, service
from tests.support.waiting import until
from users_api.access.keys import SigningKeys, generate_key

REQUIRED = {"status": "fail", "message": "Authentication required."}
INVALID = {"status": "fail", "message": "Invalid token."}
INSUFFICIENT = {"status": "fail", "message": "Insufficient scope."}
USER = {"username": "ada", "email": "ada@example.org"}


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """A service with one worker that issues its own tokens."""
    with own_issuer(
        f"sqlite:///{tmp_path_factory.mktemp('access')}/access.db", WEB_CONCURRENCY="1"
    ) as issued:
        yield issued


@pytest.fixture
def caller(issued: Issued) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=issued.running.url) as client:
        yield client


def bearer(issued: Issued, kind: str = "all scopes") -> dict[str, str]:
    """Return the headers with a token of this kind."""
    return {"Authorization": f"Bearer {issued.tokens[kind]}"}


def test_a_token_with_the_scopes_may_do_everything(issued: Issued, caller: httpx.Client) -> None:
    headers = bearer(issued)

    added = caller.post("/users", json=USER, headers=headers)
    path = added.headers["Location"]
    statuses = [
        added.status_code,
        caller.get(path, headers=headers).status_code,
        caller.head(path, headers=headers).status_code,
        caller.get(path, headers=headers | {"If-None-Match": added.headers["ETag"]}).status_code,
        caller.put(path, json=USER, headers=headers).status_code,
        caller.patch(path, json={"active": False}, headers=headers).status_code,
        caller.get("/users?active=false", headers=headers).status_code,
        caller.get("/metrics", headers=headers).status_code,
        caller.delete(path, headers=headers).status_code,
    ]

    assert statuses == [201, 200, 200, 304, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"url": "/users?nonsense=1"}, id="an unknown parameter"),
        pytest.param({"url": "/users/blah"}, id="no user"),
        pytest.param({"method": "POST", "url": "/users", "content": b"{"}, id="a malformed body"),
        pytest.param({"method": "PUT", "url": "/users/1", "content": b"x" * 2_000_000}, id="a large body"),
        pytest.param({"url": "/users", "headers": {"If-Match": "malformed"}}, id="a malformed header"),
    ],
)
def test_credentials_are_checked_before_the_rest_of_the_request(
    issued: Issued, caller: httpx.Client, request_: dict[str, object]
) -> None:
    request = {"method": "GET", "headers": {}} | request_

    without = caller.request(**request)
    invalid = caller.request(**request | {"headers": request["headers"] | bearer(issued, "expired")})
    lacking = caller.request(**request | {"headers": request["headers"] | bearer(issued, "metrics:read")})

    assert [(each.status_code, each.json()) for each in (without, invalid, lacking)] == [
        (401, REQUIRED),
        (401, INVALID),
        (403, INSUFFICIENT),
    ]


def test_a_rejected_request_need_not_send_its_body(issued: Issued) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", issued.running.port, timeout=5)) as connection:
        connection.putrequest("POST", "/users")
        connection.putheader("Content-Length", "100")
        connection.putheader("Content-Type", "application/json")
        connection.endheaders()

        assert connection.getresponse().status == 401


def test_tokens_outside_the_header_are_not_read(issued: Issued, caller: httpx.Client) -> None:
    token = issued.tokens["all scopes"]
    form = {"access_token": token}

    responses = [
        caller.get("/users", params=form),
        caller.post("/users", data=form),
        caller.post("/users", json=USER | form),
        caller.get("/users", headers={"Cookie": f"access_token={token}; Authorization=Bearer {token}"}),
        caller.get("/users", headers={"X-Authorization": f"Bearer {token}"}),
        caller.get("/users", headers={"Proxy-Authorization": f"Bearer {token}"}),
        caller.get("/users", auth=("Bearer", token)),
    ]

    assert [(each.status_code, each.json()) for each in responses] == [(401, REQUIRED)] * 7
    assert {each.headers["WWW-Authenticate"] for each in responses} == {'Bearer realm="users-api"'}


@pytest.mark.parametrize(
    ("values", "status", "body"),
    [
        (["bearer {}"], 200, None),
        (["BEARER {}"], 200, None),
        (["Bearer   {}"], 200, None),
        (["Bearer {}", "Bearer {}"], 401, INVALID),
        (["Bearer {}", "Basic YTpi"], 401, INVALID),
        (["Bearer {}, Bearer {}"], 401, INVALID),
        (["Bearer {} {}"], 401, INVALID),
        (["Bearer"], 401, INVALID),
        (['Bearer "{}"'], 401, INVALID),
        (["Bearer token={}"], 401, INVALID),
        (["Bearer {}="], 401, INVALID),
        (["{}"], 401, REQUIRED),
        (["Bearer\t{}"], 401, REQUIRED),
        (["Token {}"], 401, REQUIRED),
        (["DPoP {}"], 401, REQUIRED),
        ([""], 401, REQUIRED),
    ],
)
def test_the_header_is_read_as_rfc_6750_says(
    issued: Issued, caller: httpx.Client, values: list[str], status: int, body: object
) -> None:
    token = issued.tokens["users:read"]
    headers = [("Authorization", value.replace("{}", token)) for value in values]

    response = caller.get("/users", headers=headers)

    assert response.status_code == status
    assert body in (None, response.json())
    if body:
        assert ('error="invalid_token"' in response.headers["WWW-Authenticate"]) is (body == INVALID)


def test_the_log_has_the_reason_and_no_token(issued: Issued, caller: httpx.Client) -> None:
    caller.get("/users", headers=bearer(issued, "wrong audience"))

    until(
        lambda: (
            caller.get("/users", headers=bearer(issued, "wrong audience"))
            and "its aud is" in issued.running.output()
        )
    )
    assert issued.tokens["wrong audience"] not in issued.running.output()


def test_pages_and_unknown_paths_need_no_token(caller: httpx.Client) -> None:
    assert caller.get("/ui/").status_code == 200
    assert caller.get("/nowhere").status_code == 404
    assert caller.get("/openapi.json").json()["components"]["securitySchemes"]["oauth"]["type"] == "oauth2"


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two instances with two workers each, on one database and with the same keys."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pair')}/pair.db"
    settings = {"AUTH": "required", "TOKEN_KEYS": generate_key()}
    with service(url, **settings) as first, service(url, **settings) as second:
        yield first, second


def test_a_revoked_client_is_rejected_within_ten_seconds_by_every_worker(
    pair: tuple[Service, Service],
) -> None:
    _, client_id, _, secret = pair[0].command("clients", "add", "test", "--scope", "users:read").split()
    issued = httpx.post(
        f"{pair[0].url}/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
    )
    headers = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    # Connections are spread over the workers.
    callers = [httpx.Client(base_url=each.url, headers=headers) for each in pair for _ in range(8)]
    before = {caller.get("/users").status_code for caller in callers}

    pair[1].command("clients", "revoke", client_id)
    revoked = time.monotonic()
    until(lambda: {caller.get("/users").status_code for caller in callers} == {401})
    seconds = time.monotonic() - revoked
    for caller in callers:
        caller.close()

    assert before == {200}
    assert seconds < 10


def test_before_the_revoked_clients_are_read_no_token_is_accepted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    key = generate_key()
    sign = SigningKeys.parse(key).sign
    token = {"Authorization": f"Bearer {sign(HEADER, claims(OWN_ISSUER, scope=EVERYTHING))}"}
    away = f"sqlite:///{tmp_path_factory.mktemp('away')}/no/folder.db"
    running = Service(away, AUTH="required", TOKEN_KEYS=key, WEB_CONCURRENCY="1")

    responses = [httpx.get(f"{running.url}{path}", headers=token) for path in ("/metrics", "/users")]
    missing = httpx.get(f"{running.url}/metrics")
    running.stop()

    assert [(each.status_code, each.headers["Retry-After"]) for each in responses] == [(503, "1")] * 2
    assert missing.status_code == 401
    assert "Cannot read the revoked clients" in running.output()
    running.log.close()


def test_an_issuer_without_keys_is_unavailable(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('away')}/away.db"
    with external_issuer(url, WEB_CONCURRENCY="1") as issued:
        token = bearer(issued)
        settings = {
            "AUTH": "required",
            "AUTH_ISSUER": "http://127.0.0.1:9",
            "AUTH_AUDIENCE": "users-api",
            "WEB_CONCURRENCY": "1",
        }
        with service(url, **settings) as running:
            response = httpx.get(f"{running.url}/metrics", headers=token)
            missing = httpx.get(f"{running.url}/users")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert missing.status_code == 401
