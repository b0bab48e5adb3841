"""Removes secrets from the messages of libraries, which may quote what they were given."""

import os
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from sqlalchemy.exc import DBAPIError

MASK: Final = "***"
KEYS: Final = ("TOKEN_KEYS", "SECRET_KEY", "PGPASSWORD")
URLS: Final = (
    "DATABASE_URL",
    "DATABASE_TEST_URL",
    "RATE_LIMIT_STORE",
    "AUTH_ISSUER",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)
CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s]*@")
PASSWORD: Final = re.compile(r"://[^:/?#]*:(.*)@", re.DOTALL)
PASSWORD_PARAMETER: Final = "pass"  # noqa: S105 -- libpq's are `password` and `sslpassword`, Redis's `password`.


def describe(error: Exception) -> str:
    """Return the message of an exception in one line, without secrets."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    without_text = "no answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
    return redact(str(cause)) or without_text


def redact(text: str) -> str:
    """Return the text in one line, without secrets, credentials of URLs and control codes."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, MASK)
    shown = "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))
    return CREDENTIALS.sub(f"{MASK}@", shown)


def _secrets() -> set[str]:
    """Return each secret as it is written, decoded, encoded, and as Python shows it."""
    found = {each for secret in _written_secrets() for each in (secret, unquote(secret))}
    return {spelling for each in found - {""} for spelling in _spellings(each)}


def _spellings(secret: str) -> Iterator[str]:
    yield from (secret, repr(secret)[1:-1], quote_plus(secret))
    yield from (quote(secret, safe=safe) for safe in ("", "/", " +"))  # SQLAlchemy's is the last one.


def _written_secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        if name in KEYS:
            yield from (value, *(key.strip() for key in value.split(",")))
        elif name.upper() in URLS:
            yield from PASSWORD.findall(value)
            yield from _password_parameters(value.partition("?")[2])


def _password_parameters(query: str) -> Iterator[str]:
    """Yield the passwords of a URL's query, decoded as libpq's and as a form's."""
    for separated in (query, query.replace("+", "%2B")):
        for name, value in parse_qsl(separated):
            if PASSWORD_PARAMETER in name.lower():
                yield value
