"""Requests as raw bytes, and a stream of responses on one connection."""

from http.client import HTTPResponse
from io import BufferedReader
from itertools import count

JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"

numbers = count(1)


def wire(text):
    """Return the bytes of a text with characters below U+0100: `\xff` is the byte 255."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


def head(line, *headers, version="HTTP/1.1", host="Host: users.example"):
    return b"".join(
        wire(part) + b"\r\n" for part in (f"{line} {version}".rstrip(), *filter(None, (host, *headers)), "")
    )


def get(target, *headers, **how):
    return head(f"GET {target}", *headers, **how)


def send(line, body, *headers, **how):
    """Return a request with its correct length; the body is JSON unless the headers say otherwise.

    `<new>` is replaced by an email address that no other request uses.
    """
    body = wire(body).replace(b"<new>", b"user%d@wire.example" % next(numbers))
    return head(line, *(headers or (JSON,)), f"Content-Length: {len(body)}", **how) + body


def chunks(*pieces):
    """Return the pieces as a complete chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*map(wire, pieces), b""))


def chunked(line, *pieces, **how):
    """Return a request with the body in these chunks."""
    return head(line, JSON, CHUNKED, **how) + chunks(*pieces)


class Stream(BufferedReader):
    """The incoming bytes of a connection; http.client would close it after one response."""

    def makefile(self, _mode):
        return self

    def close(self):
        """Keep the connection open for the next response."""


def read_response(stream, method="GET"):
    """Read the next response to a request with this method; its attribute `body` has the whole body."""
    response = HTTPResponse(stream, method=method)
    response.begin()
    response.body = response.read()
    return response
