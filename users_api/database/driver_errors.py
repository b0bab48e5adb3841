"""What a driver's error means: PostgreSQL reports it in fields, SQLite only in its message."""

import re
from sqlite3 import SQLITE_ERROR
from typing import Any, Final

from sqlalchemy import Index, MetaData, Table
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.schema import PrimaryKeyConstraint, UniqueConstraint

from users_api.database.handle import Base

UNDEFINED_SQLSTATES: Final = {"42P01", "42703"}  # PostgreSQL's undefined_table and undefined_column.
SQLITE_UNDEFINED_MESSAGE: Final = re.compile("no such (table|column): |table .* has no column named ")
EXHAUSTED_SQLSTATE: Final = "2200H"  # PostgreSQL's sequence_generator_limit_exceeded.
NOT_NULL_SQLSTATE: Final = "23502"
SQLITE_VIOLATION_MESSAGE: Final = re.compile(
    "(UNIQUE|CHECK|NOT NULL) constraint failed: (?:index '(.*)'|(.*))", re.DOTALL
)
UNAVAILABLE_ERRORS: Final = (OperationalError, InterfaceError, PoolTimeout, TimeoutError)


def violated_constraint(error: IntegrityError, metadata: MetaData = Base.metadata) -> str:
    """Return the name of the violated constraint or unique index, the same on both databases.

    A NOT NULL constraint has PostgreSQL 18's name, `<table>_<column>_not_null`. The name is empty where the
    database does not report one: SQLite for a foreign key.
    """
    report: Any = getattr(error.orig, "diag", None)
    if report is None:
        return _sqlite_constraint(str(error.orig), metadata)
    if error.orig.pgcode == NOT_NULL_SQLSTATE:  # type: ignore[union-attr]  # psycopg2's errors have both.
        return f"{report.table_name}_{report.column_name}_not_null"
    return report.constraint_name or ""


def is_missing_schema_object(error: DBAPIError) -> bool:
    """Return whether a table or column does not exist, which means that a migration is missing."""
    cause = error.orig
    return (
        getattr(cause, "pgcode", None) in UNDEFINED_SQLSTATES
        or SQLITE_UNDEFINED_MESSAGE.match(str(cause)) is not None
    )


def is_sequence_exhausted(error: DBAPIError) -> bool:
    """Return whether a sequence has no further number; SQLite has no sequences but the checks of a table."""
    return getattr(error.orig, "pgcode", None) == EXHAUSTED_SQLSTATE


def is_unavailable(error: BaseException) -> bool:
    """Return whether the statement may succeed later: the database is down, overloaded or too slow."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    wrong_statement = getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == SQLITE_ERROR
    return isinstance(error, UNAVAILABLE_ERRORS) and not wrong_statement


def _sqlite_constraint(message: str, metadata: MetaData) -> str:
    found = SQLITE_VIOLATION_MESSAGE.fullmatch(message)
    if found is None:
        return ""
    kind, index, what = found.groups()
    if kind == "UNIQUE":
        return index or _unique_constraint_name(what, metadata)
    return what if kind == "CHECK" else f"{what.replace('.', '_')}_not_null"


def _unique_constraint_name(columns: str, metadata: MetaData) -> str:
    """Return the name of the unique constraint or index on columns that SQLite lists as `table.column`."""
    name = columns.partition(".")[0]
    wanted = [column.removeprefix(f"{name}.") for column in columns.split(", ")]
    for table in metadata.tables.values():
        if table.name == name:
            for candidate in _unique_constraints(table):
                if [column.name for column in candidate.columns] == wanted:
                    return str(candidate.name or "")
    return ""


def _unique_constraints(table: Table) -> list[Any]:
    unique = (UniqueConstraint, PrimaryKeyConstraint)
    constraints = [each for each in table.constraints if isinstance(each, unique)]
    return constraints + [index for index in table.indexes if isinstance(index, Index) and index.unique]
