"""The database handle, the names of constraints, and how a connection is made."""

import os
from contextlib import AbstractContextManager
from functools import cache, partial
from math import ceil
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Connection, MetaData, event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.orm import DeclarativeBase

from users_api.connections import LoopConnection
from users_api.pool import GreenletPool
from users_api.statements import Statement, prepared

READ_ONLY: Final = "25006"


class Base(DeclarativeBase):
    """The tables' common root: every constraint has a name, `<kind>_<table>_<column>`."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, disable_autonaming=True, session_options={"expire_on_commit": False})


def engine_options(url: URL, *, pool_size: int, most_waiting: int, pool_timeout: float, connect_timeout: float) -> dict[str, Any]:
    """Return create_engine's options for this database; the times are seconds.

    AUTOCOMMIT: each operation is one statement and so its own transaction, in one round trip in place of three.
    Parameters are people's names and addresses: they stay out of the logs.
    """
    if url.get_backend_name() == "sqlite":
        return {"isolation_level": "AUTOCOMMIT", "hide_parameters": True, "connect_args": {"timeout": 10}}
    return {
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": True,
        "poolclass": GreenletPool,
        "pool_size": pool_size,
        "most_waiting": most_waiting,
        "max_overflow": 0,
        "seconds": pool_timeout,
        "connect_args": {
            "application_name": "users-api",
            "connection_factory": partial(LoopConnection, connect_seconds=connect_timeout),
            "connect_timeout": ceil(connect_timeout),
            # A network that is cut shows by no answer at all; libpq then also turns to the next host of several.
            "tcp_user_timeout": ceil(connect_timeout * 1000),
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
        },
    }


def tune(engine: Engine) -> None:
    """Let SQLite's readers and writers not block one another, and leave a PostgreSQL that takes no writes any more."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA journal_mode=WAL"))
    event.listen(engine, "handle_error", _leave_read_only)


def _leave_read_only(failure: ExceptionContext) -> None:
    """Count a connection as lost that refuses to write: after a failover the next one may lead to the new primary."""
    if getattr(failure.original_exception, "pgcode", None) == READ_ONLY:
        failure.is_disconnect = True
        failure.invalidate_pool_on_disconnect = False


def limit_sessions(engine: Engine, **seconds: float) -> None:
    """Let PostgreSQL itself end what takes longer, by the names of its own settings; with 0 they stay as the server has them.

    For processes that serve; a migration takes its time. PgBouncer must ignore the startup parameter `options`, or all be 0.
    """
    options = [f"-c {name}={ceil(limit * 1000)}" for name, limit in seconds.items() if limit]

    def limit(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        own = parameters.get("options", os.environ.get("PGOPTIONS", ""))
        parameters["options"] = " ".join(filter(None, [*options, own]))

    if options and engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", limit)


def rows(statement: Statement, **values: Any) -> list[Any]:
    """Run one statement, which is its own transaction, and return its rows: tuples with the columns' names.

    On the engine, not on the session: an object mapped per row costs more than the statement.
    """
    engine = db.engine
    with engine.connect() as connection:
        return prepared(statement, engine.dialect, tuple(values)).run(connection, values)


def transaction() -> AbstractContextManager[Connection]:
    """Return a connection in a real transaction, for the commands that need more than one statement."""
    return db.engine.execution_options(isolation_level="SERIALIZABLE").begin()


@cache
def newest_migration(directory: str) -> str:
    """Return the number of the newest migration in the directory."""
    return str(ScriptDirectory(directory).get_current_head())


def schema_is_newest() -> bool:
    """Return whether the database is at the newest migration, this version's or that of a newer version.

    During a deploy and after a rollback this version runs on what a newer one has migrated.
    """
    current, newest = _migrations()
    return current == newest or _is_newer(current, newest)


def schema_is_newer() -> bool:
    """Return whether a newer version has migrated the database."""
    return _is_newer(*_migrations())


def _is_newer(current: str, newest: str) -> bool:
    """Return whether a migration has a higher number than the newest that this version has."""
    return current.isdigit() and current > newest


def _migrations() -> tuple[str, str]:
    """Return where the database stands, empty without any migration, and the newest migration that this version has."""
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current or "", newest_migration(current_app.extensions["migrate"].directory)
