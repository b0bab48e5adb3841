"""Fetches the JSON documents of an issuer: bounded in size, and over protected connections."""

from collections.abc import Callable
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final, TypeVar

import httpx
import orjson

MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_REASON_LENGTH: Final = 600
MAX_PORT: Final = 65535
HEADERS: Final = {
    "User-Agent": "users-api",
    "Accept": "application/json, application/jwk-set+json",
    "Accept-Encoding": "identity",
    "Connection": "close",
}

Value = TypeVar("Value")


class IssuerUnavailable(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """The issuer's keys could not be fetched; the reason is one line for the log, never for a client."""

    def __init__(self, reason: str) -> None:
        """Shorten the reason, and remove line breaks that come from the issuer."""
        super().__init__(" ".join(reason.split())[:MAX_REASON_LENGTH])


def create_client() -> httpx.AsyncClient:
    """Return a client that verifies certificates, and stores neither cookies nor connections.

    It reads proxies and certificate authorities from the environment (`HTTPS_PROXY`, `NO_PROXY`,
    `SSL_CERT_FILE`), which is as trusted as the issuer's URL. Plain HTTP is for loopback addresses, and uses
    no proxy. The caller limits the time. Loading the authorities takes 30 ms or more of CPU time.
    """
    return httpx.AsyncClient(
        headers=HEADERS,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        mounts={"http://": None},
        timeout=None,  # noqa: S113 -- httpx has no limit for the sum of all steps.
    )


def is_protected(text: str) -> bool:
    """Return whether the text is a URL with https, or with http on loopback, and without credentials."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    is_valid = bool(url.host) and not url.userinfo and (url.port or 0) <= MAX_PORT
    return is_valid and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host)))


async def fetch_document(
    client: httpx.AsyncClient, url: str, parse: Callable[[Any], Value]
) -> tuple[Value, httpx.Headers]:
    """Return the parsed JSON document and the response's headers; redirects are failures.

    Raises:
        IssuerUnavailable: anything failed, also the parser.
    """
    try:
        async with client.stream("GET", url) as response:
            _check_head(response)
            return parse(orjson.loads(await _read_body(response))), response.headers
    except Exception as error:
        message = f"{url}: {error or repr(error)}"  # Some of httpx's errors have no text.
        raise IssuerUnavailable(message) from error


def _check_head(response: httpx.Response) -> None:
    """Reject errors, and compressed bodies: one piece could expand to many times the limit."""
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if response.status_code != HTTPStatus.OK:
        message = f"the status is {response.status_code}"
        raise ValueError(message)
    if coding != "identity":
        message = f"the content coding is {coding}"
        raise ValueError(message)


async def _read_body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_DOCUMENT_BYTES:
            message = f"the body exceeds {MAX_DOCUMENT_BYTES} bytes"
            raise ValueError(message)
    return bytes(body)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
