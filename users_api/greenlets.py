"""How psycopg2 waits for PostgreSQL while requests run in greenlets: on the event loop, so that nobody else waits along."""

import asyncio

import psycopg2.extensions
import psycopg2.extras
from greenlet import getcurrent
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE
from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import await_
from sqlalchemy.util.queue import AsyncAdaptedQueue


class GreenletPool(QueuePool):
    """A pool whose queue lets the event loop go on while a request waits for a connection.

    SQLAlchemy keeps its AsyncAdaptedQueuePool for the drivers made for asyncio.
    """

    _queue_class = AsyncAdaptedQueue  # type: ignore[assignment]  # its annotation is narrower than its use


def wait_on_the_loop(engine: Engine) -> None:
    """Let this process wait on its event loop; outside of requests, and in other processes, psycopg2 waits as ever.

    SQLAlchemy prepares a pool's first connection under a lock; `asyncio` asks for one that a greenlet may wait at. With the
    usual lock for threads, a second request that connects meanwhile would stop the loop for good.
    """
    psycopg2.extensions.set_wait_callback(wait)
    event.listen(engine, "connect", lambda _connection, _record: None, asyncio=True)


def wait(connection: psycopg2.extensions.connection) -> None:
    """Return when the connection is ready (psycopg2's documentation, "Support for coroutine libraries")."""
    if getattr(getcurrent(), "__sqlalchemy_greenlet_provider__", False):
        while (state := connection.poll()) != POLL_OK:
            await_(_ready(connection.fileno(), state))
    else:
        psycopg2.extras.wait_select(connection)


async def _ready(descriptor: int, state: int) -> None:
    """Wait until the socket can be read or written."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    watch, ignore = {
        POLL_READ: (loop.add_reader, loop.remove_reader),
        POLL_WRITE: (loop.add_writer, loop.remove_writer),
    }[state]
    watch(descriptor, ready.set_result, None)
    try:
        await ready
    finally:
        ignore(descriptor)
