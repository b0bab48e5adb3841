"""The headers of every response that tell browsers and caches what to do with it."""

from collections.abc import Mapping
from email.message import Message

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
BANNERS = ("Server", "X-Powered-By", "X-AspNet-Version", "Via")


def is_guarded(
    headers: Mapping[str, str] | Message, *, is_page: bool = False, is_https: bool = False
) -> bool:
    """Return whether a response has each security header exactly once, and no header names the software."""
    expected = {
        "Cache-Control": "no-cache" if headers.get("ETag") else "no-store",
        "Content-Security-Policy": PAGE_POLICY if is_page else API_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000" if is_https else None,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": None,
    } | dict.fromkeys(BANNERS)
    return {name: joined(headers, name) for name in expected} == expected


def joined(headers: Mapping[str, str] | Message, name: str) -> str | None:
    """Return the values of all headers of this name, separated by commas, or None if there is none."""
    if isinstance(headers, Message):
        return ", ".join(headers.get_all(name, [])) or None
    return headers.get(name)  # httpx joins them itself.
