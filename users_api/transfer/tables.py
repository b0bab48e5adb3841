"""The tables that an import writes: those of the service, or copies of them for a dry run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, MetaData, Table, func, insert, select, text

from users_api.models import Import, User
from users_api.transfer.conflicts import Users
from users_api.transfer.postgresql_users import PostgresqlUsers
from users_api.transfer.progress import ProgressTable
from users_api.transfer.sqlite_users import SqliteUsers

TEMPORARY_SCHEMAS: Final = {"postgresql": "pg_temp", "sqlite": "temp"}


class Tables(NamedTuple):
    """A connection with the statements for its two tables."""

    connection: Connection
    users: Users
    progress: ProgressTable


@contextmanager
def service_tables(engine: Engine) -> Iterator[Tables]:
    """Give the tables of the service."""
    with engine.connect() as connection:
        yield _tables(connection, User.__table__, Import.__table__)


@contextmanager
def trial_tables(engine: Engine) -> Iterator[Tables]:
    """Give temporary copies of the tables: the database drops them with the connection.

    Their names differ from those of the service's tables, and are qualified: no statement of a dry run can
    reach the latter.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                users, imports = (_copy(connection, model.__table__) for model in (User, Import))
                tables = _tables(connection, users, imports)
                largest = connection.scalar(select(func.max(users.c.id))) or 0
                tables.users.take_ids(connection, largest, 0)
            yield tables
        finally:
            connection.invalidate()


def _tables(connection: Connection, users: Table, imports: Table) -> Tables:
    is_sqlite = connection.dialect.name == "sqlite"
    statements: Users = SqliteUsers(users) if is_sqlite else PostgresqlUsers(users)
    return Tables(connection, statements, ProgressTable(imports))


def _copy(connection: Connection, original: Table) -> Table:
    """Return a temporary copy with the same constraints and rows; only unique indexes reject rows."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    copy = original.to_metadata(MetaData(), schema=TEMPORARY_SCHEMAS[dialect], name=f"trial_{original.name}")
    copy.indexes = {index for index in copy.indexes if index.unique}
    copy.create(connection, checkfirst=False)
    connection.execute(insert(copy).from_select(list(original.c), select(original)))
    return copy
