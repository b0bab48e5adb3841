"""POST /oauth/token issues access tokens by RFC 6749, and its errors have that standard's form."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask_migrate import upgrade
from starlette.testclient import TestClient

from users_api import clients
from users_api.access.keys import PublicKeys
from users_api.access.tokens import TokenVerifier
from users_api.app import create_app
from users_api.clients import Credentials
from users_api.database import db
from users_api.engine import App

SCOPES = ["users:read", "users:write"]
INVALID_CLIENT = {
    "error": "invalid_client",
    "error_description": "The client is unknown or revoked, or its secret is wrong.",
}
GRANT = {"grant_type": "client_credentials"}
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def secured(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    """An application with authentication and an empty, migrated database."""
    if backend == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('tokens')}/tokens.db"
    else:
        url = request.getfixturevalue("postgres").create(f"tokens_{os.urandom(4).hex()}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
        environment.setenv("DATABASE_TEST_URL", url)
        environment.setenv("AUTH", "required")
        environment.setenv("TOKEN_RATE_LIMIT", "1000000/minute")
        environment.chdir(tmp_path_factory.mktemp("instance"))
        app = create_app()
    with app.app.app_context():
        upgrade()
    yield app
    with app.app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module")
def caller(secured: App) -> Iterator[TestClient]:
    """A client of the application, whose background tasks run meanwhile."""
    with secured.test_client(base_url="http://testserver") as running:
        yield running


@pytest.fixture
def registered(secured: App) -> Credentials:
    """A client of the service with two scopes."""
    with secured.app.app_context():
        return clients.add_client("test", SCOPES)


@pytest.fixture
def ask(caller: TestClient) -> Ask:
    """Asks for a token, and returns the response."""

    def ask(form: Any, auth: tuple[str, str] | None = None, **headers: str) -> Any:
        return caller.post("/oauth/token", data=form, auth=auth, headers=headers)

    return ask


def verified(caller: TestClient, token: str) -> Any:
    """Return what a token says, verified with the published keys."""
    keys = PublicKeys.parse(caller.get("/.well-known/jwks.json").json())
    return TokenVerifier("users-api", "users-api").verify(token, keys, claims(token)["iat"])


def claims(token: str) -> Any:
    """Return the payload of a token."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("method", ["basic", "post"])
def test_a_client_gets_a_token_by_either_method(
    ask: Ask, caller: TestClient, registered: Credentials, method: str
) -> None:
    own = {"client_id": registered.client_id, "client_secret": registered.secret}

    response = ask(GRANT, auth=tuple(registered)) if method == "basic" else ask(GRANT | own)

    answer = response.json()
    assert response.status_code == 200
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    assert answer | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "users:read users:write",
    }
    token = verified(caller, answer["access_token"])
    assert (token.client_id, token.subject, token.scopes) == (
        registered.client_id,
        registered.client_id,
        frozenset(SCOPES),
    )
    assert token.expires_at - token.issued_at == 900


def test_each_token_has_its_own_id(ask: Ask, registered: Credentials) -> None:
    tokens = [ask(GRANT, auth=tuple(registered)).json()["access_token"] for _ in range(2)]

    assert claims(tokens[0])["jti"] != claims(tokens[1])["jti"]


def test_a_client_may_ask_for_fewer_scopes(ask: Ask, caller: TestClient, registered: Credentials) -> None:
    response = ask(GRANT | {"scope": "users:read users:read"}, auth=tuple(registered))

    assert response.json()["scope"] == "users:read"
    assert verified(caller, response.json()["access_token"]).scopes == {"users:read"}


@pytest.mark.parametrize(
    "scope", ["metrics:read", "users:read metrics:read", "users", "users:read  users:write", "USERS:READ"]
)
def test_a_client_gets_no_other_scope(ask: Ask, registered: Credentials, scope: str) -> None:
    response = ask(GRANT | {"scope": scope}, auth=tuple(registered))

    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_scope", "error_description": "The client may not have this scope."},
    )


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("{id}", "wrong"),
        ("{id}", ""),
        ("{id}", "{secret}="),
        ("{id}", "{secret} "),
        ("{id} ", "{secret}"),
        ("", "{secret}"),
        ("{secret}", "{id}"),
        ("' OR 1=1 --", "{secret}"),
        ("\0", "{secret}"),
        ("{id}", "\0"),
        ("\N{GRINNING FACE}", "{secret}"),
    ],
)
def test_a_wrong_id_or_secret_is_invalid_client(
    ask: Ask, registered: Credentials, client_id: str, secret: str
) -> None:
    own = {"id": registered.client_id, "secret": registered.secret}

    response = ask(GRANT, auth=(client_id.format_map(own), secret.format_map(own)))

    assert (response.status_code, response.json()) == (401, INVALID_CLIENT)
    assert response.headers["WWW-Authenticate"] == 'Basic realm="users-api"'
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic !", "Basic ////", "Basic Zm9v", "basic =", "Basic w6k6w6k=", "Basic 6Q=="],
)
def test_malformed_basic_credentials_are_invalid_client(ask: Ask, header: str) -> None:
    response = ask(GRANT, Authorization=header)

    assert (response.status_code, response.json()) == (401, INVALID_CLIENT)


def test_basic_credentials_are_form_encoded(ask: Ask, registered: Credentials) -> None:
    encoded = "".join(f"%{ord(each):02x}" for each in registered.secret)

    assert ask(GRANT, auth=(registered.client_id, encoded)).status_code == 200


def test_a_request_without_credentials_is_invalid_client(ask: Ask) -> None:
    assert ask(GRANT).json() == INVALID_CLIENT


def test_a_bearer_token_does_not_authenticate_a_client(ask: Ask, registered: Credentials) -> None:
    token = ask(GRANT, auth=tuple(registered)).json()["access_token"]

    assert ask(GRANT, Authorization=f"Bearer {token}").json() == INVALID_CLIENT


def test_a_client_authenticates_once(ask: Ask, registered: Credentials) -> None:
    twice = ask(GRANT | {"client_secret": registered.secret}, auth=tuple(registered))
    other = ask(GRANT | {"client_id": "other"}, auth=tuple(registered))
    same = ask(GRANT | {"client_id": registered.client_id}, auth=tuple(registered))

    assert [twice.json()["error"], other.json()["error"]] == ["invalid_request", "invalid_request"]
    assert same.status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"scope": "users:read"}, "invalid_request"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        (GRANT | {"scope": "s" * 2000}, "invalid_request"),
        (GRANT | {"scope": "\N{GRINNING FACE}" * 300 + '"\\'}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "Client_Credentials"}, "unsupported_grant_type"),
    ],
)
def test_malformed_requests_have_the_errors_of_the_standard(
    ask: Ask, registered: Credentials, form: Any, error: str
) -> None:
    response = ask(form, auth=tuple(registered))

    assert (response.status_code, response.json()["error"]) == (400, error)
    assert response.headers["Pragma"] == "no-cache"
    assert response.json()["error_description"].isascii()


@pytest.mark.parametrize(
    ("query", "description"),
    [
        ("nonsense=1", "nonsense is not a known parameter."),
        ("%22=1", "? is not a known parameter."),
        ("%ff=1", "the query must be percent-encoded UTF-8."),
    ],
)
def test_a_query_is_rejected_in_the_form_of_the_standard(
    caller: TestClient, query: str, description: str
) -> None:
    response = caller.post(f"/oauth/token?{query}", data=GRANT)

    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_request", "error_description": description},
    )
    assert response.headers["Pragma"] == "no-cache"


def test_a_long_name_is_shortened_in_the_description(ask: Ask, registered: Credentials) -> None:
    response = ask(GRANT | {"n" * 5000: ["1", "2"]}, auth=tuple(registered))

    assert response.status_code == 400
    assert response.json()["error_description"] == f"{'n' * 256} is given more than once."


def test_many_parameters_are_rejected(ask: Ask, registered: Credentials) -> None:
    form = GRANT | {f"a{number}": "1" for number in range(32)}

    assert ask(form, auth=tuple(registered)).json()["error"] == "invalid_request"


def test_unknown_parameters_are_ignored(ask: Ask, registered: Credentials) -> None:
    assert ask(GRANT | {"resource": "x", "scope": ""}, auth=tuple(registered)).status_code == 200


def test_credentials_in_the_query_are_not_read(caller: TestClient, registered: Credentials) -> None:
    own = {"client_id": registered.client_id, "client_secret": registered.secret}

    response = caller.post("/oauth/token", params=own, data=GRANT)

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_other_media_types_are_named(caller: TestClient) -> None:
    response = caller.post("/oauth/token", json=GRANT)

    assert response.status_code == 415
    assert response.json()["message"] == (
        "The request body must be application/x-www-form-urlencoded in UTF-8, without a content coding."
    )


def test_a_revoked_client_gets_no_token(ask: Ask, secured: App, registered: Credentials) -> None:
    with secured.app.app_context():
        assert clients.revoke_client(registered.client_id) == "test"
        assert clients.revoke_client(registered.client_id) is None

    assert ask(GRANT, auth=tuple(registered)).json() == INVALID_CLIENT


def test_only_a_hash_of_the_secret_is_stored(secured: App, registered: Credentials) -> None:
    with secured.app.app_context():
        (row,) = [each for each in clients.list_clients() if each.id == registered.client_id]

    assert registered.secret not in str(tuple(row))
    assert len(base64.urlsafe_b64decode(f"{registered.secret}=")) == 32
