"""The headers of every response that restrict browsers and caches; docs/safety.md explains each of them."""

from typing import Final

Headers = list[tuple[bytes, bytes]]

SECURITY_HEADERS: Final[Headers] = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
NOT_STORED: Final[Headers] = [*SECURITY_HEADERS, (b"cache-control", b"no-store")]
VALIDATED: Final[Headers] = [*SECURITY_HEADERS, (b"cache-control", b"no-cache")]
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {name.decode(): value.decode() for name, value in NOT_STORED} | {
    "content-security-policy": PAGE_POLICY
}
TAGGED_PAGE_HEADERS: Final = {"cache-control": "no-cache"}
HTTPS_HEADERS: Final[Headers] = [(b"strict-transport-security", b"max-age=31536000")]
