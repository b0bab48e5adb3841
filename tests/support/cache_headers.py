"""The headers of every response that tell browsers and caches what to do with it."""

from collections.abc import Mapping
from email.message import Message


def is_guarded(headers: Mapping[str, str] | Message) -> bool:
    """Return whether no browser guesses the type, and no cache reuses the response without asking."""
    expected = "no-cache" if headers.get("ETag") else "no-store"
    return (headers.get("X-Content-Type-Options"), headers.get("Cache-Control")) == ("nosniff", expected)
