"""A prepared statement returns, stores and raises what SQLAlchemy's own execution does."""

import enum
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    ARRAY,
    JSON,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Engine,
    Enum,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    TypeDecorator,
    Uuid,
    bindparam,
    create_engine,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import joinedload

from tests.database.tables import Note
from users_api.database import CannotBePrepared, prepare


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Reversed(TypeDecorator[str]):
    """Stores a text backwards."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        return value and value[::-1]

    def process_result_value(self, value: str | None, _dialect: Any) -> str | None:
        return value and value[::-1]


class Shouted(TypeDecorator[str]):
    """Stores a text in upper case, by the database, and reads it in lower case."""

    impl = String
    cache_ok = True

    def bind_expression(self, bind: Any) -> Any:
        return func.upper(bind)

    def column_expression(self, column: Any) -> Any:
        return func.lower(column)


metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Reversed(50)),
    Column("shout", Shouted(50)),
    Column("price", Numeric(20, 2)),
    Column("weight", Float),
    Column("color", Enum(Color)),
    Column("payload", JSON),
    Column("token", Uuid),
    Column("blob", LargeBinary),
    Column("at", DateTime(timezone=True)),
    Column("tags", ARRAY(String).with_variant(JSON, "sqlite")),
    Column("scalar", Integer, default=7, onupdate=8),
    Column("called", Reversed(50), default=lambda: "made", onupdate=lambda: "changed"),
    Column("worded", String(50), default=func.lower("MADE"), onupdate=func.lower("CHANGED")),
    Column("served", String(50), server_default="served"),
    Column("renamed", Integer, key="known_as"),
    CheckConstraint("weight < 1e300", name="weight"),
)
numbered = Table(
    "numbered",
    metadata,
    Column("id", Integer, Sequence("numbers"), primary_key=True),
    Column("text", String(9)),
)
contextual = Table(
    "contextual", metadata, Column("a", Integer), Column("b", Integer, default=lambda context: context)
)
five = select(literal(5)).scalar_subquery()
primed = Table(
    "primed", metadata, Column("id", Integer, primary_key=True, default=five), implicit_returning=False
)
odd = Table("odd", metadata, Column("a b(c)", Integer), Column("class", Integer))

ADD = insert(things).returning(things)
CHANGE = update(things).where(things.c.id == bindparam("thing")).returning(things)
FIND = select(things).where(things.c.id == bindparam("thing"))
letters = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn"]), max_size=20
)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- the strategy adds the zone.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=5,
)
VALUES: dict[str, Any] = {
    "name": st.none() | letters,
    "shout": st.none() | st.text("abcxyz 123", max_size=20),
    "price": st.none() | st.decimals(-(10**9), 10**9, places=2),
    "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False, max_value=1e200),
    "color": st.none() | st.sampled_from(Color),
    "payload": json_values,
    "token": st.none() | st.uuids(),
    "blob": st.none() | st.binary(max_size=20),
    "at": st.none() | moments,
    "tags": st.none() | st.lists(letters, max_size=3),
    "scalar": st.integers(-(2**31), 2**31 - 1),
    "called": letters,
    "worded": letters,
    "served": letters,
    "known_as": st.none() | st.integers(0, 9),
}


def some(values: dict[str, Any]) -> Any:
    """Return a strategy of rows in which any columns may be missing."""
    return st.fixed_dictionaries({}, optional=values)


@pytest.fixture(scope="module")
def engine(notes_url: str) -> Iterator[Engine]:
    """An engine whose database has the tables."""
    engine = create_engine(notes_url)
    metadata.create_all(engine)
    yield engine
    metadata.drop_all(engine)
    engine.dispose()


def by_sqlalchemy(connection: Connection, statement: Any, values: dict[str, Any]) -> list[Any]:
    result = connection.execute(statement, values)
    return result.all() if result.returns_rows else []


def with_prepared(connection: Connection, statement: Any, values: dict[str, Any]) -> list[Any]:
    return prepare(statement, connection.dialect, tuple(values)).run(connection, values)


def outcome(
    engine: Engine, run: Callable[..., list[Any]], *steps: tuple[Any, dict[str, Any]]
) -> tuple[Any, ...]:
    """Return the last step's rows, their column names, and the table's content as the driver reads it."""
    with engine.connect() as connection:
        transaction = connection.begin()
        rows = [run(connection, *step) for step in steps]
        stored = connection.exec_driver_sql("SELECT * FROM things ORDER BY id").all()
        transaction.rollback()
    return [list(map(tuple, each)) for each in rows], list(map(tuple, stored))


def assert_same(engine: Engine, *steps: tuple[Any, dict[str, Any]]) -> None:
    assert outcome(engine, with_prepared, *steps) == outcome(engine, by_sqlalchemy, *steps)


@given(new=some(VALUES), change=some(VALUES))
@settings(max_examples=60, deadline=None)
def test_rows_and_stored_values_are_the_same(
    engine: Engine, new: dict[str, Any], change: dict[str, Any]
) -> None:
    steps = [(ADD, {"id": 1} | new), (FIND, {"thing": 1})]
    if change:
        steps += [(CHANGE, {"thing": 1} | change), (FIND, {"thing": 1})]

    assert_same(engine, *steps)


@given(first=some(VALUES))
@settings(max_examples=30, deadline=None)
def test_values_may_stand_in_the_statement(engine: Engine, first: dict[str, Any]) -> None:
    assert_same(engine, (insert(things).values(id=1, **first).returning(things), {}), (FIND, {"thing": 1}))


@cache
def expressions() -> dict[str, Any]:
    """Return statements of other kinds, for a table that contains a thing with id 1."""
    return {
        "several rows": insert(things)
        .values([{"id": 2, "name": "a"}, {"id": 3, "name": "b"}])
        .returning(things),
        "from a select": insert(things)
        .from_select(["id", "name"], select(things.c.id + 1, things.c.name))
        .returning(things),
        "without returning": insert(things).values(id=2, name="a"),
        "update without returning": update(things).values(name="changed"),
        "nothing but onupdate": update(things).returning(things.c.called, things.c.scalar, things.c.worded),
        "a sum": select(func.sum(things.c.price), func.count(), things.c.weight / 2).group_by(
            things.c.weight
        ),
        "an expression": select(things.c.price * 2, literal("%"), things.c.name.label("other")),
        "a union": union_all(select(things.c.id, things.c.name), select(things.c.id, things.c.name)),
        "a page": select(things).order_by(things.c.id).limit(1).offset(0),
        "a percent sign": select(things.c.id).where(things.c.served.like("ser%")),
        "an upper bound": select(func.max(things.c.at), things.c.color).group_by(things.c.color),
        "removal": things.delete()
        .where(things.c.color == Color.RED)
        .returning(things.c.color, things.c.payload),
        "a CTE": select(select(things.c.token).cte("tokens")),
        "a column with a key": select(things.c.known_as),
    }


@pytest.mark.parametrize("kind", list(expressions()))
def test_other_statements_are_the_same(engine: Engine, kind: str) -> None:
    thing = {
        "id": 1,
        "price": Decimal("1.50"),
        "weight": 3.0,
        "color": Color.RED,
        "payload": {"a": [1]},
        "token": uuid.UUID(int=5),
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "known_as": 4,
    }

    assert_same(engine, (ADD, thing), (expressions()[kind], {}), (FIND, {"thing": 1}))


def test_rows_have_the_names_of_the_columns(engine: Engine) -> None:
    with engine.connect() as connection:
        (ours,) = with_prepared(connection, ADD, {"id": 1, "name": "ada"})
        theirs = connection.execute(FIND, {"thing": 1}).one()
        connection.rollback()

    assert ours._fields == tuple(things.c.keys())
    assert all(getattr(ours, name) == getattr(theirs, name) for name in ours._fields)


def test_a_statement_runs_alone_on_any_pool() -> None:
    engine = create_engine("sqlite://")
    statement = prepare(select(literal(1).label("number")), engine.dialect, ())

    assert [statement.run_alone(engine, {}) for _ in range(2)] == [[(1,)], [(1,)]]


def test_a_sequence_numbers_the_rows(engine: Engine) -> None:
    with engine.connect() as connection:
        add = insert(numbered).returning(numbered.c.id)
        (first,) = with_prepared(connection, add, {"text": "a"})
        (second,) = by_sqlalchemy(connection, add, {"text": "b"})
        (third,) = with_prepared(connection, add, {"text": "c"})

    assert (second.id, third.id) == (first.id + 1, first.id + 2)


def test_a_default_is_called_for_each_row(engine: Engine) -> None:
    numbers = iter(range(9))
    table = Table(
        "numbered", MetaData(), Column("id", Integer, primary_key=True, default=lambda: next(numbers) + 1000)
    )
    several = insert(table).values([{"id": 1}, {}, {}]).returning(table.c.id)
    with engine.connect() as connection:
        statement = prepare(insert(table).returning(table.c.id), connection.dialect, ())
        ids = [row.id for _ in range(2) for row in statement.run(connection, {})]
        connection.rollback()
        assert sorted(row.id for row in with_prepared(connection, several, {})) == [1, 1002, 1003]
        connection.rollback()

    assert ids == [1000, 1001]


PLAIN = insert(things).returning(things.c.id)


@pytest.mark.parametrize(
    ("statement", "names", "reason"),
    [
        (
            select(things).where(things.c.id.in_(bindparam("ids", expanding=True))),
            ("ids",),
            "rendered anew for each execution",
        ),
        (select(things).where(things.c.id.in_([1, 2])), (), "rendered anew for each execution"),
        (
            select(things).limit(bindparam("most", 1, literal_execute=True)),
            (),
            "rendered anew for each execution",
        ),
        (select(literal(1, literal_execute=True).label("one")), (), "rendered anew for each execution"),
        (select(things).execution_options(stream_results=True), (), "it has execution options"),
        (
            select(things).where(things.c.id == bindparam("x", callable_=lambda: 1)),
            (),
            "'x' is computed for each execution",
        ),
        (FIND, (), "a value is required for the parameter 'thing'"),
        (
            insert(contextual).returning(contextual),
            ("a",),
            "the default of the column 'b' reads the other values",
        ),
        (insert(primed), (), "the default of the column 'id' requires a separate statement"),
        (select(Note).options(joinedload(Note.topic)), (), "it selects more columns than it names"),
        (select(odd.c["class"]), (), "Type names and field names cannot be a keyword: 'class'"),
        (ADD, ("nothing",), "it has no parameter or column 'nothing'"),
        (text("SELECT 1"), (), "not a select, insert, update or delete"),
    ],
)
def test_a_statement_that_needs_more_is_refused_when_prepared(
    engine: Engine, statement: Any, names: tuple[str, ...], reason: str
) -> None:
    assert_refused(engine, statement, names, reason)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite's parameters have no names.
def test_a_parameter_with_a_reserved_name_is_refused_when_prepared(engine: Engine) -> None:
    statement = insert(odd).returning(odd.c["a b(c)"].label("x"))

    assert_refused(engine, statement, ("a b(c)",), "characters that the driver reserves")


def assert_refused(engine: Engine, statement: Any, names: tuple[str, ...], reason: str) -> None:
    """Check that the statement cannot be prepared, for this reason."""
    with pytest.raises(CannotBePrepared) as refusal:
        prepare(statement, engine.dialect, names)

    assert str(refusal.value).startswith("The statement cannot be prepared: ")
    assert reason.lower() in str(refusal.value).lower()
    assert str(refusal.value).endswith("; run it through db.session.")


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (ADD, {"id": 1}),
        (ADD, {"id": 2, "color": "green"}),
        (ADD, {"id": 2, "token": "no uuid"}),
        (ADD, {"id": 2, "name": 5}),
        (ADD, {"id": 2, "served": "\0"}),
        (ADD, {"id": 2, "served": "\ud800"}),
        (ADD, {"id": 2**70}),
        (ADD, {"id": 2, "served": object()}),
        (select((things.c.id / bindparam("zero", type_=Integer)).label("ratio")), {"zero": 0}),
    ],
)
def test_failures_are_the_same(engine: Engine, statement: Any, values: dict[str, Any]) -> None:
    def failure(run: Callable[..., list[Any]]) -> Any:
        try:
            return outcome(engine, run, (ADD, {"id": 1}), (statement, values))
        except Exception as error:  # noqa: BLE001 -- the two are compared.
            return type(error), type(getattr(error, "orig", None))

    assert failure(with_prepared) == failure(by_sqlalchemy)


def test_error_messages_contain_no_values(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(StatementError) as failure:
        with_prepared(connection, ADD, {"id": 1, "name": 5, "served": "secret"})

    assert "secret" not in str(failure.value)


def test_a_failure_leaves_the_connection_usable(engine: Engine) -> None:
    with engine.connect() as connection:
        with_prepared(connection, ADD, {"id": 1})
        with pytest.raises(IntegrityError):
            with_prepared(connection, ADD, {"id": 1})
        connection.rollback()

        assert with_prepared(connection, FIND, {"thing": 1}) == []
