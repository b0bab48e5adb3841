"""HTTP Basic authentication of the clients that ask for access tokens (RFC 6749, 2.3.1; RFC 7617)."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from connexion.security import NO_VALUE

AUTHORIZATION: Final = b"authorization"
SCHEME: Final = b"basic"


class BasicCredentials:
    """Reads a client's id and secret; a security handler with the interface of Connexion's.

    The handler of the operation checks them, because it waits for the database. Malformed credentials are
    read as empty, which no client has.
    """

    @staticmethod
    def get_fn(_scheme: Mapping[str, Any], _required_scopes: Sequence[str]) -> Callable[[Any], Any]:
        """Return a function that returns `client_id` and `client_secret`, or Connexion's NO_VALUE."""
        return check


def check(request: Any) -> Any:
    """Return the credentials in the request's header, or Connexion's NO_VALUE if there are none."""
    found = [value for name, value in request.scope["headers"] if name == AUTHORIZATION]
    basic = [each for each in found if each.partition(b" ")[0].lower() == SCHEME]
    if not basic:
        return NO_VALUE
    client_id, secret = decode(basic[0].partition(b" ")[2]) if len(found) == 1 else ("", "")
    return {"client_id": client_id, "client_secret": secret}


def decode(text: bytes) -> tuple[str, str]:
    """Return the id and the secret, each of which is form-encoded before both are base64-encoded."""
    try:
        pair = base64.b64decode(text.strip(b" "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = pair.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)
