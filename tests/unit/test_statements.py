"""A prepared statement gives what SQLAlchemy itself gives."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask_migrate import upgrade
from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.exc import IntegrityError

from users_api.app import create_flask_app
from users_api.db import db
from users_api.models import User
from users_api.statements import prepared

users = User.__table__
ADD = insert(users).returning(users)
FIND = select(users).where(users.c.id == bindparam("user_id"))
ADA = {"username": "Ada", "email": "ada@example.org"}


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    """A connection to an empty database."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/statements.db")
    with create_flask_app().app_context():
        upgrade()
        with db.engine.connect() as opened:
            yield opened
        db.engine.dispose()


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
