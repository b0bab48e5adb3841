"""The claims of an access token (RFC 9068, 2.2), read after its signature is verified.

Each function raises ValueError with a reason for the log.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from users_api.access.signed_tokens import excerpt

LEEWAY_SECONDS: Final = 30
LAST_DATE: Final = 253_402_300_799  # The year 9999: milliseconds instead of seconds exceed it.
MAX_NAME_LENGTH: Final = 256
MAX_SCOPES: Final = 100
CLIENT_ID: Final = re.compile(r"[\x20-\x7E]+")  # RFC 6749, A.1.
SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")  # RFC 6749, 3.3.


def check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    """Compare the issuer; URLs that differ in their last slash or in case are different issuers."""
    if claims.get("iss") != issuer:
        message = f"its iss is {excerpt(claims.get('iss'))}, not {issuer!r}"
        raise ValueError(message)


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Look for the audience, which a token may name alone or in a list of others (RFC 7519, 4.1.3)."""
    named = claims.get("aud")
    audiences = named if isinstance(named, list) else [named]
    if audience not in audiences or not all(isinstance(each, str) for each in audiences):
        message = f"its aud is {excerpt(named)}, not {audience!r}"
        raise ValueError(message)


def check_dates(claims: Mapping[str, Any], now: float) -> tuple[float, float]:
    """Return when the token was issued and when it expires; clocks may differ by 30 s."""
    issued, expires = _read_date(claims, "iat"), _read_date(claims, "exp")
    valid_from = _read_date(claims, "nbf") if "nbf" in claims else issued
    if now >= expires + LEEWAY_SECONDS:
        message = f"it expired {now - expires:.0f} s ago"
        raise ValueError(message)
    if max(issued, valid_from) > now + LEEWAY_SECONDS:
        message = f"it is not valid for another {max(issued, valid_from) - now:.0f} s"
        raise ValueError(message)
    return issued, expires


def _read_date(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519, 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_DATE:
        message = f"its {name} is {excerpt(value)}, not the seconds since 1970"
        raise ValueError(message)
    return float(value)


def read_name(claims: Mapping[str, Any], name: str) -> str:
    """Return a mandatory claim: printable text, so that it fits into one line of a log."""
    value = claims.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= MAX_NAME_LENGTH:
        message = f"its {name} is {excerpt(value)}, not printable text of 1 to {MAX_NAME_LENGTH} characters"
        raise ValueError(message)
    return value


def read_client_id(claims: Mapping[str, Any]) -> str:
    """Return the client's id, which is ASCII."""
    value = read_name(claims, "client_id")
    if not CLIENT_ID.fullmatch(value):
        message = f"its client_id is {excerpt(value)}, which is not ASCII"
        raise ValueError(message)
    return value


def read_scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes, none if the claim is missing or empty: some issuers write it so."""
    value = claims.get("scope", "")
    if value == "":
        return frozenset()
    if not isinstance(value, str) or not SCOPE.fullmatch(value) or value.count(" ") >= MAX_SCOPES:
        message = f"its scope is {excerpt(value)}, not 1 to {MAX_SCOPES} scopes with single spaces between"
        raise ValueError(message)
    return frozenset(value.split(" "))
