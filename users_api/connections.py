"""Connections to PostgreSQL for requests in greenlets: while one waits, for an answer or its turn, the event loop goes on."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from select import select
from typing import Any

import psycopg2.extensions
import psycopg2.extras
from greenlet import getcurrent
from psycopg2.extensions import POLL_OK, POLL_READ
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlalchemy.util.concurrency import await_
from sqlalchemy.util.queue import Empty, QueueCommon

from users_api.greenlets import Fiber


class Turns(QueueCommon[Any]):
    """The idle connections of a pool; the next one is for whoever has waited longest.

    With SQLAlchemy's AsyncAdaptedQueue those who come later pass by, since asyncio's queue wakes one who waits and then lets him
    see what is left: at 64 connections the slowest hundredth waited three times as long.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:  # noqa: FBT001, FBT002 -- as the pool calls it.
        """Begin empty."""
        self.maxsize, self.use_lifo, self.most_waiting = maxsize, use_lifo, 0
        self._idle: deque[Any] = deque()
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def qsize(self) -> int:
        """Return how many are idle."""
        return len(self._idle)

    def put_nowait(self, item: Any) -> None:
        """Give the connection to whoever has waited longest, or keep it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(item)
                return
        self._idle.append(item)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        """Do the same."""
        self.put_nowait(item)

    def get_nowait(self) -> Any:
        """Return an idle connection, or raise Empty."""
        if not self._idle:
            raise Empty
        return self._idle.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
        """Return a connection when it is this caller's turn.

        Raises:
            Empty: there is none, for so many seconds.
            PoolTimeout: as many as may wait do so already: one more would wait in vain.
        """
        if self._idle or not block:
            return self.get_nowait()
        if len(self._waiting) >= self.most_waiting:
            message = f"{len(self._waiting)} requests wait for a connection already"
            raise PoolTimeout(message)
        return await_(self._turn(timeout))

    async def _turn(self, seconds: float | None) -> Any:
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException as failure:
            if turn.done() and not turn.cancelled():  # It came in the very moment that its caller gave up: it is the next one's.
                self.put_nowait(turn.result())
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(failure, TimeoutError):
                raise Empty from None
            raise


class GreenletPool(QueuePool):
    """A pool that lets the event loop go on while a request waits for a connection.

    SQLAlchemy keeps its AsyncAdaptedQueuePool for the drivers made for asyncio.
    """

    _queue_class = Turns
    _pool: Turns

    def __init__(self, creator: Any, most_waiting: int = 256, seconds: float = 30, **options: Any) -> None:
        """Take QueuePool's arguments, and how many requests may wait for a connection, and how long.

        `pool_timeout` means the same, but SQLAlchemy's `engine_from_config` cuts it to whole seconds.
        """
        super().__init__(creator, **{"timeout": seconds} | options)
        self._pool.most_waiting = most_waiting

    def recreate(self) -> "GreenletPool":
        """Return a new pool like this one; QueuePool's knows its own arguments only."""
        pool: GreenletPool = super().recreate()  # type: ignore[assignment]  # it is of this pool's own class.
        pool._pool.most_waiting = self._pool.most_waiting
        return pool


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
