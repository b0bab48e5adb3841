"""The Python client of a service that requires access tokens: typed results for each lack of them."""

from http import HTTPStatus

import pytest
from users_api_client import AuthenticatedClient, Client
from users_api_client.api.authentication import list_token_keys
from users_api_client.api.health import ping
from users_api_client.api.metrics import read_metrics
from users_api_client.api.users import create_user, delete_user, get_user, list_users, patch_user, update_user
from users_api_client.models import (
    Failure,
    NewUser,
    Pong,
    Token,
    TokenRefusal,
    UserChange,
    UserPageAnswer,
    UserReplacement,
)

from tests.contract.sdk.logging_in import ask_for_token, log_in
from tests.support.secured import Credentials, add_client
from tests.support.service import Service

pytestmark = pytest.mark.parametrize("auth", ["required"], indirect=True)
OPERATIONS = {
    "list_users": lambda api: list_users.sync_detailed(client=api),
    "create_user": lambda api: create_user.sync_detailed(
        client=api, body=NewUser("Mallory", "mallory@example.org")
    ),
    "get_user": lambda api: get_user.sync_detailed(1, client=api),
    "update_user": lambda api: update_user.sync_detailed(
        1, client=api, body=UserReplacement("Mallory", "mallory@example.org")
    ),
    "patch_user": lambda api: patch_user.sync_detailed(1, client=api, body=UserChange(active=False)),
    "delete_user": lambda api: delete_user.sync_detailed(1, client=api),
    "read_metrics": lambda api: read_metrics.sync_detailed(client=api),
}
MISSING = Failure(status="fail", message="Authentication required.")
INVALID = Failure(status="fail", message="Invalid token.")
INSUFFICIENT = Failure(status="fail", message="Insufficient scope.")


@pytest.fixture
def watcher(server: Service) -> Credentials:
    """A client that may read the metrics only."""
    return add_client(server, "metrics:read")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_a_token_the_result_is_401(server: Service, operation: str) -> None:
    with Client(server.url) as api:
        answer = OPERATIONS[operation](api)

    assert (answer.status_code, answer.parsed) == (HTTPStatus.UNAUTHORIZED, MISSING)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="users-api"'


@pytest.mark.parametrize("operation", OPERATIONS)
def test_with_a_wrong_token_the_result_is_401(server: Service, operation: str) -> None:
    with AuthenticatedClient(server.url, "wrong") as api:
        answer = OPERATIONS[operation](api)

    assert (answer.status_code, answer.parsed) == (HTTPStatus.UNAUTHORIZED, INVALID)


@pytest.mark.parametrize("operation", ["create_user", "update_user", "patch_user", "delete_user"])
def test_without_the_scope_the_result_is_403(
    server: Service, credentials: Credentials, operation: str
) -> None:
    with log_in(server.url, credentials, scope="users:read") as api:
        listed, answer = list_users.sync(client=api), OPERATIONS[operation](api)

    assert isinstance(listed, UserPageAnswer)
    assert (answer.status_code, answer.parsed) == (HTTPStatus.FORBIDDEN, INSUFFICIENT)


def test_the_metrics_need_their_own_scope(
    server: Service, credentials: Credentials, watcher: Credentials
) -> None:
    with log_in(server.url, credentials) as api, log_in(server.url, watcher) as watching:
        refused, metrics = (read_metrics.sync(client=each) for each in (api, watching))

    assert refused == INSUFFICIENT
    assert "http_server_request_duration_seconds" in metrics


def test_what_is_open_needs_no_token(server: Service) -> None:
    with Client(server.url) as api:
        pong, published = ping.sync(client=api), list_token_keys.sync(client=api)

    assert pong == Pong(status="success", message="pong")
    assert [key.alg for key in published.keys] == ["ES256"]


def test_a_token_states_its_scope_and_lifetime(server: Service, credentials: Credentials) -> None:
    answer = ask_for_token(server.url, credentials)

    assert isinstance(answer, Token)
    assert (answer.token_type, answer.expires_in, answer.scope) == ("Bearer", 900, "users:read users:write")


def test_a_login_with_a_wrong_secret_is_refused(server: Service, credentials: Credentials) -> None:
    assert ask_for_token(server.url, Credentials(credentials.client_id, "wrong")) == TokenRefusal(
        error="invalid_client",
        error_description="The client is unknown or revoked, or its secret is wrong.",
    )


def test_a_login_for_a_scope_of_others_is_refused(server: Service, credentials: Credentials) -> None:
    assert ask_for_token(server.url, credentials, scope="metrics:read") == TokenRefusal(
        error="invalid_scope", error_description="The client may not have this scope."
    )
