"""The failures that the server responds to itself, because the application never sees the request."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

Headers = list[tuple[bytes, bytes]]
Render = Callable[[HTTPStatus, str], tuple[bytes, Headers]]
"""Turns a status and a message into a response's body and headers, without its Content-Length."""


APPLICATION_FAILED_MESSAGE: Final = "Something went wrong on our side."


class RequestFailure(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """A request that the server rejects; it closes the connection after the response."""

    status: HTTPStatus
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class InvalidRequest(RequestFailure):
    """The bytes are not a request, or two parsers could interpret them differently."""

    status = HTTPStatus.BAD_REQUEST
    message = "The request is not valid HTTP/1.1."


class HeadTooLarge(RequestFailure):
    """The request line and the headers exceed the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def __init__(self, limit: int) -> None:
        """Name the limit, in bytes."""
        self.message = (
            f"The request line and the headers must not be larger than {format_size(limit)} together."
        )


class ChunksTooSmall(RequestFailure):
    """The body comes in chunks of a few bytes, each of which takes as long as a large one."""

    status = HTTPStatus.BAD_REQUEST
    message = "The request body must not be split into chunks of a few bytes."


class Overloaded(RequestFailure):
    """The clients hold more connections or bytes than the worker may keep."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "The service is unavailable for the moment. Please try again."
    headers = ((b"retry-after", b"1"),)


class HeadTimeout(RequestFailure):
    """The request line and the headers did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, seconds: float) -> None:
        """Name the limit."""
        self.message = f"The request line and the headers did not arrive within {seconds:g} seconds."


def render_problem(status: HTTPStatus, message: str) -> tuple[bytes, Headers]:
    """Return the failure as `application/problem+json` (RFC 9457)."""
    problem = {"type": "about:blank", "title": status.phrase, "detail": message, "status": status}
    return json.dumps(problem).encode(), [(b"content-type", b"application/problem+json")]


def format_size(size: int) -> str:
    """Return a number of bytes in the largest unit that divides it."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
