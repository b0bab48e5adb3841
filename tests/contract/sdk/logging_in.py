"""The Python client logs in with the id and secret of a client of the service."""

from users_api_client import AuthenticatedClient, Client
from users_api_client.api.authentication import issue_token
from users_api_client.models import Failure, Fault, Token, TokenRefusal, TokenRequest

from tests.support.secured import Credentials


def ask_for_token(
    url: str, credentials: Credentials, **scope: str
) -> Failure | Fault | Token | TokenRefusal | None:
    """Return the response of /oauth/token."""
    request = TokenRequest(
        "client_credentials", client_id=credentials.client_id, client_secret=credentials.secret, **scope
    )
    with Client(url) as client:
        return issue_token.sync(client=client, body=request)


def log_in(url: str, credentials: Credentials, **scope: str) -> AuthenticatedClient:
    """Return a client with a new token, which has this scope, or else all scopes."""
    answer = ask_for_token(url, credentials, **scope)
    assert isinstance(answer, Token)
    return AuthenticatedClient(url, answer.access_token)
