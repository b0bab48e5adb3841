"""The database handle, the names of constraints, and how a connection is made."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Connection, MetaData, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase

from users_api.greenlets import GreenletPool, LoopConnection
from users_api.statements import Statement, prepared


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


def engine_options(url: URL, pool_size: int) -> dict[str, Any]:
    """Return create_engine's options for this database.

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
        "max_overflow": 0,
        "pool_timeout": 5,
        "connect_args": {"connect_timeout": 5, "application_name": "users-api", "connection_factory": LoopConnection},
    }


def tune(engine: Engine) -> None:
    """Let SQLite's readers and writers not block one another."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA journal_mode=WAL"))


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
