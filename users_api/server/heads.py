"""The heads of requests: which of them are HTTP/1.1, and which host they address."""

from collections.abc import Iterable
from typing import Final

LINE_BYTES: Final = 4
OTHER_BYTES: Final = 14  # The spaces and the version in the request line, its end, and the empty line.
Header = tuple[bytes, bytes]


def head_size(method: bytes, target: bytes, headers: Iterable[Header]) -> int:
    """Return the number of bytes in a head whose lines have a space after the colon and end with CRLF."""
    lines = sum(len(name) + len(value) + LINE_BYTES for name, value in headers)
    return len(method) + len(target) + OTHER_BYTES + lines


def is_valid_head(method: bytes, version: str, headers: Iterable[Header]) -> bool:
    """Return whether a head is one that no two parsers could interpret differently.

    HTTP/1.1 requires exactly one Host, and HTTP/1.0 may have one (RFC 9112, 3.2). The parser would pass on
    the result of transfer codings other than chunked as the body (RFC 9112, 6.1).
    """
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return False
    known = (version == "1.1" and hosts == 1) or (version == "1.0" and hosts <= 1)
    return known and method != b"CONNECT"


def take_host_from_target(target: bytes, headers: list[Header]) -> None:
    """Replace the Host header by the host of a target in absolute form, if it is one (RFC 9112, 3.2.2)."""
    if target.startswith(b"/") or b"://" not in target:
        return
    authority = target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
    host = authority.rpartition(b"@")[2]
    headers[:] = [(b"host", host), *(header for header in headers if header[0] != b"host")]
