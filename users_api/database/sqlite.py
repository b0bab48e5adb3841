"""SQLite connections that wait for a lock without blocking the event loop."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from users_api.database.greenlets import sleep_briefly

Result = TypeVar("Result")


class RetryingConnection(sqlite3.Connection):
    """A connection that retries a statement while another connection holds the lock.

    SQLite's own busy timeout sleeps in C, which would block the event loop, and with it the greenlet that
    holds the lock.
    """

    def __init__(self, database: str, *, busy_seconds: float, **options: Any) -> None:
        """Open the database; a statement waits that many seconds for a lock."""
        self._busy_seconds = busy_seconds
        super().__init__(database, **options | {"timeout": 0})

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that waits for locks."""
        return super().cursor(factory or RetryingCursor)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        """Run the statement; the built-in shortcut would not use this class's cursor."""
        return self.cursor().execute(statement, parameters)

    def commit(self) -> None:
        """Commit, which waits for readers where the database is not in WAL mode."""
        self.retry(super().commit)

    def retry(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return the function's result once no other connection holds the lock.

        Raises:
            sqlite3.OperationalError: the lock was held for `busy_seconds`, or the function failed otherwise.
        """
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                return function(*arguments)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            sleep_briefly()


class RetryingCursor(sqlite3.Cursor):
    """A cursor whose `execute` waits for locks; a statement that SQLite rejects as busy has had no effect."""

    connection: RetryingConnection

    def execute(self, statement: str, parameters: Any = ()) -> "RetryingCursor":
        """Run the statement."""
        return self.connection.retry(super().execute, statement, parameters)


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction that may write.

    One that reads first and writes later fails at once if another connection wrote in between
    (SQLITE_BUSY_SNAPSHOT).
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def prepare_connection(connection: sqlite3.Connection, _record: Any) -> None:
    """Let readers and a writer work at the same time, and enable foreign key checks."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
