"""Statements made ready once: SQLAlchemy words them, and from then on the driver runs them as they are.

SQLAlchemy itself would look a statement up, bind its values and wrap its result anew each time, for longer than the driver works.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

Statement = Select[Any] | Insert | Update | Delete


class Prepared:
    """A statement in a database's own words: it takes values by their names and gives rows, which are tuples with names."""

    def __init__(self, statement: Statement, dialect: Dialect, names: Iterable[str]) -> None:
        """Compile the statement for values of these names, and the conversions that its types make with this driver."""
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
        columns: Any = statement.exported_columns
        self._sql = str(compiled)
        self._order = compiled.positiontup
        self._values = compiled.params
        self._defaults = {column.key: column.default for column in compiled.insert_prefetch}
        writers = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for bind, name in compiled.bind_names.items()}
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._write = {name: convert for name, convert in writers.items() if convert}
        self._read = [(place, convert) for place, convert in enumerate(readers) if convert]
        self._row: Callable[[Iterable[Any]], Any] = partial(tuple.__new__, namedtuple("Row", columns.keys()))  # noqa: PYI024 -- the names are known here only.

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows; a failure is SQLAlchemy's to translate, as is whether the connection is still of use."""
        parameters = self._parameters(values)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, parameters)
            found = cursor.fetchall()
        except BaseException as error:  # noqa: BLE001 -- SQLAlchemy raises it again.
            connection._handle_dbapi_exception(error, self._sql, None, cursor, None)  # noqa: SLF001 -- no public function does it.
        cursor.close()
        return list(map(self._row, map(self._converted, found) if self._read else found))

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        parameters = {**self._values, **values}
        for name, default in self._defaults.items():
            parameters[name] = default.arg(None) if default.is_callable else default.arg
        for name, convert in self._write.items():
            parameters[name] = convert(parameters[name])
        return [parameters[name] for name in self._order] if self._order else parameters

    def _converted(self, row: Iterable[Any]) -> list[Any]:
        values = list(row)
        for place, convert in self._read:
            values[place] = convert(values[place])
        return values


prepared = lru_cache(maxsize=256)(Prepared)
