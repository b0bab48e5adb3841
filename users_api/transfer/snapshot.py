"""All users at one moment, ordered by id: later writes neither wait for an export nor appear in it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
from sqlalchemy import Connection, func, select

from users_api.database import WritableFile, copy_out, db
from users_api.models import User
from users_api.schemas import rfc3339
from users_api.transfer.formats import COLUMNS, Format

users: Final = User.__table__
BEGIN_SNAPSHOT: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0"
)
ROWS: Final = """
    SELECT id, username, email, active{}, to_char(created_date AT TIME ZONE 'UTC',
           'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_date
    FROM users ORDER BY id
"""
# JSON escapes control characters, so that none of its texts is quoted.
UNQUOTED: Final = r"(FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
COPIES: Final = {
    Format.CSV: f"COPY ({ROWS.format('::text')}) TO STDOUT (FORMAT csv, HEADER)",
    Format.JSON_LINES: f"COPY (SELECT row_to_json(u) FROM ({ROWS.format('')}) AS u) TO STDOUT {UNQUOTED}",  # noqa: S608 -- constants.
}
QUOTED: Final = re.compile('[",\r\n]')
FETCHED_ROWS: Final = 1000


class Snapshot:
    """The users in one read-only transaction."""

    def __init__(self, connection: Connection) -> None:
        """Count the users."""
        self._connection = connection
        self.count: int = connection.scalar(select(func.count()).select_from(users)) or 0

    def write(self, form: Format, file: WritableFile, report: Callable[[int], None]) -> None:
        """Write the users; `report` receives how many more were written, in steps."""
        counter = RowCounter(file, report)
        if self._connection.dialect.name == "postgresql":
            copy_out(self._connection, COPIES[form], counter)
        else:
            for row in _rows(self._connection, form):
                counter.write(row)
        counter.finish()


class RowCounter:
    """A file that counts the rows written to it; the header of CSV counts as a row too."""

    STEP: Final = 10_000

    def __init__(self, file: WritableFile, report: Callable[[int], None]) -> None:
        """Start at 0."""
        self._file, self._report = file, report
        self._rows = 0

    def write(self, row: bytes) -> None:
        """Write the row."""
        self._file.write(row)
        self._rows += 1
        if self._rows == self.STEP:
            self.finish()

    def finish(self) -> None:
        """Report the rows that were not reported yet."""
        self._report(self._rows)
        self._rows = 0


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Give the users as of now; SQLite's usual transactions would lock out writers."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.begin() as connection:
            connection.exec_driver_sql(BEGIN_SNAPSHOT)
            yield Snapshot(connection)
        return
    with db.autocommit_engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        try:
            yield Snapshot(connection)
        finally:
            connection.exec_driver_sql("ROLLBACK")


def _rows(connection: Connection, form: Format) -> Iterator[bytes]:
    """Yield the rows as PostgreSQL's COPY writes them."""
    as_bytes = _csv_row if form is Format.CSV else _json_row
    if form is Format.CSV:
        yield _csv_row(COLUMNS)
    statement = select(*(users.c[name] for name in COLUMNS)).order_by(users.c.id)
    for user in connection.execution_options(yield_per=FETCHED_ROWS).execute(statement):
        yield as_bytes((*user[:4], rfc3339(user.created_date)))


def _csv_row(values: tuple[Any, ...]) -> bytes:
    return (",".join(map(_csv_field, values)) + "\n").encode()


def _csv_field(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


def _json_row(values: tuple[Any, ...]) -> bytes:
    return orjson.dumps(dict(zip(COLUMNS, values, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
