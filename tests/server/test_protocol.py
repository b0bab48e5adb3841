"""HTTP/1.1 on one connection."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from users_api.server.protocol import CONNECTION, Limits, Protocol

GET = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that records what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.is_closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written.append(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (0, None), "every byte that waits pauses the protocol"

    def pause_reading(self) -> None:
        """Do nothing: the test gives the data."""

    def can_write_eof(self) -> bool:
        return False

    def resume_reading(self) -> None:
        """Do nothing either."""

    def get_write_buffer_size(self) -> int:
        return 1

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        self.is_closed.set()


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Respond in as many pieces as the path says."""
    pieces = int(scope["path"][1:])
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % pieces)]}
    )
    for number in range(1, max(pieces, 1) + 1):
        piece = b"x" if pieces else b""
        await send({"type": "http.response.body", "body": piece, "more_body": number < pieces})


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Respond after the body."""
    await receive()
    await app(scope, receive, send)


def connect(application: Any = app, **limits: float) -> tuple[Protocol, Wire]:
    config = Config(application, log_config=None)
    config.load()
    protocol = Protocol(config=config, server_state=ServerState(), app_state={}, limits=Limits(**limits))
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def exchange(request: bytes) -> Wire:
    protocol, wire = connect()
    protocol.data_received(request)
    await asyncio.gather(*protocol.tasks)
    protocol.connection_lost(None)
    return wire


@pytest.mark.parametrize(
    ("request_line", "pieces"), [("GET /1", [1]), ("GET /3", [1, 1, 1]), ("HEAD /1", [0]), ("GET /0", [0])]
)
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_the_head_is_sent_along_with_the_first_piece_of_the_body(
    request_line: str, pieces: list[int], connection: str
) -> None:
    request = f"{request_line} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode()

    wire = asyncio.run(exchange(request))

    head, *rest = wire.written
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert [len(head.partition(b"\r\n\r\n")[2]), *map(len, rest)] == pieces


def test_a_client_that_has_read_everything_is_not_disconnected() -> None:
    async def read_late() -> None:
        protocol, _ = connect(send_seconds=0.01)
        protocol.pause_writing()
        protocol.resume_writing()
        asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
        await asyncio.sleep(0.05)
        protocol.connection_lost(None)

    failures: list[Any] = []
    asyncio.run(read_late())

    assert failures == []  # A reset needs a socket, which this transport lacks.


def test_a_shutdown_during_a_response_closes_the_connection_after_it() -> None:
    async def main() -> Wire:
        protocol, wire = connect()
        protocol.data_received(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        protocol.shutdown()
        assert not wire.closed
        await asyncio.gather(*protocol.tasks)
        return wire

    wire = asyncio.run(main())

    assert b"\r\nconnection: close\r\n" in wire.written[0]
    assert wire.closed


@pytest.mark.parametrize("pauses", [[], [0.06, 0.06, 0.06]])
def test_an_idle_connection_is_closed_when_its_time_is_up(pauses: list[float]) -> None:
    async def main() -> float:
        protocol, wire = connect()
        protocol.timeout_keep_alive = 0.1  # type: ignore[assignment]  # seconds, of which uvicorn expects whole ones.
        for pause in [*pauses, 0]:
            protocol.data_received(GET)
            await asyncio.gather(*protocol.tasks)
            await asyncio.sleep(pause)
            assert not wire.closed
        began = protocol.loop.time()
        await wire.is_closed.wait()
        return protocol.loop.time() - began

    assert asyncio.run(main()) == pytest.approx(0.1, abs=0.05)


POST = b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"


def test_a_connection_is_not_closed_while_a_request_is_in_progress() -> None:
    async def main() -> bool:
        protocol, wire = connect(reading)
        protocol.timeout_keep_alive = 0.02  # type: ignore[assignment]  # as above.
        protocol.data_received(GET)
        await asyncio.gather(*protocol.tasks)
        protocol.data_received(POST)
        await asyncio.sleep(0.1)
        closed = wire.closed
        protocol.data_received(b"x")
        await asyncio.gather(*protocol.tasks)
        return closed

    assert asyncio.run(main()) is False


@pytest.mark.parametrize("rest", [b"", b"x"])
def test_a_connection_is_closed_if_a_body_is_missing_after_the_response(rest: bytes) -> None:
    async def main() -> None:
        protocol, wire = connect()
        protocol.timeout_keep_alive = 0.05  # type: ignore[assignment]  # as above.
        protocol.data_received(POST)
        await asyncio.gather(*protocol.tasks)
        await asyncio.sleep(0.02)
        protocol.data_received(rest)
        await asyncio.wait_for(wire.is_closed.wait(), 5)

    asyncio.run(main())


def test_a_head_that_arrives_with_many_requests_is_limited_by_its_own_size() -> None:
    async def main() -> Wire:
        protocol, wire = connect(head_bytes=100)
        protocol.data_received(GET * 10)
        while protocol.tasks:
            await asyncio.gather(*protocol.tasks)
        return wire

    wire = asyncio.run(main())

    assert b"".join(wire.written).count(b"HTTP/1.1 200 OK") == 10


def test_trailers_are_no_headers() -> None:
    seen: list[bytes] = []

    async def listing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.extend(name for name, _ in scope["headers"])
        await app(scope, receive, send)

    async def main() -> None:
        protocol, _ = connect(listing)
        head = POST.replace(b"Content-Length: 1", b"Transfer-Encoding: chunked")
        protocol.data_received(head + b"1\r\nx\r\n0\r\nX-Late: 1\r\n\r\n")
        await asyncio.gather(*protocol.tasks)

    asyncio.run(main())

    assert seen == [b"host", b"transfer-encoding"]


def test_the_requests_of_a_connection_share_a_dictionary() -> None:
    found = []

    async def remember(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope["state"][CONNECTION])
        await app(scope, receive, send)

    async def main() -> None:
        for _ in range(2):
            protocol, _ = connect(remember)
            for _ in range(2):
                protocol.data_received(GET)
                await asyncio.gather(*protocol.tasks)
            protocol.connection_lost(None)

    asyncio.run(main())

    assert found[0] is found[1]
    assert found[2] is found[3] is not found[0]
