"""Between two workers: what each does must not depend on who is quicker, so here they share one event loop."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

from users_api.http.balance import PATIENCE_SECONDS, Acceptor, Connections, Load

SECONDS = 30
MOST = 100


class Worker:
    """A seat with its acceptor, and the connections that it has taken."""

    def __init__(self, listener: socket.socket, load: Load) -> None:
        self.seat = load.take()
        self.acceptor = Acceptor([listener], load, self.seat, lambda: Connection(self.connections))
        self.connections = Connections(self.acceptor.ended)


class Connection(asyncio.Protocol):
    """A connection that tells its worker of its beginning and its end, as uvicorn's do."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.connections.discard(self)


def on_a_listener(test: Callable[[socket.socket, Load], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on an event loop, with a listening socket and nobody's load; an exception in a callback fails it too."""

    def run() -> None:
        failures = []

        async def play(listener: socket.socket) -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
            await asyncio.wait_for(test(listener, Load(MOST)), SECONDS)

        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            listener.settimeout(0)
            asyncio.run(play(listener))
        assert failures == []

    return run


def call(listener: socket.socket) -> closing[socket.socket]:
    """Return a new connection, which ends with its `with`."""
    return closing(socket.create_connection(listener.getsockname()))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- nobody tells.
        await asyncio.sleep(0)


@on_a_listener
async def test_a_connection_that_another_worker_was_quicker_to_take_is_let_go(listener: socket.socket, load: Load) -> None:
    with closing(listener.dup()) as shared:
        one, other = Worker(listener, load), Worker(shared, load)

        with call(listener):
            await until(lambda: len(one.connections | other.connections) == 1)
            with call(listener):
                await until(lambda: len(one.connections | other.connections) == 2)

        await until(lambda: not one.connections | other.connections)
        one.acceptor.close()
        other.acceptor.close()


@on_a_listener
async def test_a_connection_whose_turn_nobody_takes_is_taken_by_another(listener: socket.socket, load: Load) -> None:
    load.tell(load.take(), 0)
    worker = Worker(listener, load)
    load.tell(worker.seat, 7)

    with call(listener):
        await until(lambda: len(worker.connections) == 1)

    await until(lambda: not worker.connections)
    worker.acceptor.close()


@on_a_listener
async def test_a_worker_that_stops_stays_out_of_the_count_when_its_connections_end(listener: socket.socket, load: Load) -> None:
    worker, other = Worker(listener, load), load.take()
    load.tell(other, 5)

    with call(listener):
        await until(lambda: len(worker.connections) == 1)
        worker.acceptor.close()
    await until(lambda: not worker.connections)

    assert load.is_least(other)


@on_a_listener
async def test_a_worker_that_stops_takes_no_more(listener: socket.socket, load: Load) -> None:
    worker = Worker(listener, load)

    worker.acceptor.close()
    with call(listener):
        await asyncio.sleep(2 * PATIENCE_SECONDS)

        assert not worker.connections
