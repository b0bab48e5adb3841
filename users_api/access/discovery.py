"""Finds the keys of an issuer by its metadata (RFC 8414; OpenID Connect Discovery 1.0).

The operator configures the issuer and trusts it: its metadata may name any host for the keys, even an
internal one. That host receives nothing but a GET request, and its response reaches no client.
"""

import asyncio
import re
from typing import Any, Final, NamedTuple

import httpx

from users_api.access.documents import IssuerUnavailable, fetch_document, is_protected
from users_api.access.keys import PublicKeys

FETCH_SECONDS: Final = 5
DEFAULT_MAX_AGE: Final = 10 * 60
SHORTEST_MAX_AGE: Final = 60
LONGEST_MAX_AGE: Final = 60 * 60
MAX_AGE: Final = re.compile(r'(?:^|[\s,])max-age\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)


class FetchedKeys(NamedTuple):
    """The keys of an issuer, and for how many seconds they are fresh."""

    keys: PublicKeys
    max_age: int


def parse_issuer(text: str) -> str:
    """Return the URL of an issuer unchanged: metadata and tokens must name exactly this text.

    Raises:
        ValueError: it is something else; the message reads after the name of the setting.
    """
    if "?" in text or "#" in text or text.split() != [text] or not is_protected(text):
        message = (  # Without the text, which may contain a password.
            "must be a URL like https://issuer.example without credentials, query and fragment; "
            "http:// is only for loopback addresses"
        )
        raise ValueError(message)
    return text


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return where the metadata is: by RFC 8414, 3.1, or else by OpenID Connect Discovery 1.0, 4.1."""
    url = httpx.URL(issuer)
    origin, path = f"{url.scheme}://{url.netloc.decode()}", url.raw_path.decode().removesuffix("/")
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def parse_max_age(cache_control: str) -> int:
    """Return the seconds of `max-age` (RFC 9111, 5.2.2.1): a minute to an hour, or else ten minutes."""
    found = MAX_AGE.search(cache_control)
    return min(max(int(found[1]), SHORTEST_MAX_AGE), LONGEST_MAX_AGE) if found else DEFAULT_MAX_AGE


async def fetch_keys(client: httpx.AsyncClient, issuer: str) -> FetchedKeys:
    """Return the keys that the issuer publishes, within 5 s in total.

    Raises:
        IssuerUnavailable: there is no usable key.
    """
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            jwks_uri = await _find_jwks_uri(client, issuer)
            keys, headers = await fetch_document(client, jwks_uri, _parse_keys)
    except TimeoutError:
        message = f"{issuer}: no complete response within {FETCH_SECONDS} s"
        raise IssuerUnavailable(message) from None
    return FetchedKeys(keys, parse_max_age(headers.get("Cache-Control", "")))


async def _find_jwks_uri(client: httpx.AsyncClient, issuer: str) -> str:
    """Return the URL of the keys from the first metadata that is valid."""
    reasons = []
    for url in metadata_urls(issuer):
        try:
            jwks_uri, _ = await fetch_document(client, url, lambda metadata: _read_metadata(metadata, issuer))
        except IssuerUnavailable as error:
            reasons.append(str(error))
        else:
            return jwks_uri
    raise IssuerUnavailable("; ".join(reasons))


def _read_metadata(metadata: Any, issuer: str) -> str:
    """Return the URL of the keys, if this is the metadata of the issuer (RFC 8414, 3.3)."""
    named, url = (
        (metadata.get("issuer"), metadata.get("jwks_uri")) if isinstance(metadata, dict) else (None, None)
    )
    if named != issuer:
        message = f"the metadata is of {named!r} instead of {issuer!r}"
        raise ValueError(message)
    if not isinstance(url, str) or not is_protected(url):
        message = "the metadata has no jwks_uri with https:// (http:// is only for loopback addresses)"
        raise ValueError(message)
    return url


def _parse_keys(document: Any) -> PublicKeys:
    keys = PublicKeys.parse(document)
    if not len(keys):
        message = "none of the keys can verify tokens"
        raise ValueError(message)
    return keys
