"""The response of a request, compared with what uvicorn itself sends."""

import asyncio
import json
import logging
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.server.wire import Wire, connect, on_a_loop, settle

REQUESTS = {
    "GET": b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "close": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "1.0": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
    "two": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "expect": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
}
LENGTH = (b"content-length", b"5")
RESPONSES: dict[str, tuple[int, list[tuple[bytes, bytes]], list[bytes]]] = {
    "length": (200, [LENGTH], [b"hello"]),
    "pieces": (200, [LENGTH], [b"he", b"l", b"", b"lo"]),
    "chunks": (200, [], [b"he", b"", b"llo"]),
    "chunks without a body": (200, [], [b""]),
    "chunks by the application": (200, [LENGTH, (b"Transfer-Encoding", b"Chunked")], [b"hello"]),
    "another coding": (200, [(b"transfer-encoding", b"gzip")], [b"hello"]),
    "two lengths": (200, [LENGTH, (b"content-length", b"7")], [b"hello"]),
    "mixed case": (404, [(b"Content-Length", b"5"), (b"X-Name", b"Value")], [b"hello"]),
    "close": (503, [LENGTH, (b"Connection", b"Close")], [b"hello"]),
    "close in a list": (200, [LENGTH, (b"connection", b"x, close")], [b"hello"]),
    "close with spaces": (200, [LENGTH, (b"connection", b" x,close ")], [b"hello"]),
    "keep-alive": (200, [LENGTH, (b"connection", b"keep-alive")], [b"hello"]),
    "no content": (204, [], [b""]),
    "not modified": (304, [(b"etag", b'"1"')], [b""]),
    "unknown status": (599, [LENGTH], [b"hello"]),
    "unusual characters": (
        200,
        [LENGTH, (b"x-text", b"\ttab \xff" + b"long" * 50), (b"!#$%&'*+-.^_`|~", b"")],
        [b"hello"],
    ),
}


def responding(name: str) -> Any:
    """Return an application that sends the response."""
    status, headers, pieces = RESPONSES[name]

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


async def sent_by_uvicorn(app: Any, request: bytes) -> tuple[bytes, bool]:
    """Return what uvicorn's own protocol sends, and whether it closes the connection."""
    config = Config(app, log_config=None)
    config.load()
    state = ServerState()
    state.default_headers = [(b"Date", b"Fri, 27 Nov 2026 12:00:00 GMT")]
    protocol, wire = HttpToolsProtocol(config=config, server_state=state, app_state={}), Wire()
    protocol.connection_made(wire)
    protocol.data_received(request)
    while protocol.tasks:
        await asyncio.wait(list(protocol.tasks))
    is_closed = wire.is_closing()
    protocol.connection_lost(None)
    return wire.sent, is_closed


async def sent(app: Any, request: bytes) -> tuple[bytes, bool]:
    """Return the same for this server's protocol."""
    protocol, wire = connect(app)
    protocol.server_state.default_headers = [(b"Date", b"Fri, 27 Nov 2026 12:00:00 GMT")]
    protocol.data_received(request)
    await settle(protocol)
    is_closed = wire.is_closing()
    protocol.connection_lost(None)
    return wire.sent, is_closed


@pytest.mark.parametrize(("response", "request_name"), [*product(RESPONSES, REQUESTS)])
def test_a_response_is_byte_for_byte_that_of_uvicorn(response: str, request_name: str) -> None:
    app, request = responding(response), REQUESTS[request_name]

    ours, theirs = asyncio.run(sent(app, request)), asyncio.run(sent_by_uvicorn(app, request))

    assert ours == theirs


START = {"type": "http.response.start", "status": 200, "headers": [LENGTH]}
HELLO = {"type": "http.response.body", "body": b"hello"}
INVALID = {
    "a line in a value": [{**START, "headers": [(b"x", b"1\r\nset-cookie: a=b")]}],
    "a long value": [{**START, "headers": [(b"x", b"1" * 100 + b"\n")]}],
    "a colon in a name": [{**START, "headers": [(b"x: 1; y", b"2")]}],
    "a space in a name": [{**START, "headers": [(b"x y", b"1")]}],
    "no name": [{**START, "headers": [(b"", b"1")]}],
    "no head": [{"type": "http.response.body", "body": b"hello"}],
    "two heads": [START, START],
    "no body": [START],
    "a body that is too short": [START, {"type": "http.response.body", "body": b"hell"}],
    "a body that is too long": [START, {"type": "http.response.body", "body": b"hello!", "more_body": True}],
    "an unknown message": [{"type": "http.response.push"}],
}


@pytest.mark.parametrize("messages", INVALID.values(), ids=INVALID)
def test_an_application_that_breaks_the_rules_of_asgi_results_in_500(messages: list[Any]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    response, is_closed = asyncio.run(sent(app, REQUESTS["GET"]))

    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["detail"] == "Something went wrong on our side."
    assert is_closed


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ([{**START, "headers": [(b"transfer-encoding", b"chunked"), (b"x", b"\n")]}, START, HELLO], 500),
        ([START, {**HELLO, "body": b"hell"}, {**HELLO, "body": b"o"}], 500),
        ([{**HELLO, "type": "http.response.push"}, START, HELLO], 200),
    ],
)
def test_an_application_that_ignores_an_error_cannot_send_a_wrong_response(
    first: list[Any], status: int
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in first:
            with suppress(RuntimeError):
                await send(message)

    response, _ = asyncio.run(sent(app, REQUESTS["GET"]))

    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"


@pytest.mark.parametrize("header", [LENGTH, (b"transfer-encoding", b"chunked")])
def test_a_response_without_a_body_may_announce_one(header: tuple[bytes, bytes]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 304, "headers": [header]})
        await send({"type": "http.response.body"})

    response, is_closed = asyncio.run(sent(app, REQUESTS["GET"]))

    assert (response.partition(b"\r\n\r\n")[2], is_closed) == (b"", False)


@on_a_loop
async def test_a_client_that_waits_for_permission_gets_it_before_the_response() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await receive()
        await send(HELLO)

    response, _ = await sent(app, REQUESTS["expect"])

    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@on_a_loop
async def test_a_shutdown_before_the_body_is_announced_to_the_client() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        protocol.shutdown()
        await send(HELLO)

    protocol, wire = connect(app)
    protocol.data_received(REQUESTS["GET"])
    await settle(protocol)

    assert b"connection: close\r\n" in wire.sent
    assert wire.is_closing()
    protocol.connection_lost(None)


@on_a_loop
async def test_a_lost_connection_ends_the_running_request_and_those_that_wait() -> None:
    received: list[str] = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        received.append(f"{scope['path']} {(await receive())['type']}")

    protocol, _ = connect(app)
    protocol.data_received(REQUESTS["two"])
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await settle(protocol)

    assert received == ["/ http.disconnect"]


@on_a_loop
async def test_the_next_piece_waits_until_the_client_has_read_the_last_one() -> None:
    protocol, wire = connect(responding("pieces"))
    wire.on_write = protocol.pause_writing
    protocol.data_received(REQUESTS["GET"])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    before = wire.sent
    wire.on_write = lambda: None

    protocol.resume_writing()
    await settle(protocol)

    assert (before[-6:], wire.sent[-9:]) == (b"\r\n\r\nhe", b"\r\n\r\nhello")
    protocol.connection_lost(None)


@on_a_loop
async def test_nothing_is_sent_after_the_connection_is_lost() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()
        await send(START)
        await send(HELLO)

    protocol, wire = connect(app)
    protocol.data_received(REQUESTS["GET"])
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    await settle(protocol)

    assert wire.sent == b""


@pytest.mark.parametrize("fails", [False, True])
def test_the_access_log_has_one_line_with_the_status_that_was_sent(
    caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send({**HELLO, "body": b"hello!" if fails else b"hello"})

    with caplog.at_level(logging.INFO, "uvicorn.access"):
        asyncio.run(sent(app, REQUESTS["GET"]))

    lines = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
    assert lines == [f'127.0.0.1:1 - "GET /a%20b?c=d HTTP/1.1" {500 if fails else 200}']


@pytest.mark.parametrize("piece", [b"llo!", b"l"])
def test_a_response_that_turns_out_to_be_wrong_ends_the_connection(piece: bytes) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"he", "more_body": True})
        await send({"type": "http.response.body", "body": piece})

    response, is_closed = asyncio.run(sent(app, REQUESTS["GET"]))

    assert (response.partition(b"\r\n\r\n")[2], is_closed) == (b"he", True)


@on_a_loop
async def test_nothing_follows_a_complete_response() -> None:
    problems: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"hello"})
        with pytest.raises(RuntimeError) as caught:
            await send({"type": "http.response.body", "body": b"!"})
        problems.append(str(caught.value))

    response, is_closed = await sent(app, REQUESTS["GET"])

    assert problems == ["The application sent http.response.body, but nothing more was expected"]
    assert (response[-9:], is_closed) == (b"\r\n\r\nhello", False)
