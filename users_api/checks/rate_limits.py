"""Checks the rate limits, and the Redis server that counts for all instances."""

import asyncio
import os
from collections.abc import Iterable
from typing import Final

from users_api.checks.findings import Finding, ok
from users_api.config import Config
from users_api.limiting import TOKEN_RATE_LIMIT
from users_api.rate_limits.redis_store import RedisStore

STORE_ADVICE: Final = (
    "Until it works, requests pass without rate limits. Compare RATE_LIMIT_STORE with the server's address, "
    "user and password."
)
STORE_SECONDS: Final = 3.0


def check_limits(settings: type[Config]) -> Iterable[Finding]:
    """Describe the limits."""
    general = os.environ["RATE_LIMIT"] if settings.RATE_LIMIT else "none"
    if not settings.AUTH or settings.AUTH_ISSUER:
        return [ok(general)]
    tokens = os.environ["TOKEN_RATE_LIMIT"] if settings.TOKEN_RATE_LIMIT else TOKEN_RATE_LIMIT
    return [ok(f"{general}; {tokens} for tokens")]


def check_store(settings: type[Config]) -> Iterable[Finding]:
    """Count once in Redis, as a request does, under a key of its own."""
    if url := settings.RATE_LIMIT_STORE:
        return [ok(f"{asyncio.run(_count(url))}, shared by all instances")]
    return [ok("the memory of each instance")]


async def _count(url: str) -> str:
    store = RedisStore(url, seconds=STORE_SECONDS)
    try:
        return await store.probe()
    finally:
        await store.close()
