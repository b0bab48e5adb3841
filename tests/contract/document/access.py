"""The examples that have to do with access tokens."""

from typing import Any

OPERATIONS = {"issue_token", "list_token_keys", "read_metrics"}

# How to obtain each response: the token's kind, and the request; `{id}` and `{secret}` are those of a client.
ANSWERS: dict[str, tuple[str | None, str, str, dict[str, Any]]] = {
    "Unauthorized AuthenticationRequired": (None, "GET", "/users", {}),
    "Unauthorized InvalidToken": ("expired", "GET", "/users", {}),
    "Forbidden": ("metrics:read", "GET", "/users", {}),
    "read_metrics 200": ("metrics:read", "GET", "/metrics", {}),
    "issue_token 200": (
        None,
        "POST",
        "/oauth/token",
        {
            "data": {
                "grant_type": "client_credentials",
                "scope": "users:read",
                "client_id": "{id}",
                "client_secret": "{secret}",
            }
        },
    ),
    "issue_token 400": (
        None,
        "POST",
        "/oauth/token",
        {
            "data": {
                "grant_type": "client_credentials",
                "scope": "metrics:read",
                "client_id": "{id}",
                "client_secret": "{secret}",
            }
        },
    ),
    "issue_token 401": (None, "POST", "/oauth/token", {"data": {"grant_type": "client_credentials"}}),
    "list_token_keys 200": (None, "GET", "/.well-known/jwks.json", {}),
}
