"""The package's undocumented assumptions about SQLAlchemy and Flask-SQLAlchemy."""

import sqlite3
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import queue

import users_api.database
from users_api.database.sqlalchemy_internals import (
    CompiledStatement,
    CustomQueuePool,
    EngineFactory,
    raise_as_sqlalchemy,
    replace_first_connection_lock,
)
from users_api.database.statements import prepare

table = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("scalar", Integer, default=1, onupdate=2),
    Column("called", Integer, default=lambda: 3),
    Column("contextual", Integer, default=lambda context: context),
)
SQLITE = create_engine("sqlite://").dialect
POSTGRESQL = create_engine("postgresql+psycopg2://ada@database/users").dialect


def test_the_compiler_exposes_sql_parameters_and_types() -> None:
    compiled = CompiledStatement(select(table.c.id).where(table.c.id == bindparam("x")), SQLITE, ["x"])

    gone = "SQLAlchemy renamed SQLCompiler's {}: look in SQLCompiler.__init__, sqlalchemy/sql/compiler.py"
    assert compiled.positional_names == ["x"], gone.format("positiontup")
    assert set(compiled.parameters) == {"x"}, gone.format("bind_names")
    assert compiled.values == {"x": None}, gone.format("construct_params(_check)")
    assert compiled.labels == ["id"], gone.format("_result_columns, keyname")
    assert isinstance(compiled.result_types[0], Integer), gone.format("_result_columns, type")
    assert CompiledStatement(select(table.c.id), POSTGRESQL, []).positional_names is None, gone.format(
        "positional"
    )


def test_the_compiler_tells_what_is_rendered_later() -> None:
    gone = "SQLAlchemy renamed SQLCompiler.{}: look in DefaultExecutionContext._init_compiled"
    listed = select(table).where(table.c.id.in_([1]))
    literally = select(table).where(table.c.id == bindparam("x", literal_execute=True))
    escaped = select(table).where(table.c.id == bindparam("a(b)"))

    assert CompiledStatement(listed, SQLITE, []).has_post_compile_parameters, gone.format(
        "post_compile_params"
    )
    assert CompiledStatement(literally, SQLITE, ["x"]).has_post_compile_parameters, gone.format(
        "literal_execute_params"
    )
    assert CompiledStatement(escaped, POSTGRESQL, ["a(b)"]).has_escaped_names, gone.format(
        "escaped_bind_names"
    )


def test_the_compiler_names_the_defaults() -> None:
    gone = "SQLAlchemy renamed {}: look for what DefaultExecutionContext._process_execute_defaults reads"
    added = {each.column: each for each in CompiledStatement(insert(table), SQLITE, ["id"]).defaults()}
    changed = list(CompiledStatement(update(table), SQLITE, ["id"]).defaults())

    assert set(added) == {"scalar", "called", "contextual"}, gone.format("SQLCompiler.insert_prefetch")
    assert [each.value for each in changed] == [2], gone.format("SQLCompiler.update_prefetch")
    assert added["scalar"].is_scalar, gone.format("ColumnDefault.is_scalar")
    assert added["called"].is_callable, gone.format("ColumnDefault.is_callable")
    assert added["called"].parameter == "called", gone.format("SQLCompiler._within_exec_param_key_getter")
    needs = {name: each.needs_context for name, each in added.items()}
    assert needs == {"scalar": False, "called": False, "contextual": True}, gone.format(
        "CallableColumnDefault._fn"
    )


def test_a_connection_translates_a_drivers_error() -> None:
    assert hasattr(Connection, "_handle_dbapi_exception"), (
        "SQLAlchemy renamed Connection._handle_dbapi_exception: look in Connection._execute_context"
    )
    with create_engine("sqlite://").connect() as connection, pytest.raises(IntegrityError):
        raise_as_sqlalchemy(connection, sqlite3.IntegrityError("taken"), "INSERT", None)
    with create_engine("sqlite://").connect() as connection, pytest.raises(ValueError, match="as it is"):
        fail(connection)


def fail(connection: Connection) -> None:
    """Pass an exception that is not the driver's through SQLAlchemy."""
    try:
        int("as it is")
    except ValueError as error:
        raise_as_sqlalchemy(connection, error, "INSERT", None)


def test_a_pool_takes_another_queue() -> None:
    class Queue(queue.Queue[Any]):
        pass

    class Pool(CustomQueuePool, queue_class=Queue):
        pass

    gone = "SQLAlchemy renamed QueuePool.{}: look for the queue in QueuePool.__init__"
    assert hasattr(QueuePool, "_queue_class"), gone.format("_queue_class")
    pool = Pool(lambda: sqlite3.connect(":memory:"))
    assert isinstance(getattr(pool, "_pool", None), Queue), gone.format("_pool")
    assert pool.queue is pool._pool  # noqa: SLF001 -- the assumption under test.


def test_a_pool_uses_only_implemented_queue_methods() -> None:
    assert {name for name in vars(queue.QueueCommon) if not name.startswith("_")} == {
        "empty",
        "full",
        "qsize",
        "put_nowait",
        "put",
        "get_nowait",
        "get",
    }, "SQLAlchemy changed QueueCommon: give FairQueue what it now asks for"
    assert issubclass(queue.Empty, Exception), (
        "SQLAlchemy renamed sqlalchemy.util.queue.Empty: look for what QueuePool catches"
    )


class PlainPool(CustomQueuePool, queue_class=queue.Queue):
    """A pool like ours with SQLAlchemy's own queue."""


def plain_engine() -> Engine:
    return create_engine("sqlite://", poolclass=PlainPool, connect_args={"check_same_thread": False})


def test_a_pools_entry_is_taken_and_returned_without_a_proxy() -> None:
    engine = plain_engine()
    pool: Any = engine.pool
    returned = []
    event.listen(engine, "checkin", lambda connection, _entry: returned.append(connection))

    first = pool.take(engine)
    connection = first.dbapi_connection
    pool.put_back(first)
    again = pool.take(engine)

    gone = (
        "SQLAlchemy changed how a pool's entries are taken: "
        "look in _ConnectionRecord.checkout, sqlalchemy/pool/base.py"
    )
    assert again is first, gone
    assert again.dbapi_connection is connection, gone
    assert returned == [connection], (
        "SQLAlchemy's _ConnectionRecord.checkin no longer runs the listeners of checkin"
    )


def test_a_pools_entry_becomes_a_connection_where_a_statement_fails() -> None:
    engine = plain_engine()
    pool: Any = engine.pool
    entry = pool.take(engine)
    driver_connection = entry.dbapi_connection

    with pool.as_connection(entry, engine) as connection:
        assert connection.connection.driver_connection is driver_connection
    assert pool.checkedout() == 0
    with pool.as_connection(pool.take(engine), engine) as connection:
        connection.invalidate()

    gone = (
        "SQLAlchemy changed what its proxy of a connection needs: "
        "look in _ConnectionRecord.checkout, sqlalchemy/pool/base.py"
    )
    assert (entry.dbapi_connection, pool.checkedout()) == (None, 0), gone
    assert pool.take(engine) is entry, gone
    assert entry.dbapi_connection is not None, gone


def test_a_pools_place_is_kept_when_an_entry_cannot_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = plain_engine()
    pool: Any = engine.pool
    with monkeypatch.context() as patch:
        patch.setattr(pool, "prepare", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pool.take(engine)

    assert pool.checkedout() == 0


def test_a_pools_place_is_kept_when_a_connection_has_no_cursor() -> None:
    engine = plain_engine()
    pool: Any = engine.pool
    statement = prepare(select(table.c.id), engine.dialect, ())
    entry = pool.take(engine)
    entry.dbapi_connection.close()
    pool.put_back(entry)

    with pytest.raises(DBAPIError):
        statement.run_alone(engine, {})

    assert pool.checkedout() == 0


def test_a_pool_that_cannot_connect_keeps_its_place() -> None:
    engine = create_engine(
        "sqlite:////absent/folder/users.db", poolclass=PlainPool, pool_size=1, max_overflow=0
    )
    pool: Any = engine.pool

    for _ in range(2):
        with pytest.raises(OperationalError):
            pool.take(engine)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("no"), KeyboardInterrupt()])
def test_a_lost_connection_that_cannot_be_made_again_keeps_its_place(error: BaseException) -> None:
    engine = plain_engine()
    pool: Any = engine.pool
    entry = pool.take(engine)
    entry.invalidate()
    pool.put_back(entry)
    failures = [error]

    @event.listens_for(engine, "do_connect")
    def connect(*_arguments: Any) -> None:
        if failures:
            raise failures.pop()

    with pytest.raises((OperationalError, KeyboardInterrupt)):
        pool.take(engine)

    assert pool.take(engine) is entry, (
        "SQLAlchemy connects elsewhere than in _ConnectionRecord.get_connection"
    )
    assert entry.dbapi_connection is not None


def test_the_first_connection_is_made_under_our_lock() -> None:
    entered = []

    class Lock(nullcontext[None]):
        def __enter__(self) -> None:
            entered.append(True)

    engine = create_engine("sqlite://")
    replace_first_connection_lock(engine.pool, Lock())
    for _ in range(2):
        engine.connect().close()

    assert entered == [True], (
        "SQLAlchemy guards a pool's first connection by another lock: look in event/attr.py"
    )


def test_flask_sqlalchemy_makes_its_engines_in_one_place() -> None:
    class Factory(EngineFactory):
        def adapt_engine(self, engine: Engine, app: Flask) -> Engine:  # noqa: ARG002 -- the base's signature.
            engine.adapted = True  # type: ignore[attr-defined]  # a mark to find again.
            return engine

    handle, app = Factory(), Flask("engines")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    handle.init_app(app)

    with app.app_context():
        assert getattr(handle.engine, "adapted", False), (
            "Flask-SQLAlchemy renamed SQLAlchemy._make_engine: look for what init_app calls for each engine"
        )


def test_the_views_of_an_engine_share_its_pool_after_dispose() -> None:
    engine = create_engine("sqlite://")
    view = engine.execution_options()
    view.dispose()

    assert view is not engine, (
        "SQLAlchemy's Engine.execution_options no longer returns a new engine: events would reach both"
    )
    assert view.pool is engine.pool, (
        "SQLAlchemy gives a view of an engine a pool of its own: db.session would take twice as many"
    )


def test_private_names_stay_in_one_module() -> None:
    private = (
        "_handle_dbapi_exception",
        "_make_engine",
        "_queue_class",
        "_result_columns",
        "_within_exec",
        "_exec_once_mutex",
        "_ConnectionFairy",
        "_checkin_failed",
        "_do_get",
        "_fairy_was_created",
        "._pool",
    )
    package = Path(users_api.database.__file__).parent

    users = {file.name for file in package.glob("*.py") if any(name in file.read_text() for name in private)}

    assert users == {"sqlalchemy_internals.py"}
