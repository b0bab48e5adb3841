"""Load balancing between two workers, which share one event loop here so that their order does not matter."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from itertools import count
from typing import Any

from tests.support.virtual_time import Clock, loop_with
from users_api.server.balance import HANDOVER_SECONDS, Acceptor, Connections, WorkerLoad

SECONDS = 30
MAX_CONNECTIONS = 100


class Worker:
    """A slot with its acceptor, and the connections that it has accepted."""

    def __init__(self, listener: socket.socket, load: WorkerLoad) -> None:
        self.slot = load.claim()
        self.acceptor = Acceptor([listener], load, self.slot, lambda: Connection(self.connections))
        self.connections = self.acceptor.connections


class Connection(asyncio.Protocol):
    """A connection that adds and removes itself, as uvicorn's do."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.connections.discard(self)


class Waiting:
    """A connection that has waited since a time, or does not wait."""

    def __init__(self, since: float | None, *, is_idle: bool = True) -> None:
        self.waiting_since, self.is_idle = since, is_idle


def test_the_connection_that_has_been_idle_longest_is_closed_first() -> None:
    connections = Connections(lambda: None)
    busy, new, idle, older, partial = everyone = [
        Waiting(None), Waiting(99.5), Waiting(90), Waiting(80), Waiting(10, is_idle=False)
    ]  # fmt: skip
    connections.update(everyone)

    found = []
    for now in range(100, 104):
        found.append(connections.longest_waiting(now))
        connections.discard(found[-1])

    assert found == [older, idle, new, partial]
    assert connections == {busy}
    assert connections.longest_waiting(200) is None


def test_connections_that_are_found_together_are_looked_at_again() -> None:
    connections = Connections(lambda: None)
    first, second, third = everyone = [Waiting(since) for since in (1, 2, 3)]
    connections.update(everyone)

    assert connections.longest_waiting(100) is first
    connections.discard(first)
    second.waiting_since = 99.9
    assert connections.longest_waiting(100) is third
    connections.discard(third)
    assert connections.longest_waiting(100) is None


def test_a_connection_is_closed_only_if_another_one_takes_its_place() -> None:
    @on_a_listener
    async def test(listener: socket.socket, load: WorkerLoad) -> None:
        load.max_connections = 0
        worker, closed = Worker(listener, load), asyncio.Event()
        full = Waiting(0)
        full.evict = closed.set
        worker.connections.add(full)
        worker.acceptor._on_pending_connection(listener)  # noqa: SLF001 -- as when another worker was faster.
        assert not closed.is_set()
        with call(listener):
            await asyncio.wait_for(closed.wait(), SECONDS)
        worker.acceptor.close()

    test()


def on_a_listener(
    test: Callable[[socket.socket, WorkerLoad], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """Run a test on an event loop, with a listening socket and no load; a callback's exception fails it."""

    def run() -> None:
        failures = []

        async def play(listener: socket.socket) -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, failure: failures.append(failure))
            await asyncio.wait_for(test(listener, WorkerLoad(MAX_CONNECTIONS)), SECONDS)

        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            listener.settimeout(0)
            asyncio.run(play(listener))
        assert failures == []

    return run


def call(listener: socket.socket) -> closing[socket.socket]:
    """Return a new connection that is closed at the end of the `with` block."""
    return closing(socket.create_connection(listener.getsockname()))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- nothing signals it.
        await asyncio.sleep(0)


@on_a_listener
async def test_a_connection_that_another_worker_accepted_first_is_left_to_it(
    listener: socket.socket, load: WorkerLoad
) -> None:
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
async def test_a_connection_that_its_worker_does_not_accept_is_accepted_by_another(
    listener: socket.socket, load: WorkerLoad
) -> None:
    load.report(load.claim(), 0)
    worker = Worker(listener, load)
    load.report(worker.slot, 7)

    with call(listener):
        await until(lambda: len(worker.connections) == 1)

    await until(lambda: not worker.connections)
    worker.acceptor.close()


@on_a_listener
async def test_a_worker_that_stops_is_not_counted_when_its_connections_end(
    listener: socket.socket, load: WorkerLoad
) -> None:
    worker, other = Worker(listener, load), load.claim()
    load.report(other, 5)

    with call(listener):
        await until(lambda: len(worker.connections) == 1)
        worker.acceptor.close()
    await until(lambda: not worker.connections)

    assert load.is_least_loaded(other)


@on_a_listener
async def test_a_worker_that_stops_accepts_no_more(listener: socket.socket, load: WorkerLoad) -> None:
    worker = Worker(listener, load)

    worker.acceptor.close()
    with call(listener):
        await asyncio.sleep(2 * HANDOVER_SECONDS)

        assert not worker.connections


@on_a_listener
async def test_a_worker_that_stops_accepts_what_is_in_the_queue(
    listener: socket.socket, load: WorkerLoad
) -> None:
    worker = Worker(listener, load)

    with call(listener):
        worker.acceptor.close()

        await until(lambda: len(worker.connections) == 1)
    await until(lambda: not worker.connections)


def test_clients_of_a_burst_do_not_wait_in_turn() -> None:
    clients, clock, load = 64, Clock(), WorkerLoad(MAX_CONNECTIONS)
    loop = loop_with(clock)
    other, slot, accepted, done = load.claim(), load.claim(), count(1), asyncio.Event()
    load.report(other, 0)

    class AcceptedInTurn(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.close()
            number = next(accepted)
            loop.call_later(HANDOVER_SECONDS / 20, load.report, other, number)
            if number == clients:
                done.set()

    async def accept_all(listener: socket.socket) -> float:
        acceptor = Acceptor([listener], load, slot, AcceptedInTurn)
        await done.wait()
        acceptor.close()
        return clock.now - Clock.now

    with ExitStack() as stack, asyncio.Runner(loop_factory=lambda: loop) as runner:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=clients)))
        listener.settimeout(0)
        for _ in range(clients):
            stack.enter_context(call(listener))
        assert runner.run(accept_all(listener)) < clients * HANDOVER_SECONDS / 5
