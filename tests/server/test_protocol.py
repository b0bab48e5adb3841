"""HTTP/1.1 on one connection."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from users_api.server.protocol import Limits, Protocol


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.append(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (0, None), "every byte that waits pauses the protocol"

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Respond in as many pieces as the path says."""
    pieces = int(scope["path"][1:])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % pieces)]})
    for piece in range(pieces):
        await send({"type": "http.response.body", "body": b"x", "more_body": piece < pieces - 1})


def connect(**limits: float) -> tuple[Protocol, Wire]:
    config = Config(app, log_config=None)
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


@pytest.mark.parametrize(("request_line", "pieces"), [("GET /1", [1]), ("GET /3", [1, 1, 1]), ("HEAD /1", [0]), ("GET /0", [0])])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_the_head_is_sent_along_with_the_first_piece_of_the_body(request_line: str, pieces: list[int], connection: str) -> None:
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
