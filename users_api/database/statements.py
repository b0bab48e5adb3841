"""Statements prepared once: SQLAlchemy compiles them once, and each execution uses the driver directly.

SQLAlchemy's own execution looks a statement up, binds its values and wraps its result each time, which takes
longer than the driver does.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from time import perf_counter_ns
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Delete, Dialect, Engine, Insert, Select, Table, Update
from sqlalchemy.exc import CompileError, StatementError
from sqlalchemy.sql.expression import SelectBase, UpdateBase
from sqlalchemy.sql.visitors import iterate

from users_api.database.observation import StatementObserver, failure_name
from users_api.database.sqlalchemy_internals import CompiledStatement, CustomQueuePool, raise_as_sqlalchemy

Statement = Select[Any] | CompoundSelect[Any] | Insert | Update | Delete
ColumnConverter = tuple[int, Callable[[Any], Any]]


class CannotBePrepared(CompileError):  # noqa: N818 -- exceptions here are named for what happened.
    """The statement needs work for each execution that only SQLAlchemy's own execution does."""

    def __init__(self, reason: str) -> None:
        """Compose the message from the reason and the alternative."""
        super().__init__(f"The statement cannot be prepared: {reason}; run it through db.session.")


class PreparedStatement:
    """A compiled statement: it takes values by name and returns named tuples."""

    def __init__(self, statement: Statement, dialect: Dialect, names: Iterable[str]) -> None:
        """Compile the statement for values with these names.

        Raises:
            CannotBePrepared: the statement needs a feature that only SQLAlchemy's own execution has.
        """
        names = frozenset(names)
        if not isinstance(statement, SelectBase | UpdateBase):
            reason = "it is not a select, insert, update or delete"
            raise CannotBePrepared(reason)
        compiled = CompiledStatement(statement, dialect, names)
        for reason in _unsupported_features(statement, compiled, names):
            raise CannotBePrepared(reason)
        self._is_write = isinstance(statement, UpdateBase)
        self._kind = (*_describe(statement, compiled), "")
        self._sql, self._positional_names, self._dialect = compiled.sql, compiled.positional_names, dialect
        defaults = list(compiled.defaults())
        self._values = compiled.values | {each.parameter: each.value for each in defaults if each.is_scalar}
        self._default_functions = [(each.parameter, each.value) for each in defaults if each.is_callable]
        writers = {name: _bind_processor(bind, dialect) for name, bind in compiled.parameters.items()}
        self._bind_processors = [(name, convert) for name, convert in writers.items() if convert]
        self._types, self._row = compiled.result_types, _row_factory(statement, compiled)
        self._result_processors: list[ColumnConverter] | None = None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows, or nothing for a statement without RETURNING.

        Raises:
            DBAPIError: the subclass that Connection.execute raises.
            StatementError: a value does not fit its type.
        """
        parameters = self._parameters(values)
        cursor = connection.connection.cursor()
        try:
            found = self._fetch(cursor, parameters, getattr(connection.engine.pool, "observer", None))
        except BaseException as error:  # noqa: BLE001 -- SQLAlchemy raises it again.
            raise_as_sqlalchemy(connection, error, self._sql, cursor)
        return self._rows(found, cursor)

    def run_alone(self, engine: Engine, values: Mapping[str, Any], *, is_long: bool = False) -> list[Any]:
        """Do the same on a connection of the pool, without the objects that SQLAlchemy makes for each use.

        Pass `is_long` for a statement that may return many rows.
        """
        pool = engine.pool
        if not isinstance(pool, CustomQueuePool):
            with engine.connect() as connection:
                return self.run(connection, values)
        parameters = self._parameters(values)
        if self._is_write:
            with pool.writes:
                return self._run_on_pool(pool, engine, parameters)
        if is_long:
            with pool.long_reads:
                return self._run_on_pool(pool, engine, parameters)
        return self._run_on_pool(pool, engine, parameters)

    def _run_on_pool(self, pool: CustomQueuePool, engine: Engine, parameters: Any) -> list[Any]:
        entry, cursor = pool.take(engine), None
        try:
            cursor = entry.dbapi_connection.cursor()  # type: ignore[union-attr]  # it has one until it is returned.
            found = self._fetch(cursor, parameters, pool.observer)
        except BaseException as error:  # noqa: BLE001 -- as above.
            with pool.as_connection(entry, engine) as connection:
                raise_as_sqlalchemy(connection, error, self._sql, cursor)
        pool.put_back(entry)
        return self._rows(found, cursor)

    def _fetch(self, cursor: Any, parameters: Any, observer: StatementObserver | None) -> Any:
        """Return the rows, and report the statement to the observer if there is one."""
        if observer is None:
            cursor.execute(self._sql, parameters)
            return cursor.fetchall() if self._row else ()
        start = perf_counter_ns()
        try:
            cursor.execute(self._sql + observer.comment(), parameters)
            found = cursor.fetchall() if self._row else ()
        except BaseException as error:
            observer.end(((*self._kind[:2], failure_name(error)), perf_counter_ns() - start))
            raise
        observer.end((self._kind, perf_counter_ns() - start))
        return found

    def _rows(self, found: Any, cursor: Any) -> list[Any]:
        readers = self._result_processors
        if readers is None:
            readers = self._result_processors = self._readers_for(cursor)
        cursor.close()
        return list(map(self._row, map(self._converted, found) if readers else found))

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        parameters = {**self._values, **values}
        if self._default_functions or self._bind_processors:
            self._convert(parameters)
        return (
            parameters
            if self._positional_names is None
            else [parameters[name] for name in self._positional_names]
        )

    def _convert(self, parameters: dict[str, Any]) -> None:
        try:
            for name, function in self._default_functions:
                parameters[name] = function(None)
            for name, convert in self._bind_processors:
                parameters[name] = convert(parameters[name])
        except Exception as error:
            raise StatementError(str(error), self._sql, None, error, hide_parameters=True) from error

    def _readers_for(self, cursor: Any) -> list[ColumnConverter]:
        """Return the conversions of the columns; psycopg2's depend on the types that PostgreSQL reports."""
        readers = [
            kind.dialect_impl(self._dialect).result_processor(self._dialect, column[1])
            for kind, column in zip(self._types, cursor.description or (), strict=False)
        ]
        return [(place, convert) for place, convert in enumerate(readers) if convert]

    def _converted(self, row: Iterable[Any]) -> list[Any]:
        values = list(row)
        for place, convert in self._result_processors or ():
            values[place] = convert(values[place])
        return values


prepare = lru_cache(maxsize=256)(PreparedStatement)


def _describe(statement: Any, compiled: CompiledStatement) -> tuple[str, str]:
    """Return the statement's first word, and its table if it has only one."""
    names = {each.name for each in iterate(statement) if isinstance(each, Table)}
    return compiled.sql.split(maxsplit=1)[0].upper(), names.pop() if len(names) == 1 else ""


def _bind_processor(bind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    writer: Callable[[Any], Any] | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return writer


def _row_factory(statement: Any, compiled: CompiledStatement) -> Any:
    """Return the function that turns a tuple into a row, or None if the statement returns no rows."""
    keys = statement.exported_columns.keys()
    if not keys:
        return None
    names = [label if key.startswith("_") else key for key, label in zip(keys, compiled.labels, strict=True)]
    try:
        return partial(tuple.__new__, namedtuple("Row", names))  # noqa: PYI024 -- the names are known only now.
    except ValueError as error:
        reason = f"{str(error)[0].lower()}{str(error)[1:]}"
        raise CannotBePrepared(reason) from None


def _unsupported_features(
    statement: Any, compiled: CompiledStatement, names: frozenset[str]
) -> Iterator[str]:
    """Yield each feature that the statement needs and this module does not support."""
    if compiled.has_post_compile_parameters:
        yield "a parameter is rendered anew for each execution, as lists for IN and literal_execute are"
    if compiled.has_escaped_names:
        yield "the name of a parameter has characters that the driver reserves"
    if statement.get_execution_options():
        yield "it has execution options"
    if 0 < len(statement.exported_columns) != len(compiled.result_types):
        yield "it selects more columns than it names"
    yield from _parameter_obstacles(compiled, names)
    yield from _default_obstacles(compiled)


def _parameter_obstacles(compiled: CompiledStatement, names: frozenset[str]) -> Iterator[str]:
    for name in sorted(names - compiled.parameters.keys()):
        yield f"it has no parameter or column {name!r}"
    for name, bind in compiled.parameters.items():
        if bind.callable:
            yield f"the value of the parameter {name!r} is computed for each execution"
        elif bind.required and name not in names:
            yield f"a value is required for the parameter {name!r}"


def _default_obstacles(compiled: CompiledStatement) -> Iterator[str]:
    for default in compiled.defaults():
        if default.needs_context:
            yield f"the default of the column {default.column!r} reads the other values"
        elif not (default.is_scalar or default.is_callable):
            yield f"the default of the column {default.column!r} requires a separate statement"
