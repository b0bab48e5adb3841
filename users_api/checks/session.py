"""The connection with which the checks of the database ask, opened as the service opens its own."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from flask import Flask
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from users_api.config import Config
from users_api.database import engine_options, set_session_timeouts

APPLICATION_NAME: Final = "users-api check"


class Session:
    """One connection in autocommit mode, to PostgreSQL or to an existing file of SQLite."""

    connection: Connection
    connect_seconds: float

    def __init__(self, settings: type[Config]) -> None:
        """Store the settings, of which `open` reads those of the database."""
        self._settings = settings
        self._engine: Engine | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            DBAPIError: the database refuses or does not answer.
        """
        url = make_url(self._settings.SQLALCHEMY_DATABASE_URI)
        self._engine = _create_engine(url, self._settings)
        started = monotonic()
        self.connection = self._engine.connect()
        self.connect_seconds = monotonic() - started

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._engine:
            if hasattr(self, "connection"):
                self.connection.close()
            self._engine.dispose()

    @property
    def libpq(self) -> Any:
        """What libpq knows about the connection (psycopg2's ConnectionInfo)."""
        driver_connection: Any = self.connection.connection.driver_connection
        return driver_connection.info

    def rows(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run one statement and return its rows."""
        return self.connection.execute(text(statement), values).all()

    def row(self, statement: str, **values: Any) -> Any:
        """Run one statement that returns exactly one row, and return that."""
        (row,) = self.rows(statement, **values)
        return row


def _create_engine(url: URL, settings: type[Config]) -> Engine:
    if url.get_backend_name() == "sqlite":
        existing = f"{sqlite_file(url).as_uri()}?mode=rw"
        return create_engine(
            "sqlite://", poolclass=NullPool, creator=partial(sqlite3.connect, existing, uri=True)
        )
    options = engine_options(
        url,
        application_name=APPLICATION_NAME,
        pool_size=1,
        max_waiting=0,
        pool_timeout=settings.DATABASE_POOL_TIMEOUT,
        connect_timeout=settings.DATABASE_CONNECT_TIMEOUT,
    )
    engine = create_engine(url, **options)
    set_session_timeouts(engine, **session_timeouts(settings))
    return engine


def session_timeouts(settings: type[Config]) -> dict[str, float]:
    """Return PostgreSQL's timeouts in seconds, 0 for those of the server."""
    return {
        "statement_timeout": settings.DATABASE_STATEMENT_TIMEOUT,
        "lock_timeout": settings.DATABASE_LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": settings.DATABASE_IDLE_TIMEOUT,
    }


def sqlite_file(url: URL) -> Path:
    """Return the file of SQLite; Flask-SQLAlchemy's paths are relative to Flask's instance folder."""
    return Path(Flask("users_api").instance_path, url.database or "")


def connect_seconds(settings: type[Config]) -> float:
    """Return how long connecting may take: each host may have an IPv4 and an IPv6 address."""
    hosts = make_url(settings.SQLALCHEMY_DATABASE_URI).query.get("host", ())
    count = 1 if isinstance(hosts, str) else max(1, len(hosts))
    return 2 * count * settings.DATABASE_CONNECT_TIMEOUT + 2
