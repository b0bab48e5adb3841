"""Load balancing: the worker with the fewest connections accepts the next one.

Of workers that share a listening socket, the first to wake accepts nearly all connections. With SO_REUSEPORT
the kernel distributes them by a hash, which is even only for many of them.
"""

import asyncio
import socket
from collections.abc import Callable
from mmap import mmap
from typing import Any, Final

from users_api.server.listener import reset_min_ttl
from users_api.server.slots import MAX_SLOTS

HANDOVER_SECONDS: Final = 0.01
PAUSE_SECONDS: Final = 0.001
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


class Connections(set[Any]):
    """The set of open connections; it calls back when one of them ends."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        """Start empty."""
        super().__init__()
        self._on_end = on_end

    def discard(self, connection: object) -> None:
        """Remove a connection that has ended."""
        super().discard(connection)
        self._on_end()


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
        self._loop = asyncio.get_running_loop()
        self._connections, self._closed = 0, False
        self._waiting_since = self._last_pending = 0.0
        self._load.report(slot, 0)
        for listener in listeners:  # The kernel's default is 4 MB for each client that does not read.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._listen()

    def connection_ended(self) -> None:
        """Decrement the number of connections."""
        self._connections -= 1
        if not self._closed:
            self._load.report(self._slot, self._connections)

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
        is_full = self._connections >= self._load.max_connections
        if is_full or not (self._load.is_least_loaded(self._slot) or self._has_waited_for_others()):
            self._pause()
        else:
            self._last_pending = 0.0
            self._accept(listener)

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
        self._connections += 1
        self._load.report(self._slot, self._connections)
        self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
        return True
