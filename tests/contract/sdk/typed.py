"""What the type checker must report for the Python client; never executed; unneeded comments are errors."""

from users_api_client import AuthenticatedClient, Client
from users_api_client.api.authentication import issue_token
from users_api_client.api.metrics import read_metrics
from users_api_client.api.users import create_user, delete_user, list_users, update_user
from users_api_client.models import (
    Failure,
    NewUser,
    Refusal,
    Token,
    TokenRefusal,
    TokenRequest,
    UserChange,
    UserPageAnswer,
    UserReplacement,
    UserStoredAnswer,
)

client = Client("http://127.0.0.1:5000")

NewUser(username="Grace")  # type: ignore[call-arg]  # the email address is missing.
NewUser(username="Grace", email="grace@example.org", nickname="Amazing")  # type: ignore[call-arg]  # there is no such property.
UserReplacement(username="Grace")  # type: ignore[call-arg]  # a replacement needs all required properties.
UserChange(active="yes")  # type: ignore[arg-type]  # a flag is not a string.
delete_user.sync("1", client=client)  # type: ignore[arg-type]  # an id is a number.
list_users.sync(client=client, limit="2")  # type: ignore[arg-type]  # a limit is a number.
list_users.sync(client=client, name="Grace")  # type: ignore[call-arg]  # there is no such filter.
list_users.sync(client=client, order="name")  # type: ignore[arg-type]  # there is no such order.
list_users.sync(client=client, created_after="2026-01-01")  # type: ignore[arg-type]  # a time is no text.
update_user.sync(1, client=client)  # type: ignore[call-arg]  # the payload is missing.

stored = create_user.sync(client=client, body=NewUser(username="Grace", email="grace@example.org"))
_ = stored.data  # type: ignore[union-attr]  # an error has no user.
if isinstance(stored, UserStoredAnswer):
    _ = stored.data.version  # type: ignore[attr-defined]  # the column is private.
elif isinstance(stored, Refusal) and stored.errors:
    stored.errors[0].field.upper()
elif isinstance(stored, Failure):
    _ = stored.errors  # type: ignore[attr-defined]  # only a refusal has errors.
page = list_users.sync(client=client)
if isinstance(page, UserPageAnswer):
    page.data.next_.upper()  # type: ignore[union-attr]  # the last page has no next page.
    page.data.prev.upper()  # type: ignore[union-attr]  # the first page has no previous page.

AuthenticatedClient("http://127.0.0.1:5000")  # type: ignore[call-arg]  # the token is missing.
TokenRequest(client_id="id", client_secret="secret")  # type: ignore[call-arg]  # the grant type is missing.
issue_token.sync(client=client)  # type: ignore[call-arg]  # the payload is missing.
list_users.sync()  # type: ignore[call-arg]  # the client is missing.

issued = issue_token.sync(client=client, body=TokenRequest("client_credentials"))
_ = issued.access_token  # type: ignore[union-attr]  # a refusal has no token.
if isinstance(issued, Token):
    authenticated = AuthenticatedClient("http://127.0.0.1:5000", issued.access_token)
    _ = list_users.sync(client=authenticated)
    _ = read_metrics.sync(client=authenticated).upper()  # type: ignore[union-attr]  # a failure is no text.
elif isinstance(issued, TokenRefusal):
    _ = issued.error == "invalid_token"  # type: ignore[comparison-overlap]  # there is no such code.
    _ = issued.message  # type: ignore[attr-defined]  # these errors have the form of RFC 6749.
