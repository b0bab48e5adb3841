"""The server's protocol on a transport that records what it sends."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from users_api.server.failures import Headers
from users_api.server.memory import MemoryBudget
from users_api.server.observer import Observer
from users_api.server.protocol import Limits, Phase, Protocol


class Wire(asyncio.Transport):
    """A transport that records writes and calls."""

    def __init__(self, *, half_closes: bool = True) -> None:
        super().__init__()
        self.sent = b""
        self.calls: list[str] = []
        self.options: list[Any] = []
        self.on_write: Callable[[], None] = lambda: None
        self.half_closes = half_closes

    def write(self, data: Any) -> None:
        self.sent += data
        self.on_write()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Ignore the limits."""

    def get_write_buffer_size(self) -> int:
        return 1

    def is_closing(self) -> bool:
        return "close" in self.calls

    def close(self) -> None:
        self.calls.append("close")

    def can_write_eof(self) -> bool:
        return self.half_closes

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def pause_reading(self) -> None:
        self.calls.append("pause_reading")

    def resume_reading(self) -> None:
        self.calls.append("resume_reading")

    def get_extra_info(self, name: str, _default: Any = None) -> Any:
        """Return a socket whose options are recorded; there is no TLS."""
        if name == "sslcontext":
            return None
        address = ("127.0.0.1", 1)
        return SimpleNamespace(
            getpeername=lambda: address,
            getsockname=lambda: address,
            setsockopt=lambda *option: self.options.append(option),
        )

    def abort(self) -> None:
        self.calls.append("abort")

    @property
    def responses(self) -> list[tuple[int, Any]]:
        """The statuses and the bodies that were sent; of a failure its detail."""
        found, rest = [], self.sent
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body, rest = rest[:length], rest[length:]
            is_problem = b"content-type: application/problem+json" in head
            found.append((int(head[9:12]), json.loads(body)["detail"] if is_problem else body))
        return found


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Respond with the body, or not at all if the client has disconnected."""
    body, more_body = b"", True
    while more_body:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more_body = body + message["body"], message["more_body"]
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def connect(
    app: Any = echo,
    *,
    half_closes: bool = True,
    budget: MemoryBudget | None = None,
    https_headers: Headers | None = None,
    observer: Observer | None = None,
    **limits: float,
) -> tuple[Protocol, Wire]:
    """Return the protocol and the transport of a new connection."""
    config = Config(app, log_config=None)
    config.load()
    limits = Limits(**{"head_bytes": 1024, "head_seconds": 60, "send_seconds": 60} | limits)
    protocol = Protocol(
        config=config,
        server_state=ServerState(),
        app_state={},
        limits=limits,
        budget=budget,
        https_headers=https_headers,
        observer=observer,
    )
    wire = Wire(half_closes=half_closes)
    protocol.connection_made(wire)
    return protocol, wire


async def settle(protocol: Protocol) -> None:
    """Wait for the requests in progress, each of which may start another."""
    while protocol.tasks:
        await asyncio.wait(list(protocol.tasks))


def exchange(*pieces: bytes) -> Wire:
    """Send the pieces one after the other, and return the transport."""

    async def main() -> Wire:
        protocol, wire = connect()
        for piece in pieces:
            protocol.data_received(piece)
            if protocol.phase is not Phase.BODY:
                await settle(protocol)
        protocol.connection_lost(None)
        await settle(protocol)
        return wire

    return asyncio.run(main())


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on an event loop."""
    return lambda: asyncio.run(test())
