"""Connections to PostgreSQL for requests in greenlets: while one waits for an answer, the event loop goes on."""

import asyncio
from collections.abc import Awaitable
from select import select
from typing import Any

import psycopg2.extensions
import psycopg2.extras
from greenlet import getcurrent
from psycopg2.extensions import POLL_OK, POLL_READ
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from users_api.greenlets import Fiber


class LoopConnection(psycopg2.extensions.connection):
    """A connection whose socket the event loop watches from the first statement to the end.

    To begin and to end the watch with each statement costs seven system calls.
    """

    _watched_by: asyncio.AbstractEventLoop | None = None
    _watched = -1
    _waiting: asyncio.Future[None] | None = None
    _connected = False
    stale = False

    def __init__(self, dsn: str, *, connect_seconds: float, **options: Any) -> None:
        """Connect; until then the socket may change, so it is not yet watched for good."""
        self._connect_seconds = connect_seconds
        super().__init__(dsn, **options)
        self._connected = True

    def close(self) -> None:
        """Close; the number of the socket may then mean another one."""
        self.ignore()
        super().close()

    def give_up(self) -> None:
        """Watch no more; psycopg2 closes a connection whose wait has failed, but one not yet made only as garbage."""
        self.ignore()
        if not self._connected:
            self.close()

    def ready(self, state: int) -> Awaitable[None]:
        """Return what to wait for until the socket can be read or written."""
        if state != POLL_READ or not self._connected:
            return asyncio.wait_for(socket_ready(self.fileno(), state), self._connect_seconds)
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        if not self._watched_by:
            loop.add_reader(self.fileno(), self._readable)
            self._watched_by, self._watched = loop, self.fileno()
        return self._waiting

    def ignore(self) -> None:
        """Watch no more."""
        if self._watched_by:
            self._watched_by.remove_reader(self._watched)
            self._watched_by = None

    def _readable(self) -> None:
        """Resume what waits; where nothing does, PostgreSQL has ended the connection, or there is nothing to read any more."""
        waiting, self._waiting = self._waiting, None
        if waiting and not waiting.done():
            waiting.set_result(None)
        elif select([self._watched], [], [], 0)[0]:
            self.stale = True
            self.ignore()


def wait_on_the_loop(engine: Engine) -> None:
    """Let this process wait on its event loop; outside of requests, and in other processes, psycopg2 waits as ever.

    SQLAlchemy prepares a pool's first connection under a lock; `asyncio` asks for one that a greenlet may wait at. With the
    usual lock for threads, a second request that connects meanwhile would stop the loop for good.
    """
    psycopg2.extensions.set_wait_callback(wait)
    event.listen(engine, "connect", lambda _connection, _record: None, asyncio=True)
    event.listen(engine, "checkout", _refuse_stale)


def _refuse_stale(connection: Any, _record: Any, _fairy: Any) -> None:
    """Have the pool replace a connection that PostgreSQL has ended while nobody used it, before a request fails on it."""
    if getattr(connection, "stale", False):
        raise DisconnectionError


def wait(connection: LoopConnection) -> None:
    """Return when the connection is ready (psycopg2's documentation, "Support for coroutine libraries")."""
    fiber = getcurrent()
    if not isinstance(fiber, Fiber):
        psycopg2.extras.wait_select(connection)
        return
    try:
        state = connection.poll()
        while state != POLL_OK:
            fiber.wait_for(connection.ready(state))
            if (state := connection.poll()) != POLL_OK:
                connection.ignore()  # uvloop tells of a reset once: whoever then waits for more is to hear of it again.
    except BaseException as failure:
        connection.give_up()
        if isinstance(failure, TimeoutError):  # libpq minds `connect_timeout` only where it waits itself.
            message = "the database does not answer"
            raise psycopg2.OperationalError(message) from None
        raise


async def socket_ready(descriptor: int, state: int) -> None:
    """Wait until the socket can be read or written, this once."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    watch, ignore = (loop.add_reader, loop.remove_reader) if state == POLL_READ else (loop.add_writer, loop.remove_writer)

    def resume() -> None:
        if not ready.done():  # It may be cancelled in this very moment.
            ready.set_result(None)

    watch(descriptor, resume)
    try:
        await ready
    finally:
        ignore(descriptor)
