"""The observer gets one report of each request, with what was sent."""

import asyncio
from collections.abc import Sequence, Sized
from typing import Any

import pytest

from tests.server.wire import Wire, connect, echo, settle
from users_api.server.observer import Report
from users_api.server.protocol import Protocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Seen = tuple[str, int, int]


class Recorder:
    """Keeps the reports; ids are counted, or those that the client offers."""

    headers = frozenset({b"x-request-id", b"x-other"})

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.connections = 0
        self.tasks: Sized = ()
        self.reports: list[Seen] = []
        self.rejected: list[Seen] = []
        self._count = 0

    def connect(self, tasks: Sized) -> None:
        self.connections += 1
        self.tasks = tasks

    def disconnect(self) -> None:
        self.connections -= 1

    def choose_id(self, _scope: Any, found: Sequence[tuple[bytes, bytes]]) -> bytes:
        self._count += 1
        return b",".join(value for _, value in found) or b"id%d" % self._count

    def begin(self, request_id: bytes) -> None:
        assert len(self.tasks) > 0
        self.begun.append(request_id)

    def end(self, request: Report) -> None:
        request_id, operation, method, scheme, status, body_bytes, start, end, token_info = request
        assert method in {"GET", "HEAD", "POST"}
        assert (operation, scheme, token_info) == (None, "http", None)
        assert 0 < start <= end
        self.reports.append((request_id.decode(), status, body_bytes))

    def reject(self, found: Sequence[tuple[bytes, bytes]], status: int, body_bytes: int) -> bytes:
        request_id = self.choose_id(None, found)
        self.rejected.append((request_id.decode(), status, body_bytes))
        return request_id


def observed(data: bytes, app: Any = echo) -> tuple[Recorder, Wire]:
    """Return the reports of these requests, and what was sent."""
    recorder = Recorder()

    async def main() -> Wire:
        protocol, wire = connect(app, observer=recorder)
        protocol.data_received(data)
        await settle(protocol)
        return wire

    return recorder, asyncio.run(main())


async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
    """Raise before a response."""
    raise LookupError


async def fail_after_the_head(_scope: Any, _receive: Any, send: Any) -> None:
    """Raise after the head of a response, which the server has not sent yet."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise LookupError


async def fail_late(_scope: Any, _receive: Any, send: Any) -> None:
    """Raise after the first piece of a response's body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    raise LookupError


async def answer_in_pieces(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond with two pieces."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    await send({"type": "http.response.body", "body": b"de"})


@pytest.mark.parametrize(
    ("app", "report"),
    [
        (echo, ("id1", 200, 0)),
        (answer_in_pieces, ("id1", 418, 5)),
        (fail, ("id1", 500, 119)),
        (fail_after_the_head, ("id1", 500, 119)),
        (fail_late, ("id1", 200, 3)),
    ],
)
def test_a_request_is_reported_with_what_was_sent(app: Any, report: Seen) -> None:
    recorder, wire = observed(GET, app)

    assert (recorder.begun, recorder.reports) == ([b"id1"], [report])
    assert wire.sent.count(b"\r\nx-request-id: id1\r\n") == 1


def test_head_sends_no_body() -> None:
    recorder, _ = observed(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", answer_in_pieces)

    assert recorder.reports == [("id1", 418, 0)]


def test_pipelined_requests_have_their_own_ids() -> None:
    recorder, wire = observed(GET.replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\n\r\n") + GET * 2)

    assert recorder.reports == [("mine", 200, 0), ("id2", 200, 0), ("id3", 200, 0)]
    assert [
        line.partition(b": ")[2] for line in wire.sent.splitlines() if line.startswith(b"x-request-id")
    ] == [
        b"mine",
        b"id2",
        b"id3",
    ]


def test_the_headers_that_the_observer_needs_are_passed_on() -> None:
    head = GET.replace(b"\r\n\r\n", b"\r\nx-request-id: a\r\nX-Third: x\r\nX-OTHER: b\r\n\r\n")

    recorder, _ = observed(head)

    assert recorder.reports == [("a,b", 200, 0)]


@pytest.mark.parametrize("data", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_request_that_the_server_rejects_is_reported_once(data: bytes) -> None:
    recorder, wire = observed(data)

    ((request_id, status, body_bytes),) = recorder.rejected
    assert (recorder.begun, recorder.reports, status) == ([], [], 400)
    assert wire.sent.count(b"x-request-id: %b\r\n" % request_id.encode()) == 1
    assert b"content-length: %d\r\n" % body_bytes in wire.sent


def test_a_request_whose_rest_the_server_rejects_is_reported_once_with_its_own_id() -> None:
    recorder, wire = observed(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nGARBAGE\r\n"
    )

    assert recorder.reports == [("id1", 400, 110)]
    assert wire.sent.count(b"\r\nx-request-id: id1\r\n") == 1


def test_a_client_that_disconnects_first_is_reported_with_0() -> None:
    recorder = Recorder()

    async def main() -> None:
        protocol, _ = connect(echo, observer=recorder)
        protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await settle(protocol)

    asyncio.run(main())

    assert recorder.reports == [("id1", 0, 0)]
    assert recorder.connections == 0


def test_open_connections_are_reported() -> None:
    recorder, _ = observed(GET)

    assert recorder.connections == 1


def test_without_an_observer_there_are_no_ids() -> None:
    async def main() -> tuple[Protocol, Wire]:
        protocol, wire = connect()
        protocol.data_received(GET + b"GARBAGE\r\n\r\n")
        await settle(protocol)
        return protocol, wire

    _, wire = asyncio.run(main())

    assert b"request-id" not in wire.sent
