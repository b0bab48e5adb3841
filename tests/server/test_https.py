"""Requests that arrive over HTTPS, as a trusted proxy reports, get additional headers in their responses."""

import asyncio
from typing import Any

from tests.server.wire import Wire, connect, echo, on_a_loop, settle
from users_api.server.protocol import Phase

SECURE = (b"x-secure", b"yes")
LINE = b"\r\nx-secure: yes\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n"
HTTPS = b"X-Forwarded-Proto: https\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%s\r\n"
SMALL_CHUNKS = b"1\r\nx\r\n" * 2_100


async def converse(*pieces: bytes, app: Any = echo) -> Wire:
    """Send the pieces, each after the application has received the one before it."""
    protocol, wire = connect(app, https_headers=[SECURE])
    for piece in pieces:
        protocol.data_received(piece)
        await (asyncio.sleep(0) if protocol.phase is Phase.BODY else settle(protocol))
    protocol.connection_lost(None)
    await settle(protocol)
    return wire


def heads(wire: Wire) -> list[tuple[int, bool]]:
    """Return the status of each response, and whether it has the additional header."""
    return [
        (int(each[:3]), LINE in each.partition(b"\r\n\r\n")[0] + b"\r\n")
        for each in wire.sent.split(b"HTTP/1.1 ")[1:]
    ]


@on_a_loop
async def test_only_the_response_to_a_secure_request_has_the_headers() -> None:
    wire = await converse(GET % HTTPS, GET % b"", GET % HTTPS)

    assert heads(wire) == [(200, True), (200, False), (200, True)]


@on_a_loop
async def test_an_application_that_fails_gets_the_headers_and_the_format_of_failures() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise LookupError

    secure, plain = await converse(GET % HTTPS, app=app), await converse(GET % b"", app=app)

    assert (heads(secure), heads(plain)) == ([(500, True)], [(500, False)])
    assert secure.responses == plain.responses == [(500, "Something went wrong on our side.")]


@on_a_loop
async def test_a_body_that_is_rejected_gets_the_headers_of_its_request() -> None:
    secure = await converse(CHUNKED % HTTPS, SMALL_CHUNKS)
    plain = await converse(CHUNKED % b"", SMALL_CHUNKS)

    assert (heads(secure), heads(plain)) == ([(400, True)], [(400, False)])


@on_a_loop
async def test_a_head_that_is_rejected_is_not_known_to_be_secure() -> None:
    wire = await converse(GET % HTTPS, b"GET / HTTP/1.1\r\n%sHost: x\r\nHost: y\r\n\r\n" % HTTPS)
    other = await converse(GET % HTTPS, b"\0")

    assert heads(wire) == heads(other) == [(200, True), (400, False)]
