"""psycopg2 connections that wait on the event loop when a greenlet uses them."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Future
from select import select
from typing import Any, Final

import psycopg2.extensions
import psycopg2.extras
from psycopg2.extensions import POLL_OK, POLL_READ
from sqlalchemy import Connection, Engine

from users_api.database.greenlets import SharedLock, running_loop, waiting_greenlet
from users_api.database.sqlalchemy_internals import replace_first_connection_lock

ENCODING: Final = "UTF8"


class LoopConnection(psycopg2.extensions.connection):
    """A connection whose socket stays registered with the event loop from its first statement to its end.

    Registering and unregistering it for each statement costs seven system calls.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _descriptor = -1
    _readable_future: asyncio.Future[None] | None = None
    _is_open = False
    stale = False

    def __init__(self, dsn: str, *, connect_seconds: float, **options: Any) -> None:
        """Connect; the socket is not registered before that, since libpq may replace it."""
        self._connect_seconds = connect_seconds
        super().__init__(dsn, **options)
        self._is_open = True

    def close(self) -> None:
        """Close the connection; unregister its descriptor first, since the system reuses the number."""
        self.stop_watching()
        super().close()

    def release_after_failure(self) -> None:
        """Unregister the socket after a failed wait; psycopg2 closes only completely opened connections."""
        self.stop_watching()
        if not self._is_open:
            self.close()

    def wait_until_ready(self, state: int) -> Awaitable[None]:
        """Return an awaitable that completes when the socket is readable or writable."""
        if state != POLL_READ or not self._is_open:
            return asyncio.wait_for(socket_ready(self.fileno(), state), self._connect_seconds)
        loop = asyncio.get_running_loop()
        self._readable_future = loop.create_future()
        if self._loop is not loop:
            self.stop_watching()
            loop.add_reader(self.fileno(), self._readable)
            self._loop, self._descriptor = loop, self.fileno()
        return self._readable_future

    def stop_watching(self) -> None:
        """Unregister the socket, and return once that is done; a thread asks the loop to do it."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():
            return
        if loop is running_loop() or not loop.is_running():
            loop.remove_reader(self._descriptor)
            return
        done: Future[bool] = Future()
        loop.call_soon_threadsafe(lambda: done.set_result(loop.remove_reader(self._descriptor)))
        done.result()

    def _readable(self) -> None:
        """Resume the waiting greenlet; if none waits, PostgreSQL may have closed the connection."""
        waiting, self._readable_future = self._readable_future, None
        if waiting and not waiting.done():
            waiting.set_result(None)
        elif self._loop and select([self._descriptor], [], [], 0)[0]:
            self.stale = True
            self.stop_watching()


def require_encoding(connection: psycopg2.extensions.connection, _record: Any) -> None:
    """Refuse a database that cannot store every text; PostgreSQL reports its encoding when it connects.

    Raises:
        OperationalError: the database's encoding is not UTF8.
    """
    encoding = connection.get_parameter_status("server_encoding") or _ask_for_encoding(connection)
    if encoding != ENCODING:
        connection.close()
        message = f"the database's encoding is {encoding}; create it with ENCODING '{ENCODING}'"
        raise psycopg2.OperationalError(message)


def _ask_for_encoding(connection: psycopg2.extensions.connection) -> str:
    """Return the encoding that a connection pooler has not reported."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        ((encoding,),) = cursor.fetchall()
    return str(encoding)


def wait_on_the_loop(engine: Engine) -> None:
    """Let the greenlets of this process wait on its event loop; elsewhere psycopg2 blocks as usual."""
    psycopg2.extensions.set_wait_callback(wait_callback)
    replace_first_connection_lock(engine.pool, SharedLock())


def leave_autocommit(connection: Connection) -> None:
    """Let psycopg2 begin a transaction with the next statement, unless the program asked for autocommit.

    The attribute changes nothing on the server; another isolation level would cost a SET before and after.
    """
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    driver_connection: Any = connection.connection.driver_connection
    if driver_connection.autocommit:
        driver_connection.autocommit = False


def return_to_autocommit(connection: Any, _record: Any) -> None:
    """Undo `leave_autocommit` when the connection returns to the pool, which has ended the transaction."""
    if connection is not None and not (connection.autocommit or connection.closed):
        connection.autocommit = True


def wait_callback(connection: psycopg2.extensions.connection) -> None:
    """Return when the connection is ready (psycopg2's documentation, "Support for coroutine libraries")."""
    greenlet = waiting_greenlet()
    if greenlet is None or not isinstance(connection, LoopConnection):
        _block(connection)
        return
    try:
        state = connection.poll()
        while state != POLL_OK:
            greenlet.wait_for(connection.wait_until_ready(state))
            if (state := connection.poll()) != POLL_OK:
                connection.stop_watching()  # uvloop reports a reset only once: register again.
    except BaseException as failure:
        connection.release_after_failure()
        if isinstance(failure, TimeoutError):  # libpq applies `connect_timeout` only when it waits itself.
            message = "the database does not respond"
            raise psycopg2.OperationalError(message) from None
        raise


def _block(connection: psycopg2.extensions.connection) -> None:
    """Wait as psycopg2 does without a callback; the loop must not mistake the response for a disconnect."""
    if isinstance(connection, LoopConnection):
        connection.stop_watching()
    psycopg2.extras.wait_select(connection)


async def socket_ready(descriptor: int, state: int) -> None:
    """Return once the socket is readable or writable."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    reads = state == POLL_READ
    watch, unwatch = (loop.add_reader, loop.remove_reader) if reads else (loop.add_writer, loop.remove_writer)

    def resume() -> None:
        if not ready.done():  # The wait may be cancelled in the same iteration of the loop.
            ready.set_result(None)

    watch(descriptor, resume)
    try:
        await ready
    finally:
        unwatch(descriptor)
