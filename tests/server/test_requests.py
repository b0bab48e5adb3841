"""Valid and invalid requests on a connection, and the server's responses."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest

from tests.server.wire import connect, exchange, on_a_loop, settle
from users_api.server.failures import format_size, render_problem
from users_api.server.protocol import IDLE_CLOSE_SECONDS, MAX_PIPELINED
from users_api.server.transport import LINGER_SECONDS

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
INVALID = (400, "The request is not valid HTTP/1.1.")
TOO_LARGE = (431, "The request line and the headers must not be larger than 1 KiB together.")
LATE = (408, "The request line and the headers did not arrive within 0.01 seconds.")


@pytest.mark.parametrize(
    ("pieces", "responses"),
    [
        pytest.param([GET], [(200, b"")], id="a request"),
        pytest.param([GET[:9], GET[9:]], [(200, b"")], id="a head in two pieces"),
        pytest.param([POST + b"body"], [(200, b"body")], id="a body"),
        pytest.param([CHUNKED + b"\r\n4\r\nbody\r\n0\r\n\r\n"], [(200, b"body")], id="chunks"),
        pytest.param(
            [CHUNKED + b"\r\n4\r\nbody\r\n0\r\nX: y\r\n\r\n"], [(200, b"body")], id="trailers are ignored"
        ),
        pytest.param([GET, GET], [(200, b"")] * 2, id="keep-alive"),
        pytest.param([GET * 3], [(200, b"")] * 3, id="pipelined"),
        pytest.param([b"GET / HTTP/1.0\r\n\r\n"], [(200, b"")], id="HTTP/1.0 needs no Host"),
        pytest.param(
            [
                (
                    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
                    b"Content-Length: 4\r\n\r\nbody"
                )
            ],
            [(200, b"body")],
            id="an upgrade is ignored",
        ),
    ],
)
def test_a_request_is_answered(pieces: list[bytes], responses: list[Any]) -> None:
    assert exchange(*pieces).responses == responses


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        pytest.param(b"nonsense\r\n\r\n", INVALID, id="not HTTP"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", INVALID, id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", INVALID, id="two Hosts"),
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", INVALID, id="CONNECT"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", INVALID, id="gzip"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"x" * 1024), TOO_LARGE, id="a large head"
        ),
    ],
)
def test_anything_else_is_rejected_and_closes_the_connection(sent: bytes, failure: tuple[int, str]) -> None:
    wire = exchange(sent + GET)

    assert wire.responses == [failure]
    assert b"\r\nconnection: close\r\n" in wire.sent
    assert "close" in wire.calls or "write_eof" in wire.calls


def test_a_head_without_an_end_is_too_large_as_soon_as_it_exceeds_the_limit() -> None:
    wire = exchange(GET[:-2], b"X: " + b"x" * 512, b"x" * 512)

    assert wire.responses == [TOO_LARGE]


@pytest.mark.parametrize(("size", "status"), [(1024, 200), (1025, 431)])
def test_every_byte_of_a_head_counts(size: int, status: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: \r\n" * 150 + b"X: %b\r\n\r\n"
    request = head % (b"x" * (size - len(head % b"")))

    first = exchange(request + GET).responses[0]

    assert first[0] == status


def test_the_rest_of_a_rejected_request_is_ignored() -> None:
    assert exchange(b"nonsense\r\n\r\n", GET).responses == [INVALID]


def test_the_size_around_chunks_is_limited() -> None:
    wire = exchange(CHUNKED + b"\r\n", b"4;" + b"x" * 1024, b"x" * 512)

    assert wire.responses == [TOO_LARGE]


def test_too_many_pipelined_requests_end_the_connection_after_those_before() -> None:
    assert exchange(GET * 10 * MAX_PIPELINED).responses == [(200, b"")] * (MAX_PIPELINED + 1)


@on_a_loop
async def test_a_head_that_does_not_arrive_in_time_is_rejected() -> None:
    protocol, wire = connect(head_seconds=0.01)

    protocol.data_received(GET[:9])
    await asyncio.sleep(0.05)

    assert wire.responses == [LATE]
    protocol.connection_lost(None)


@on_a_loop
async def test_a_connection_without_a_request_is_closed_silently() -> None:
    protocol, wire = connect(head_seconds=0.01)

    await asyncio.sleep(0.05)

    assert (wire.sent, wire.calls) == (b"", ["close"])
    protocol.connection_lost(None)


@on_a_loop
async def test_each_head_has_a_time_limit() -> None:
    protocol, wire = connect(head_seconds=0.01)
    protocol.data_received(GET)
    await settle(protocol)

    protocol.data_received(GET[:9])
    protocol.data_received(GET[9:12])
    await asyncio.sleep(0.05)

    assert wire.responses == [(200, b""), LATE]
    protocol.connection_lost(None)


@on_a_loop
async def test_a_client_that_closes_its_half_gets_the_responses_that_are_due() -> None:
    protocol, wire = connect()
    protocol.data_received(GET * 2)

    stays_open = protocol.eof_received()
    await settle(protocol)

    assert stays_open
    assert wire.responses == [(200, b""), (200, b"")]
    assert wire.calls[-1] == "close"
    protocol.connection_lost(None)


@on_a_loop
async def test_an_incomplete_body_is_reported_as_a_disconnect() -> None:
    protocol, wire = connect()
    protocol.data_received(POST + b"bo")

    stays_open = protocol.eof_received()
    await settle(protocol)

    assert (stays_open, wire.sent) == (False, b"")
    protocol.connection_lost(None)


@on_a_loop
async def test_a_pipelined_request_whose_body_breaks_off_is_not_started() -> None:
    protocol, wire = connect()
    protocol.data_received(GET + POST + b"bo")

    stays_open = protocol.eof_received()
    await settle(protocol)

    assert stays_open
    assert wire.responses == [(200, b"")]
    protocol.connection_lost(None)


@on_a_loop
async def test_a_broken_body_is_rejected_unless_its_response_has_started() -> None:
    async def early(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"k"})

    answered, started = connect(), connect(early)
    for protocol, _ in (answered, started):
        protocol.data_received(CHUNKED + b"\r\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        protocol.data_received(b"nonsense\r\n")
        await settle(protocol)

    assert answered[1].responses == [INVALID]
    assert b"400" not in started[1].sent
    for protocol, _ in (answered, started):
        protocol.connection_lost(None)


@on_a_loop
async def test_a_connection_lingers_while_a_request_is_arriving() -> None:
    protocol, wire = connect()
    wire_without_halves = connect(half_closes=False)

    for each in (protocol, wire_without_halves[0]):
        each.data_received(CHUNKED + b"\r\nnonsense\r\n")

    assert wire.calls == ["write_eof", "resume_reading"], f"it closes after {LINGER_SECONDS} seconds"
    assert wire_without_halves[1].calls == ["close"]
    wire.calls.clear()
    protocol.transport.close()
    assert wire.calls == [], "it is closing already"


@on_a_loop
async def test_nothing_is_written_to_a_closed_connection() -> None:
    protocol, wire = connect()
    wire.calls.append("close")

    protocol.transport.write(b"late")

    assert wire.sent == b""
    protocol.connection_lost(None)


@on_a_loop
async def test_an_idle_connection_is_closed_soon_after_a_shutdown() -> None:
    protocol, wire = connect()

    protocol.shutdown()
    before = list(wire.calls)
    await asyncio.sleep(IDLE_CLOSE_SECONDS + 0.1)

    assert (before, wire.calls) == ([], ["close"])
    protocol.connection_lost(None)


@on_a_loop
async def test_a_request_after_a_shutdown_is_the_connections_last() -> None:
    protocol, wire = connect()

    protocol.shutdown()
    protocol.data_received(GET)
    await settle(protocol)

    assert wire.responses == [(200, b"")]
    assert b"\r\nconnection: close\r\n" in wire.sent
    protocol.connection_lost(None)


@on_a_loop
async def test_a_client_that_stops_reading_is_disconnected() -> None:
    protocol, wire = connect(send_seconds=0.01)

    protocol.pause_writing()
    protocol.pause_writing()
    await asyncio.sleep(0.05)

    assert wire.calls == ["abort"]
    assert len(wire.options) == 1, "without SO_LINGER the kernel would keep what the client does not read"
    protocol.connection_lost(None)


def test_the_default_format_of_failures_is_problem_json() -> None:
    body, headers = render_problem(HTTPStatus.BAD_REQUEST, "No.")

    assert headers == [(b"content-type", b"application/problem+json")]
    assert json.loads(body) == {"type": "about:blank", "title": "Bad Request", "detail": "No.", "status": 400}


@pytest.mark.parametrize(
    ("size", "words"), [(1, "1 bytes"), (1024, "1 KiB"), (1536, "1536 bytes"), (1024**2, "1 MiB")]
)
def test_a_size_is_in_the_largest_unit_that_divides_it(size: int, words: str) -> None:
    assert format_size(size) == words
