"""The handle `db`, and the two ways to access the database: single statements and transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

from flask import Flask, current_app
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

from users_api.database.connections import leave_autocommit, return_to_autocommit
from users_api.database.sqlalchemy_internals import EngineFactory
from users_api.database.sqlite import begin_immediate
from users_api.database.statements import Statement, prepare


class Base(DeclarativeBase):
    """The tables' common base: every constraint has a name, `<kind>_<table>_<column>`."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class Database(EngineFactory):
    """Flask-SQLAlchemy with two views of each engine's one pool.

    `db.engine` and `db.session` work in transactions, as Flask-SQLAlchemy documents them.
    `db.autocommit_engine` runs each statement as its own transaction, in one round trip instead of three.
    """

    def __init__(self, **options: Any) -> None:
        """Accept Flask-SQLAlchemy's options."""
        self._autocommit_engines: WeakKeyDictionary[Flask, Engine] = WeakKeyDictionary()
        super().__init__(**options)

    def adapt_engine(self, engine: Engine, app: Flask) -> Engine:
        """Return the transactional view of an engine whose connections are in autocommit mode."""
        transactional = engine.execution_options()
        if engine.dialect.name == "sqlite":
            event.listen(transactional, "begin", begin_immediate)
        else:
            event.listen(transactional, "begin", leave_autocommit)
            event.listen(engine, "checkin", return_to_autocommit)
        self._autocommit_engines[app] = engine
        return transactional

    @property
    def autocommit_engine(self) -> Engine:
        """The current application's engine for statements that are their own transaction."""
        return self._autocommit_engines[current_app._get_current_object()]  # type: ignore[attr-defined]  # noqa: SLF001 -- Flask documents it.


db: Final = Database(model_class=Base, disable_autonaming=True, session_options={"expire_on_commit": False})


def rows(statement: Statement, /, **values: Any) -> list[Any]:
    """Run one statement and return its rows: tuples with the columns' names.

    It is its own transaction, in one round trip. Where `db.session` has a transaction open, it joins that one
    instead: it sees what the session wrote, and is committed or rolled back with it.
    """
    return _rows(statement, values)


def many_rows(statement: Statement, /, **values: Any) -> list[Any]:
    """Do the same for a statement that may return hundreds of rows: one at a time in each process.

    Others are served in between, while it would take the process milliseconds for each of them.
    """
    return _rows(statement, values, is_long=True)


def _rows(statement: Statement, values: dict[str, Any], *, is_long: bool = False) -> list[Any]:
    engine = db.autocommit_engine
    prepared_statement = prepare(statement, engine.dialect, tuple(values))
    sessions: Any = db.session.registry
    if sessions.registry and sessions.has() and (session := db.session()).in_transaction():
        session.flush()
        return prepared_statement.run(session.connection(), values)
    return prepared_statement.run_alone(engine, values, is_long=is_long)


@contextmanager
def transaction(*, serializable: bool = False) -> Iterator[Connection]:
    """Yield the connection of a `db.session` transaction; commit at the end, roll back on an exception.

    READ COMMITTED is the default, as it is PostgreSQL's: writers of one row wait for each other and none
    fails. SERIALIZABLE would fail all but one of them, so only a command that may fail uses it. SQLite's
    transactions are always serializable.

    Raises:
        InvalidRequestError: the session already has an open transaction.
    """
    options = (
        {"isolation_level": "SERIALIZABLE"} if serializable and db.engine.dialect.name == "postgresql" else {}
    )
    with db.session.begin():
        yield db.session.connection(execution_options=options)
