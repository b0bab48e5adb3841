"""A prepared statement gives what SQLAlchemy itself gives."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, bindparam, create_engine, insert, select
from sqlalchemy.exc import IntegrityError

from users_api.db import Base
from users_api.models import User
from users_api.statements import prepared

users = User.__table__
ADD = insert(users).returning(users)
FIND = select(users).where(users.c.id == bindparam("user_id"))
ADA = {"username": "Ada", "email": "ada@example.org"}


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A connection to an empty database in memory."""
    engine = create_engine("sqlite://", hide_parameters=True)
    Base.metadata.create_all(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_rows_are_sqlalchemys(connection: Connection) -> None:
    (added,) = prepared(ADD, connection.dialect, tuple(ADA)).run(connection, ADA)
    (found,) = prepared(FIND, connection.dialect, ("user_id",)).run(connection, {"user_id": added.id})

    expected = connection.execute(FIND, {"user_id": added.id}).one()

    assert found == added == tuple(expected)
    assert found._asdict() == expected._asdict()


def test_failures_are_sqlalchemys(connection: Connection) -> None:
    statement = prepared(ADD, connection.dialect, tuple(ADA))
    statement.run(connection, ADA)

    with pytest.raises(IntegrityError, match="uq_users_email") as failure:
        statement.run(connection, ADA)

    assert "ada@example.org" not in str(failure.value)
