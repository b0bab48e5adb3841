"""Wrong and lenient ways to read requests, as in front ends and back ends that can be desynchronised."""

import re
from collections.abc import Callable
from io import BufferedReader

MAX_SIZE = 1024 * 1024
CODING = re.compile(rb"^transfer-encoding[^\n]*chunked", re.IGNORECASE | re.MULTILINE)
LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*\+?(\d+)", re.IGNORECASE | re.MULTILINE)

Framing = Callable[[bytes, BufferedReader], tuple[bytes, bytes]]
"""Reads the body that follows a head; returns it as it was sent, and its content."""


def coding_first(head: bytes, stream: BufferedReader) -> tuple[bytes, bytes]:
    """Prefer anything that looks like `chunked` to a length."""
    return _chunked(stream) if CODING.search(head) else _with_length(head, stream)


def length_first(head: bytes, stream: BufferedReader) -> tuple[bytes, bytes]:
    """Prefer a length to a coding."""
    return _with_length(head, stream) if LENGTH.search(head) else coding_first(head, stream)


def no_body_on_get(head: bytes, stream: BufferedReader) -> tuple[bytes, bytes]:
    """Read no body where it has no meaning."""
    return (b"", b"") if head.startswith((b"GET ", b"HEAD ")) else coding_first(head, stream)


def _with_length(head: bytes, stream: BufferedReader) -> tuple[bytes, bytes]:
    lengths = LENGTH.findall(head)
    body = _exactly(stream, int(lengths[-1]) if lengths else 0)
    return body, body


def _chunked(stream: BufferedReader) -> tuple[bytes, bytes]:
    sent, content, size = [], [], -1
    while size:
        line = _line(stream)
        size = int(line.split(b";")[0], 16) & 0xFFFFFFFF
        data = _exactly(stream, size)
        sent += [line, data, _line(stream) if size else b""]
        content.append(data)
    while sent[-1] not in {b"\r\n", b"\n"}:
        sent.append(_line(stream))
    return b"".join(sent), b"".join(content)


def _exactly(stream: BufferedReader, size: int) -> bytes:
    """Return so many bytes; a size over 32 bits is cut off, as in some servers.

    Raises:
        ValueError: the size is not worth waiting for.
        EOFError: the client closed the connection before.
    """
    size &= 0xFFFFFFFF
    if size > MAX_SIZE:
        raise ValueError
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _line(stream: BufferedReader) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return line


def read_head(stream: BufferedReader) -> bytes:
    """Return the next head, as it was sent, without empty lines in front."""
    lines = [_line(stream)]
    while lines[-1] not in {b"\r\n", b"\n"} or len(lines) == 1:
        lines.append(_line(stream))
        if lines[0] in {b"\r\n", b"\n"}:
            del lines[0]
    return b"".join(lines)
