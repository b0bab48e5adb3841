"""Checks who may use the service: where its access tokens come from, and what browsers may do."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from users_api.access.discovery import fetch_keys
from users_api.access.documents import create_client
from users_api.checks.findings import Finding, ok, warning
from users_api.config import Config

ISSUER_ADVICE: Final = (
    "Compare AUTH_ISSUER with the `issuer` in the metadata, and check that this machine reaches the issuer."
)


def check_tokens(settings: type[Config]) -> Iterable[Finding]:
    """Find where access tokens come from; the keys of an external issuer are fetched once."""
    if not settings.AUTH:
        return [ok("none needed: AUTH=none lets each client read and change all users")]
    if issuer := settings.AUTH_ISSUER:
        return [ok(f"{_count(asyncio.run(_count_keys(issuer)), 'key')} of {issuer}")]
    if keys_given := settings.TOKEN_KEYS:
        return [ok(f"issued by the service, {_count(len(keys_given.public), 'key')} in TOKEN_KEYS")]
    return [ok("issued by the service, with a key in its instance folder")]


async def _count_keys(issuer: str) -> int:
    async with create_client() as client:
        return len((await fetch_keys(client, issuer)).keys)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def check_hosts(settings: type[Config]) -> Iterable[Finding]:
    """Find whether pages of any site can use the service through the browsers of their visitors."""
    return [*_open_to_pages(settings)] or [ok(_describe_hosts(settings))]


def _open_to_pages(settings: type[Config]) -> Iterator[Finding]:
    if settings.ALLOWED_HOSTS is None and not settings.AUTH:
        yield warning(
            "every host is allowed, without access tokens",
            "Set ALLOWED_HOSTS to the host names of this service, separated by commas.",
        )
    if "*" in settings.CORS_ORIGINS and not settings.AUTH:
        yield warning(
            "every origin is allowed, without access tokens",
            "Set CORS_ORIGINS to the origins of your own pages.",
        )


def _describe_hosts(settings: type[Config]) -> str:
    hosts = "every host" if settings.ALLOWED_HOSTS is None else ", ".join(sorted(settings.ALLOWED_HOSTS))
    origins = ", ".join(sorted(settings.CORS_ORIGINS)) or "no other origins"
    return f"{hosts}; {origins.replace('*', 'every origin')}"
