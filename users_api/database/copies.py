"""PostgreSQL's COPY, in the transaction of an SQLAlchemy connection."""

from io import BytesIO
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from users_api.database.sqlalchemy_internals import raise_as_sqlalchemy

BLOCK_BYTES: Final = 4 * 1024**2  # Usually a whole batch.


class WritableFile(Protocol):
    """A file of bytes; psycopg2 writes each row of a COPY with one call."""

    def write(self, row: bytes, /) -> Any:
        """Write the row."""


def copy_in(connection: Connection, statement: str, rows: bytes) -> None:
    """Execute COPY … FROM STDIN.

    Raises:
        DBAPIError: as `Connection.execute` raises it.
    """
    _copy(connection, statement, BytesIO(rows))


def copy_out(connection: Connection, statement: str, file: WritableFile) -> None:
    """Execute COPY … TO STDOUT; what the file raises passes through.

    Raises:
        DBAPIError: as above.
    """
    _copy(connection, statement, file)


def _copy(connection: Connection, statement: str, file: Any) -> None:
    driver_connection: Any = connection.connection.driver_connection
    with driver_connection.cursor() as cursor:
        try:
            cursor.copy_expert(statement, file, BLOCK_BYTES)
        except connection.dialect.loaded_dbapi.Error as error:
            raise_as_sqlalchemy(connection, error, statement, cursor)
