"""uvicorn's server with this package's acceptor."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from uvicorn import Config

from users_api.server.balance import WorkerLoad
from users_api.server.protocol import Protocol
from users_api.server.worker import ACCESS_LOGGER, BalancedServer, Worker, escape_fields

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SECONDS = 30


async def start(listener: socket.socket, max_connections: int) -> BalancedServer:
    """Return a server that accepts connections."""
    config = Config(hello, log_config=None, lifespan="off", http=Protocol)
    config.load()
    load = WorkerLoad(max_connections)
    server = BalancedServer(config, load, load.claim())
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    return server


def on_a_listener(test: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on an event loop, with a listening socket."""

    def run() -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            listener.settimeout(0)
            asyncio.run(asyncio.wait_for(test(listener), SECONDS))

    return run


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Respond with a head and a body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@on_a_listener
async def test_a_connection_accepted_during_shutdown_closes_after_one_response(
    listener: socket.socket,
) -> None:
    server = await start(listener, max_connections=10)
    server.should_exit = True

    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(GET)

    assert (await reader.read()).endswith(b"\r\nconnection: close\r\n\r\nhello")
    writer.close()
    await server.shutdown()


@on_a_listener
async def test_a_worker_at_its_limit_accepts_the_next_client_when_one_leaves(listener: socket.socket) -> None:
    server = await start(listener, max_connections=1)
    first, second = [await asyncio.open_connection(*listener.getsockname()) for _ in range(2)]

    for reader, writer in (first, second):
        writer.write(GET)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK")
        assert len(server.server_state.connections) == 1
        writer.close()
    await server.shutdown()


async def refused(_scope: Any, receive: Any, send: Any) -> None:
    """Fail to start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the document is refused"})


def test_a_worker_whose_application_fails_to_start_reports_it_to_its_master() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        worker = Worker.__new__(Worker)
        worker.alive, worker.wsgi, worker.sockets = True, refused, [listener]
        worker.config = Config(refused, log_config=None, lifespan="on", http=Protocol)
        worker.load = WorkerLoad(10)
        worker.slot = worker.load.claim()

        with pytest.raises(SystemExit) as ended:
            asyncio.run(worker._serve())  # noqa: SLF001 -- gunicorn would fork first.

    assert ended.value.code == Arbiter.WORKER_BOOT_ERROR


def test_the_access_log_escapes_the_fields_of_a_line() -> None:
    fields = ("::1:5000", 'a"\\ \x85\x1b\x7f\xa0\xff\u2028', 200)
    record = logging.LogRecord(ACCESS_LOGGER, logging.INFO, "", 0, '%s "%s" %d', fields, None)

    assert escape_fields(record)

    assert record.getMessage() == r'::1:5000 "a\x22\x5c\x20\x85\x1b\x7f\xa0\xff\x2028" 200'
