"""Load balancing: the worker with the fewest connections accepts the next one.

Of workers that share a listening socket, the first to wake accepts nearly all connections. With SO_REUSEPORT
the kernel distributes them by a hash, which is even only for many of them.
"""

import asyncio
import socket
from collections.abc import Callable
from heapq import nsmallest
from itertools import islice
from mmap import mmap
from operator import itemgetter
from typing import Any, Final, Protocol
from weakref import ref

from users_api.server.listener import reset_min_ttl
from users_api.server.slots import MAX_SLOTS

HANDOVER_SECONDS: Final = 0.01
PAUSE_SECONDS: Final = 0.001
MIN_WAIT_SECONDS: Final = 1  # The request of a new connection may be on its way.
SEARCH_SECONDS: Final = 0.05
MAX_CANDIDATES: Final = 64  # Found at once, since a search looks at many connections.
MAX_SEARCHED: Final = 10_000
RECEIVE_BUFFER_BYTES: Final = 64 * 1024  # Of one connection, which the loop reads at once.
SEND_BUFFER_BYTES: Final = 256 * 1024


class WorkerLoad:
    """Each worker's number of connections, in shared memory; create it before the workers are forked."""

    def __init__(self, max_connections: int) -> None:
        """Start without workers; `max_connections` is the limit of each."""
        self.max_connections = max_connections
        self._counts = memoryview(mmap(-1, 4 * MAX_SLOTS)).cast("I")
        self._claimed: set[int] = set()

    def claim(self) -> int:
        """Return a free slot for a new worker; only the master calls this."""
        slot = min(set(range(MAX_SLOTS)) - self._claimed)
        self._claimed.add(slot)
        return slot

    def release(self, slot: int) -> None:
        """Free the slot of a worker that has exited, for whatever reason; only the master calls this."""
        self._counts[slot] = 0
        self._claimed.discard(slot)

    def report(self, slot: int, connections: int | None) -> None:
        """Record how many connections a worker has; None means that it accepts no more."""
        self._counts[slot] = 0 if connections is None else connections + 1

    def is_least_loaded(self, slot: int) -> bool:
        """Return whether no other worker that accepts connections has fewer of them."""
        return self._counts[slot] <= min(count for count in self._counts if count)


class Connection(Protocol):
    """What the worker reads from a connection to decide which one it closes in favor of another."""

    waiting_since: float | None
    is_idle: bool

    def evict(self) -> None:
        """Close the connection."""


class Connections(set[Any]):
    """The set of open connections; it calls back when one of them ends.

    At the limit, a new connection replaces one that waits for its client: the one that has waited longest
    between requests, otherwise for the rest of a request or until a response is read.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        """Start empty."""
        super().__init__()
        self._on_end = on_end
        self._candidates: list[tuple[float, ref[Any]]] = []
        self._next_search = 0.0

    def discard(self, connection: object) -> None:
        """Remove a connection that has ended."""
        super().discard(connection)
        self._on_end()

    def longest_waiting(self, now: float) -> Connection | None:
        """Return the connection to close for a new one, if any has waited for `MIN_WAIT_SECONDS`.

        A search finds several of them, which are good for `SEARCH_SECONDS`.
        """
        if now >= self._next_search:
            self._next_search = now + SEARCH_SECONDS
            self._candidates = self._find_candidates(now)
        while self._candidates:
            since, reference = self._candidates.pop()
            connection: Connection | None = reference()
            if connection is not None and connection in self and connection.waiting_since == since:
                return connection
        return None

    def _find_candidates(self, now: float) -> list[tuple[float, ref[Any]]]:
        """Return some of the connections that have waited longest, the best one last."""
        waiting = (
            (not each.is_idle, since, each)
            for each in islice(self, MAX_SEARCHED)
            if (since := each.waiting_since) is not None and now - since >= MIN_WAIT_SECONDS
        )
        found = nsmallest(MAX_CANDIDATES, waiting, key=itemgetter(0, 1))
        return [(since, ref(connection)) for _, since, connection in reversed(found)]


class Acceptor:
    """Accepts connections for one worker.

    A worker that does not have the fewest connections leaves a new one to the others, and accepts it only if
    none of them does within `HANDOVER_SECONDS`.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        load: WorkerLoad,
        slot: int,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        """Start to accept connections, on the running event loop."""
        self._listeners, self._load, self._slot, self._make_protocol = listeners, load, slot, make_protocol
        self.connections = Connections(self._connection_ended)
        self._loop = asyncio.get_running_loop()
        self._count, self._closed = 0, False
        self._waiting_since = self._last_pending = 0.0
        self._load.report(slot, 0)
        for listener in listeners:  # The kernel's default is 4 MB for each client that does not read.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._listen()

    def _connection_ended(self) -> None:
        self._count -= 1
        if not self._closed:
            self._load.report(self._slot, self._count)

    def close(self) -> None:
        """Accept the queued connections, which closing the listener would reset, and then stop accepting."""
        for listener in self._listeners:
            while self._accept(listener):
                pass
        self._closed = True
        self._load.report(self._slot, None)
        self._pause()

    async def wait_closed(self) -> None:
        """Return at once: `close` leaves nothing to wait for."""

    def _listen(self) -> None:
        if not self._closed:
            for listener in self._listeners:
                self._loop.add_reader(listener, self._on_pending_connection, listener)

    def _pause(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        self._loop.call_later(PAUSE_SECONDS, self._listen)

    def _on_pending_connection(self, listener: socket.socket) -> None:
        is_full, evicted = self._count >= self._load.max_connections, None
        is_turn = self._load.is_least_loaded(self._slot) or self._has_waited_for_others()
        if is_turn and is_full:
            evicted = self.connections.longest_waiting(self._loop.time())
        if not is_turn or (is_full and evicted is None):
            self._pause()
            return
        self._last_pending = 0.0
        if self._accept(listener) and evicted is not None:
            evicted.evict()

    def _has_waited_for_others(self) -> bool:
        """Return whether a connection for another worker has been waiting for `HANDOVER_SECONDS`.

        Sleeping once for the whole time would be simpler, but in a burst each client would wait in turn.
        """
        now = self._loop.time()
        if now - self._last_pending > HANDOVER_SECONDS:
            self._waiting_since = now
        self._last_pending = now
        return now - self._waiting_since >= HANDOVER_SECONDS

    def _accept(self, listener: socket.socket) -> bool:
        try:
            connection, _address = listener.accept()
        # Another worker was faster, or too many files are open: an immediate retry would not help.
        except OSError:
            self._pause()
            return False
        connection.settimeout(0)
        reset_min_ttl(connection)
        self._count += 1
        self._load.report(self._slot, self._count)
        self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
        return True
