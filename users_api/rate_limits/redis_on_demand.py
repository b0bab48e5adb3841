"""Imports Redis's client only for a service that uses it: it takes 9 MB in each worker, and 0.1 s."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from users_api.rate_limits.redis_store import RedisStore

MODULE: Final = "users_api.rate_limits.redis_store"


def redis_url(text: str) -> str:
    """Return the URL of a Redis server unchanged.

    Raises:
        ValueError: the text is wrong.
    """
    url: str = import_module(MODULE).redis_url(text)
    return url


def redis_store(url: str) -> "RedisStore":
    """Return the store of limits in this server, which connects on first use."""
    store: RedisStore = import_module(MODULE).RedisStore(url)
    return store
