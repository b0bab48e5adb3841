"""Every private or undocumented name of SQLAlchemy and Flask-SQLAlchemy that this package uses.

`tests/database/test_sqlalchemy_internals.py` holds one test per assumption.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, NoReturn

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BindParameter, Connection, Dialect, Engine, event
from sqlalchemy.pool import Pool, QueuePool
from sqlalchemy.util.queue import Empty, QueueCommon

__all__ = ["CompiledStatement", "CustomQueuePool", "Default", "Empty", "EngineFactory", "QueueCommon"]


class Default(NamedTuple):
    """A value that SQLAlchemy computes in Python for a column that the caller left out."""

    column: str
    parameter: str
    value: Any
    is_scalar: bool
    is_callable: bool
    needs_context: bool


class CompiledStatement:
    """What SQLAlchemy's compiler knows of a statement, under names that this package relies on."""

    def __init__(self, statement: Any, dialect: Dialect, names: Iterable[str]) -> None:
        """Compile the statement for one row of values with these names.

        Raises:
            CompileError: a name is not a column of the statement's table.
        """
        self._compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
        self.sql: str = self._compiled.string
        self.order: list[str] | None = self._compiled.positiontup if self._compiled.positional else None
        self.parameters: dict[str, BindParameter[Any]] = {name: bind for bind, name in self._compiled.bind_names.items()}
        self.is_rendered_per_execution = bool(self._compiled.post_compile_params or self._compiled.literal_execute_params)
        self.has_escaped_names = bool(self._compiled.escaped_bind_names)
        columns = self._compiled._result_columns  # noqa: SLF001 -- see the module.
        self.result_types: list[Any] = [column.type for column in columns]
        self.labels: list[str] = [column.keyname for column in columns]

    @property
    def values(self) -> dict[str, Any]:
        """The values that the statement itself carries, by parameter; None for each that the caller gives."""
        return dict(self._compiled.construct_params(_check=False))

    def defaults(self) -> Iterator[Default]:
        """Yield each default or `onupdate` that the statement wants computed in Python."""
        for columns, kind in (
            (self._compiled.insert_prefetch, "default"),
            (self._compiled.update_prefetch, "onupdate"),
        ):
            for column in columns:
                default = getattr(column, kind)
                function = getattr(default, "_fn", None)
                yield Default(
                    column=column.key,
                    parameter=self._compiled._within_exec_param_key_getter(column),  # noqa: SLF001 -- see the module.
                    value=getattr(default, "arg", None),
                    is_scalar=bool(default) and default.is_scalar,
                    is_callable=bool(default) and default.is_callable,
                    needs_context=function is not None and default.arg is function,
                )


def raise_as_sqlalchemy(connection: Connection, error: BaseException, sql: str, cursor: Any) -> NoReturn:
    """Raise the driver's error as Connection.execute raises it, and invalidate a connection that was lost.

    With a statement SQLAlchemy wraps any exception; its own execution leaves those alone that the driver did
    not raise.
    """
    statement = sql if isinstance(error, connection.dialect.loaded_dbapi.Error) else None
    connection._handle_dbapi_exception(error, statement, None, cursor, None)  # noqa: SLF001 -- no public function does it.


def guard_first_connection(pool: Pool, lock: AbstractContextManager[None]) -> None:
    """Replace the thread lock that a pool holds while it makes and examines its first connection.

    With that one a second request that connects at the same time would stop the event loop for good.
    """
    event.listen(pool, "connect", lambda _connection, _record: None)  # Without a listener there is no place for a lock.
    pool.dispatch.connect._exec_once_mutex = lock  # type: ignore[attr-defined]  # noqa: SLF001 -- see the module.


class CustomQueuePool(QueuePool):
    """A QueuePool whose subclass names its queue: `class MyPool(CustomQueuePool, queue_class=MyQueue)`."""

    def __init_subclass__(cls, *, queue_class: type[QueueCommon[Any]], **options: Any) -> None:
        """Take the class of the queue."""
        super().__init_subclass__(**options)
        cls._queue_class = queue_class

    @property
    def queue(self) -> Any:
        """The pool's queue of idle connections."""
        return self._pool


class EngineFactory(SQLAlchemy):
    """Flask-SQLAlchemy that passes each engine it creates through `adapt_engine`."""

    @abstractmethod
    def adapt_engine(self, engine: Engine, app: Flask) -> Engine:
        """Return the engine that the application is to use."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        return self.adapt_engine(super()._make_engine(bind_key, options, app), app)

    def _teardown_session(self, exc: BaseException | None) -> None:
        """Remove the session at the end of a request, if any session of this process is in use at all."""
        if self.session.registry.registry:
            super()._teardown_session(exc)
