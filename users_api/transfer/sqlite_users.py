"""SQLite's table of users, with the same interface as PostgreSQL's."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    String,
    Table,
    bindparam,
    cast,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from users_api.models import date_time, random_version, utc_now
from users_api.transfer.rules import Line


class SqliteUsers:
    """The statements for a table of users, all to be executed in one transaction for each batch."""

    def __init__(self, users: Table) -> None:
        """Build the statements."""
        self._users = users
        self._add = insert(users).on_conflict_do_nothing()
        self._change = (
            update(users)
            .where(users.c.id == bindparam("own_id"))
            .values(
                username=bindparam("new_username"),
                email=bindparam("new_email"),
                active=func.coalesce(bindparam("new_active"), users.c.active),
                created_date=func.coalesce(bindparam("new_date", type_=date_time()), users.c.created_date),
                version=bindparam("odd_version") - users.c.version % 2,
            )
        )

    def store(self, connection: Connection, additions: Sequence[Line], changes: Sequence[Line] = ()) -> int:
        """Change users, then add others in order; return how many had neither the id nor the email of one."""
        if changes:
            connection.execute(self._change, [_change(line) for line in changes])
        return connection.execute(self._add, [_row(line) for line in additions]).rowcount if additions else 0

    def matching(
        self, connection: Connection, ids: Iterable[int], emails: Iterable[str]
    ) -> list[tuple[int, str]]:
        """Return id and lowercase email of the users with one of these; the transaction locks all."""
        email = func.lower(self._users.c.email)
        known = or_(self._users.c.id.in_(_each(ids)), email.in_(_each(emails)))
        return [(row[0], row[1]) for row in connection.execute(select(self._users.c.id, email).where(known))]

    def take_ids(self, connection: Connection, largest: int, count: int) -> list[int]:
        """Return so many new ids; SQLite itself gives later users ids above all that it has stored."""
        schema = f"{self._users.schema}." if self._users.schema else ""
        found = text(f"SELECT seq FROM {schema}sqlite_sequence WHERE name = :name")  # noqa: S608 -- a constant.
        last = connection.scalar(found, {"name": self._users.name}) or 0
        first = max(last, largest) + 1
        return list(range(first, first + count))

    def park(self, connection: Connection, ids: Iterable[int]) -> None:
        """Give these users emails that no valid user has, so that others can take theirs."""
        users = self._users
        connection.execute(
            update(users).where(users.c.id.in_(_each(ids))).values(email=cast(users.c.id, String))
        )


def _each(values: Iterable[Any]) -> Any:
    """Return a subquery of the values, which would be too many parameters."""
    each = func.json_each(json.dumps(list(values))).table_valued("value")
    return select(each.c.value)


def _row(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "username": line.username,
        "email": line.email,
        "active": line.active is not False,
        "created_date": line.created_date or utc_now(),
        "version": random_version(),
    }


def _change(line: Line) -> dict[str, Any]:
    return {
        "own_id": line.id,
        "new_username": line.username,
        "new_email": line.email,
        "new_active": line.active,
        "new_date": line.created_date,
        "odd_version": random_version() | 1,
    }
