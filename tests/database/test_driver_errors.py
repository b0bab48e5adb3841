"""Errors of both drivers are interpreted identically."""

import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, UniqueConstraint, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tests.database.tables import ADD, Base, Topic
from users_api.database import db, is_missing_schema_object, is_unavailable, rows, violated_constraint

One = Callable[..., Any]
ADD_TOPIC = Topic.__table__.insert().returning(Topic.__table__.c.id)
TOPIC = {"id": 1, "title": "Greenlets", "reads": 1, "code": "a"}
OTHER = {"id": 2, "title": "Other", "reads": 2, "code": "b"}


def failure(one: One, *statements: tuple[Any, dict[str, Any]]) -> Any:
    """Return the error that the last of the statements raises, with `rows` as well as with `db.session`."""
    statement, values = statements[-1]

    def prepare() -> None:
        for each, its_values in statements[:-1]:
            rows(each, **its_values)

    one(prepare)
    with pytest.raises(IntegrityError) as by_rows:
        one(lambda: rows(statement, **values))
    with pytest.raises(IntegrityError) as by_session:
        one(lambda: db.session.execute(statement, values))
    assert violated_constraint(by_rows.value, Base.metadata) == violated_constraint(
        by_session.value, Base.metadata
    )
    return by_rows.value


@pytest.mark.parametrize(
    ("difference", "constraint"),
    [
        pytest.param({"title": "Greenlets"}, "uq_topics_title", id="a named constraint"),
        pytest.param({"code": "a"}, "uq_topics_code", id="a constraint named by the convention"),
        pytest.param({"id": 1}, "pk_topics", id="the primary key"),
        pytest.param({"title": ""}, "ck_topics_title", id="a check"),
        pytest.param({"title": None}, "topics_title_not_null", id="NOT NULL"),
    ],
)
def test_a_violated_constraint_is_known_by_its_name(
    one: One, difference: dict[str, Any], constraint: str
) -> None:
    error = failure(one, (ADD_TOPIC, TOPIC), (ADD_TOPIC, OTHER | difference))

    assert violated_constraint(error, Base.metadata) == constraint


def test_a_violated_index_of_columns_is_known_by_its_name(one: One) -> None:
    def add() -> None:
        db.session.execute(text("INSERT INTO markers VALUES (1, 2)"))
        db.session.execute(text("INSERT INTO markers VALUES (1, 2)"))

    with pytest.raises(IntegrityError) as error:
        one(add)

    assert violated_constraint(error.value, Base.metadata) == "ix_markers_low_high"


def test_a_violated_index_of_expressions_is_known_by_its_name(one: One) -> None:
    def add() -> None:
        db.session.execute(text("INSERT INTO labels VALUES ('Ada')"))
        db.session.execute(text("INSERT INTO labels VALUES ('ADA')"))

    with pytest.raises(IntegrityError) as error:
        one(add)

    assert violated_constraint(error.value, Base.metadata) == "uq_labels_text"


def test_a_violated_foreign_key_is_known_where_the_database_reports_it(one: One, backend: str) -> None:
    error = failure(one, (ADD, {"text": "lost", "topic_id": 999}))

    assert (
        violated_constraint(error, Base.metadata)
        == {"sqlite": "", "postgresql": "fk_notes_topic_id"}[backend]
    )


@pytest.mark.parametrize(
    "message",
    [
        "UNIQUE constraint failed: strangers.name",
        "UNIQUE constraint failed: topics.reads",
        "datatype mismatch",
    ],
)
def test_a_constraint_that_the_metadata_does_not_have_has_no_name(message: str) -> None:
    assert violated_constraint(IntegrityError("", None, sqlite3.IntegrityError(message)), Base.metadata) == ""


def test_a_constraint_without_a_name_has_none() -> None:
    metadata = MetaData()
    Table("plain", metadata, Column("a", Integer), Column("b", Integer), UniqueConstraint("a", "b"))
    error = IntegrityError("", None, sqlite3.IntegrityError("UNIQUE constraint failed: plain.a, plain.b"))

    assert violated_constraint(error, metadata) == ""


@pytest.mark.parametrize(
    ("statement", "undefined"),
    [
        ("SELECT * FROM absent", True),
        ("SELECT absent FROM topics", True),
        ("INSERT INTO topics (absent) VALUES (1)", True),
        ("SELEC 1", False),
        ("INSERT INTO topics (id) VALUES (1)", False),
    ],
)
def test_a_missing_table_or_column_is_undefined(one: One, statement: str, *, undefined: bool) -> None:
    with pytest.raises(DBAPIError) as error:
        one(lambda: db.session.execute(text(statement)))

    assert is_missing_schema_object(error.value) is undefined
    assert not is_unavailable(error.value)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    """Return an error with SQLite's code."""
    error = sqlite3.OperationalError("a message")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        (OperationalError("", None, psycopg2.OperationalError("connection refused")), True),
        (OperationalError("", None, sqlite_error(sqlite3.SQLITE_BUSY)), True),
        (OperationalError("", None, sqlite_error(sqlite3.SQLITE_CANTOPEN)), True),
        (OperationalError("", None, sqlite_error(sqlite3.SQLITE_ERROR)), False),
        (InterfaceError("", None, psycopg2.InterfaceError("connection already closed")), True),
        (ProgrammingError("", None, psycopg2.ProgrammingError("syntax error")), False),
        (ProgrammingError("", None, psycopg2.ProgrammingError("lost"), connection_invalidated=True), True),
        (IntegrityError("", None, psycopg2.IntegrityError("duplicate")), False),
        (PoolTimeout("no connection is free"), True),
        (TimeoutError(), True),
        (ValueError(), False),
    ],
)
def test_a_database_that_may_answer_later_is_unavailable(error: Exception, *, unavailable: bool) -> None:
    assert is_unavailable(error) is unavailable
