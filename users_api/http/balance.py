"""Which worker takes a connection: the one that has the fewest, so that no core idles while another one queues.

Of workers that share a listening socket the first to wake takes nearly all connections; with SO_REUSEPORT the kernel deals them
out by a hash, evenly only when there are many.
"""

import asyncio
import socket
from collections.abc import Callable
from mmap import mmap
from typing import Any, Final

from uvicorn import Config, Server

from users_api.config import SEATS
from users_api.http.listener import hear

PATIENCE_SECONDS: Final = 0.01
PAUSE_SECONDS: Final = 0.001
SEND_BUFFER: Final = 256 * 1024


class Load:
    """How many connections each worker has, in memory that all share: made before the workers are forked."""

    def __init__(self, most: int) -> None:
        """Begin without workers, of which each will take so many connections at most."""
        self.most = most
        self._counts = memoryview(mmap(-1, 4 * SEATS)).cast("I")
        self._taken: set[int] = set()

    def take(self) -> int:
        """Return a seat for a new worker; the master calls this."""
        seat = min(set(range(SEATS)) - self._taken)
        self._taken.add(seat)
        return seat

    def free(self, seat: int) -> None:
        """Forget a worker that has ended, however it did; the master calls this."""
        self._counts[seat] = 0
        self._taken.discard(seat)

    def tell(self, seat: int, connections: int | None) -> None:
        """Note how many connections a worker has, or None once it takes no more."""
        self._counts[seat] = 0 if connections is None else connections + 1

    def is_least(self, seat: int) -> bool:
        """Return whether no other worker that takes connections has fewer of them."""
        return self._counts[seat] <= min(count for count in self._counts if count)


class Connections(set[Any]):
    """uvicorn's set of open connections, which tells when one of them ends."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Take what to call."""
        super().__init__()
        self._ended = ended

    def discard(self, connection: object) -> None:
        """Remove the connection."""
        super().discard(connection)
        self._ended()


class Acceptor:
    """Takes connections; one that is another worker's turn only if that worker does not take it within a moment."""

    def __init__(self, listeners: list[socket.socket], load: Load, seat: int, make: Callable[[], asyncio.Protocol]) -> None:
        """Begin to take connections and to make protocols of them."""
        self._listeners, self._load, self._seat, self._make = listeners, load, seat, make
        self._loop = asyncio.get_running_loop()
        self._connections, self._closed = 0, False
        self._waits_since = self._offered_at = 0.0
        self._load.tell(seat, 0)
        for listener in listeners:  # By itself the system would keep 4 MB for each caller who does not read.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._listen()

    def ended(self) -> None:
        """Note that a connection has ended."""
        self._connections -= 1
        if not self._closed:
            self._load.tell(self._seat, self._connections)

    def close(self) -> None:
        """Take no more than what has come already, which would be cut off with the listener."""
        for listener in self._listeners:
            while self._accept(listener):
                pass
        self._closed = True
        self._load.tell(self._seat, None)
        self._pause()

    async def wait_closed(self) -> None:
        """Return at once: nothing is left."""

    def _listen(self) -> None:
        if not self._closed:
            for listener in self._listeners:
                self._loop.add_reader(listener, self._offered, listener)

    def _pause(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener)
        self._loop.call_later(PAUSE_SECONDS, self._listen)

    def _offered(self, listener: socket.socket) -> None:
        if self._connections >= self._load.most or not (self._load.is_least(self._seat) or self._has_waited()):
            self._pause()
        else:
            self._offered_at = 0.0
            self._accept(listener)

    def _has_waited(self) -> bool:
        """Return whether what is another worker's turn has been on offer for the whole moment; look again until then.

        One look at its end would be simpler, but callers who come all at once would have to wait for as many moments.
        """
        now = self._loop.time()
        if now - self._offered_at > PATIENCE_SECONDS:
            self._waits_since = now
        self._offered_at = now
        return now - self._waits_since >= PATIENCE_SECONDS

    def _accept(self, listener: socket.socket) -> bool:
        try:
            connection, _address = listener.accept()
        except OSError:  # Another worker has taken it, or there are too many open files: neither is better tried at once.
            self._pause()
            return False
        connection.settimeout(0)
        hear(connection)
        self._connections += 1
        self._load.tell(self._seat, self._connections)
        self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
        return True


class BalancedServer(Server):
    """uvicorn's server with this acceptor in the place of the event loop's."""

    def __init__(self, config: Config, load: Load, seat: int) -> None:
        """Take the worker's seat."""
        super().__init__(config)
        self._load, self._seat = load, seat

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then take connections."""
        await super().startup(sockets=[])
        acceptor = Acceptor(sockets or [], self._load, self._seat, self._protocol)
        self.server_state.connections = Connections(acceptor.ended)
        self.servers = [acceptor]  # type: ignore[list-item]  # of a server, uvicorn uses these two methods.

    def _protocol(self) -> Any:
        """Return the protocol of a new connection, which the last ones leave after one answer."""
        make: Callable[..., Any] = self.config.http_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        if self.should_exit:
            protocol.shutdown()
        return protocol
