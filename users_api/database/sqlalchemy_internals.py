"""Every private or undocumented name of SQLAlchemy and Flask-SQLAlchemy that this package uses.

`tests/database/test_sqlalchemy_internals.py` holds one test per assumption.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, NoReturn
from weakref import ref

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BindParameter, Connection, Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, Pool, QueuePool
from sqlalchemy.pool.base import _ConnectionFairy
from sqlalchemy.util.queue import Empty, QueueCommon

__all__ = [
    "ColumnDefault",
    "CompiledStatement",
    "CustomQueuePool",
    "Empty",
    "EngineFactory",
    "QueueCommon",
]


class ColumnDefault(NamedTuple):
    """A value that SQLAlchemy computes in Python for a column that the caller left out."""

    column: str
    parameter: str
    value: Any
    is_scalar: bool
    is_callable: bool
    needs_context: bool


class CompiledStatement:
    """A statement compiled by SQLAlchemy; this package reads only its attributes from the compiler."""

    def __init__(self, statement: Any, dialect: Dialect, names: Iterable[str]) -> None:
        """Compile the statement for one row of values with these names.

        Raises:
            CompileError: a name is not a column of the statement's table.
        """
        self._compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
        self.sql: str = self._compiled.string
        self.positional_names: list[str] | None = (
            self._compiled.positiontup if self._compiled.positional else None
        )
        self.parameters: dict[str, BindParameter[Any]] = {
            name: bind for bind, name in self._compiled.bind_names.items()
        }
        self.has_post_compile_parameters = bool(
            self._compiled.post_compile_params or self._compiled.literal_execute_params
        )
        self.has_escaped_names = bool(self._compiled.escaped_bind_names)
        columns = self._compiled._result_columns  # noqa: SLF001 -- see the module.
        self.result_types: list[Any] = [column.type for column in columns]
        self.labels: list[str] = [column.keyname for column in columns]

    @property
    def values(self) -> dict[str, Any]:
        """The statement's own values, by parameter; None for each that the caller provides."""
        return dict(self._compiled.construct_params(_check=False))

    def defaults(self) -> Iterator[ColumnDefault]:
        """Yield each default or `onupdate` that the statement needs computed in Python."""
        for columns, kind in (
            (self._compiled.insert_prefetch, "default"),
            (self._compiled.update_prefetch, "onupdate"),
        ):
            for column in columns:
                default = getattr(column, kind)
                function = getattr(default, "_fn", None)
                yield ColumnDefault(
                    column=column.key,
                    parameter=self._compiled._within_exec_param_key_getter(column),  # noqa: SLF001 -- see the module.
                    value=getattr(default, "arg", None),
                    is_scalar=bool(default) and default.is_scalar,
                    is_callable=bool(default) and default.is_callable,
                    needs_context=function is not None and default.arg is function,
                )


def raise_as_sqlalchemy(connection: Connection, error: BaseException, sql: str, cursor: Any) -> NoReturn:
    """Raise the driver's error as Connection.execute raises it, and invalidate a connection that was lost.

    If it is given a statement, SQLAlchemy wraps any exception; its own execution does not wrap exceptions
    that the driver did not raise.
    """
    statement = sql if isinstance(error, connection.dialect.loaded_dbapi.Error) else None
    connection._handle_dbapi_exception(error, statement, None, cursor, None)  # noqa: SLF001 -- no public function does it.


def replace_first_connection_lock(pool: Pool, lock: AbstractContextManager[None]) -> None:
    """Replace the thread lock that a pool holds while it opens and initializes its first connection.

    With the thread lock, a second request that connects at the same time would deadlock the event loop.
    """
    # Without a listener there is no lock to replace.
    event.listen(pool, "connect", lambda _connection, _record: None)
    pool.dispatch.connect._exec_once_mutex = lock  # type: ignore[attr-defined]  # noqa: SLF001 -- see the module.


class CustomQueuePool(QueuePool):
    """A QueuePool whose subclasses choose the queue: `class MyPool(CustomQueuePool, queue_class=…)`."""

    writes: AbstractContextManager[None]
    """The context for writes, each of which may hold its connection while it waits for a row lock."""
    long_reads: AbstractContextManager[None]
    """The context for statements whose many rows occupy the process for milliseconds."""
    observer: Any
    """What the statements of the pool are reported to, or None."""

    def __init_subclass__(cls, *, queue_class: type[QueueCommon[Any]], **options: Any) -> None:
        """Set the class of the queue."""
        super().__init_subclass__(**options)
        cls._queue_class = queue_class

    def prepare(self, entry: ConnectionPoolEntry) -> None:
        """Look at an entry of the pool before it is used; one that is invalidated here connects again."""

    def _do_get(self) -> ConnectionPoolEntry:
        entry: Any = super()._do_get()
        try:
            self.prepare(entry)
        except BaseException as error:
            entry._checkin_failed(error, _fairy_was_created=False)  # noqa: SLF001 -- see the module.
            raise
        return entry  # type: ignore[no-any-return]  # the annotation above lets it be.

    def take(self, engine: Engine) -> ConnectionPoolEntry:
        """Return an entry with its connection, without the proxy and finalizer of a usual checkout.

        Raises:
            DBAPIError: the subclass that Engine.connect raises.
        """
        try:
            entry: Any = self._do_get()
            try:
                entry.get_connection()
            except BaseException as error:
                entry._checkin_failed(error, _fairy_was_created=False)  # noqa: SLF001 -- see the module.
                raise
        except engine.dialect.loaded_dbapi.Error as error:
            Connection._handle_dbapi_exception_noconnection(error, engine.dialect, engine)  # noqa: SLF001 -- likewise.
        return entry  # type: ignore[no-any-return]  # the annotation above lets it be.

    def put_back(self, entry: Any) -> None:
        """Return an entry to the pool."""
        entry.checkin(_fairy_was_created=False)

    @contextmanager
    def as_connection(self, entry: Any, engine: Engine) -> Iterator[Connection]:
        """Give a Connection on an entry that was taken, and return the entry to the pool."""
        proxy = _ConnectionFairy(self, entry.dbapi_connection, entry, echo=False)
        entry.fairy_ref = ref(proxy)
        proxy._counter = 1  # noqa: SLF001 -- see the module; a usual checkout counts too.
        try:
            yield Connection(engine, proxy)
        finally:
            proxy.close()

    @property
    def queue(self) -> Any:
        """The pool's queue of idle connections."""
        return self._pool


class EngineFactory(SQLAlchemy):
    """Flask-SQLAlchemy that passes each engine it creates through `adapt_engine`."""

    @abstractmethod
    def adapt_engine(self, engine: Engine, app: Flask) -> Engine:
        """Return the engine that the application uses."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        return self.adapt_engine(super()._make_engine(bind_key, options, app), app)

    def _teardown_session(self, exc: BaseException | None) -> None:
        """Remove the session at the end of a request, if any session of this process is in use at all."""
        if self.session.registry.registry:
            super()._teardown_session(exc)
