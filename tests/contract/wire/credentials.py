"""Cases for a service with AUTH=required, derived from those of a service with AUTH=none."""

import re

from tests.contract.wire.case import (
    NO_HTTP,
    NO_METHOD,
    NO_PATH,
    UNAUTHORIZED,
    Answer,
    Case,
    Pause,
    empty,
    fail,
)
from tests.contract.wire.framing import SMUGGLED
from tests.support.hostile import BROKEN_CHUNKS
from tests.support.raw_http import CHUNKED, JSON, head, wire

FIRST_LINE = re.compile(rb"( HTTP/1\.[01]\r\n)(?=Host:)")
SECURED = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) /(?:users(?:/[^/]*)?|metrics)(?:\?.*)? HTTP/1\.1")
OF_HTTP = {NO_HTTP, NO_METHOD, NO_PATH}
TOO_LARGE_HEAD = 431
CHALLENGE = 'Bearer realm="users-api"'
SECONDS = 10


def _unauthorized(method: str) -> Answer:
    challenge = {"www_authenticate": CHALLENGE}
    return empty(401, **challenge) if method == "HEAD" else fail(401, UNAUTHORIZED, **challenge)


LATE = {
    f"{name} behind a response is a broken chunk": Case(
        (head("POST /users", JSON, CHUNKED), Pause(SECONDS), wire(text) + SMUGGLED),
        (_unauthorized("POST"),),
        closed=True,
    )
    for name, text in BROKEN_CHUNKS.items()
}
"""Bodies that turn out to be wrong as HTTP when the request has already been rejected."""


def with_token(case: Case, token: str) -> Case:
    """Return the case with the token in each request, except in requests within bodies.

    The service must answer it as it answers the original one with AUTH=none.
    """
    line = rb"\1Authorization: Bearer %b" % token.encode() + b"\r\n"
    pieces = tuple(
        piece if isinstance(piece, Pause) else FIRST_LINE.sub(line, piece) for piece in case.pieces
    )
    return case._replace(pieces=pieces)


def without_token(case: Case) -> Case | None:
    """Return the case of one request with the answer that it gets without a token.

    None if the request needs no token, or is wrong as HTTP. The answer does not wait for the body, so the
    client ends its side of the connection if the body is incomplete.
    """
    if len(case.answers) != 1 or not (found := SECURED.match(b"".join(_bytes(case)))):
        return None
    (answer,) = case.answers
    if answer.message in OF_HTTP or answer.status in {405, TOO_LARGE_HEAD}:
        return None
    incomplete = ("connection", "close") in answer.headers
    return case._replace(answers=(_unauthorized(found[1].decode()),), half_closes=incomplete)


def _bytes(case: Case) -> list[bytes]:
    return [piece for piece in case.pieces if isinstance(piece, bytes)]
