"""The security functions for the documents in `tests/engine/documents`."""

from typing import Any

from connexion.exceptions import OAuthProblem

SCOPES = {"read": "read", "read-write": "read write"}
KEY = "special-key"


def check_password(username: str, password: str) -> dict[str, Any] | None:
    return {"sub": username} if (username, password) == ("museum", "art") else None


def read_token(token: str) -> dict[str, Any] | None:
    return {"sub": "ada", "scope": SCOPES[token]} if token in SCOPES else None


def read_any_token(token: str) -> dict[str, Any] | None:
    return {"sub": "ada", "scope": "read:pets write:pets"} if token in SCOPES else None


async def read_token_later(token: str) -> dict[str, Any] | None:
    return read_token(token)


def check_key(apikey: str) -> dict[str, Any]:
    if apikey != KEY:
        raise OAuthProblem(detail="This is not the key.")
    return {"sub": "key"}
