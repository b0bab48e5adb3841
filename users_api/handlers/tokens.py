"""The operations tagged `authentication`: access tokens by client credentials (RFC 6749, 4.4)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from flask import current_app

from users_api.access.signing import TOKEN_SECONDS
from users_api.clients import scopes_of
from users_api.engine import Response
from users_api.envelope import NOT_STORED
from users_api.errors import InvalidClient, InvalidScope, InvalidTokenRequest, UnsupportedGrantType

NOT_CACHED: Final = [*NOT_STORED, (b"pragma", b"no-cache")]
GRANT_TYPE: Final = "client_credentials"
GRANT_TYPE_MISSING: Final = "grant_type is required."
CREDENTIALS_TWICE: Final = (
    "Send the client's id and secret either in the Authorization header or in the payload."
)


def issue_token(body: dict[str, Any], token_info: Mapping[str, str]) -> Response:
    """Return an access token with the requested scopes, or else with all scopes of the client."""
    given = {name: value for name, value in body.items() if value}  # RFC 6749, 3.2
    if "grant_type" not in given:
        raise InvalidTokenRequest(GRANT_TYPE_MISSING)
    if given["grant_type"] != GRANT_TYPE:
        raise UnsupportedGrantType
    client_id, secret = _credentials(given, token_info)
    allowed = scopes_of(client_id, secret)
    if allowed is None:
        raise InvalidClient
    scopes = list(dict.fromkeys(given["scope"].split(" "))) if "scope" in given else allowed
    if not set(scopes) <= set(allowed):
        raise InvalidScope
    token = {
        "access_token": current_app.extensions["token_signer"].issue(client_id, scopes),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": " ".join(scopes),
    }
    return Response(HTTPStatus.OK, NOT_CACHED, orjson.dumps(token))


async def list_token_keys() -> Response:
    """Return the public keys of the tokens."""
    keys = current_app.extensions["token_signer"].documents
    return Response(HTTPStatus.OK, NOT_STORED, orjson.dumps({"keys": keys}))


def _credentials(given: Mapping[str, str], header: Mapping[str, str]) -> tuple[str, str]:
    """Return the client's id and secret, which are empty if it sends none."""
    if not header:
        return given.get("client_id", ""), given.get("client_secret", "")
    if "client_secret" in given or given.get("client_id", header["client_id"]) != header["client_id"]:
        raise InvalidTokenRequest(CREDENTIALS_TWICE)
    return header["client_id"], header["client_secret"]
