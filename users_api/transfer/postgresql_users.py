"""PostgreSQL's table of users: COPY fills it, or a temporary table if some users may exist."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Subquery,
    Table,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import REGCLASS, insert
from sqlalchemy.exc import IntegrityError

from users_api.database import copy_in
from users_api.models import date_time
from users_api.transfer.copy_format import NULL, copied_values
from users_api.transfer.rules import Line

staged: Final = Table(
    "staged_users",
    MetaData(),
    Column("number", BigInteger),
    Column("is_new", Boolean),
    Column("id", BigInteger),
    Column("username", String),
    Column("email", String(collation="C")),
    Column("active", Boolean),
    Column("created_date", date_time()),
    Column("version", Integer),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
COLUMNS: Final = ("id", "username", "email", "active", "created_date", "version")
COPY: Final = f"COPY staged_users (number, is_new, {', '.join(COLUMNS)}) FROM STDIN"
LOCK_OTHER_IMPORTS: Final = text("SELECT pg_advisory_xact_lock(hashtext('users-api import'))")
MOST_STEPS: Final = 100_000


class PostgresqlUsers:
    """The statements for a table of users, all to be executed in one transaction for each batch."""

    def __init__(self, users: Table) -> None:
        """Build the statements."""
        self._users = users
        values = {
            "id": staged.c.id,
            "username": staged.c.username,
            "email": staged.c.email,
            "active": func.coalesce(staged.c.active, True),
            "created_date": func.coalesce(staged.c.created_date, func.now()),
            "version": staged.c.version,
        }
        new = select(*values.values()).where(staged.c.is_new).order_by(staged.c.number)
        self._add = insert(users).from_select(list(values), new).on_conflict_do_nothing()
        self._change = (
            update(users)
            .values(
                username=staged.c.username,
                email=staged.c.email,
                active=func.coalesce(staged.c.active, users.c.active),
                created_date=func.coalesce(staged.c.created_date, users.c.created_date),
                version=staged.c.version.bitwise_or(1) - users.c.version % 2,
            )
            .where(staged.c.id == users.c.id, ~staged.c.is_new)
        )
        self._copy = f"COPY {users.fullname} ({', '.join(COLUMNS)}) FROM STDIN"
        self._is_new_likely = True
        # A subquery is executed once, and not for each id.
        self._sequence = select(
            cast(func.pg_get_serial_sequence(users.fullname, "id"), REGCLASS)
        ).scalar_subquery()

    def store(self, connection: Connection, additions: Sequence[Line], changes: Sequence[Line] = ()) -> int:
        """Change users, then add others in order; return how many had neither the id nor the email of one."""
        if not changes and self._is_new_likely and self._add_new(connection, additions):
            return len(additions)
        rows = [f"{line.number}\tt\t{_row(line)}" for line in additions]
        rows += [f"{line.number}\tf\t{_row(line)}" for line in changes]
        staged.create(connection, checkfirst=False)
        copy_in(connection, COPY, "".join(rows).encode())
        if changes:
            connection.execute(self._change)
        added = connection.execute(self._add).rowcount
        self._is_new_likely = added == len(additions)  # The next batch will probably be like this one.
        return added

    def _add_new(self, connection: Connection, additions: Iterable[Line]) -> bool:
        """Add users without the temporary table, which takes a quarter more; add none if one of them exists.

        Return whether they were added.
        """
        now = connection.scalar(select(cast(func.now(), String)))
        rows = [_row(line, active="t", created=str(now)) for line in additions]
        attempt = connection.begin_nested()
        try:
            copy_in(connection, self._copy, "".join(rows).encode())
        except IntegrityError:
            attempt.rollback()
            return False
        attempt.commit()
        return True

    def matching(
        self, connection: Connection, ids: Iterable[int], emails: Iterable[str]
    ) -> list[tuple[int, str]]:
        """Return id and lowercase email of the users with one of these, and lock them."""
        email = func.lower(self._users.c.email)
        known = or_(
            self._users.c.id == any_(bindparam("ids", list(ids), ARRAY(BigInteger))),
            email == any_(bindparam("emails", list(emails), ARRAY(String))),
        )
        rows = select(self._users.c.id, email).where(known).order_by(self._users.c.id).with_for_update()
        return [(row[0], row[1]) for row in connection.execute(rows)]

    def take_ids(self, connection: Connection, largest: int, count: int) -> list[int]:
        """Return so many new ids; neither these nor later ones of POST are up to `largest`.

        Concurrent requests take ids at any moment, so each step draws one as they do. Only a gap that they
        cannot fill within a moment is skipped by setting the sequence, in one import at a time.
        """
        if self._gap(connection, largest) > MOST_STEPS:
            connection.execute(LOCK_OTHER_IMPORTS)
            is_behind = func.coalesce(func.pg_sequence_last_value(self._sequence), 0) < largest
            connection.execute(select(func.setval(self._sequence, largest)).where(is_behind))
        if gap := self._gap(connection, largest):
            connection.execute(select(func.max(self._drawn(gap).c.id)))
        return list(connection.scalars(select(self._drawn(count)))) if count else []

    def park(self, connection: Connection, ids: Iterable[int]) -> None:
        """Give these users emails that no valid user has, so that others can take theirs."""
        users = self._users
        connection.execute(update(users).where(users.c.id.in_(ids)).values(email=cast(users.c.id, String)))

    def _gap(self, connection: Connection, largest: int) -> int:
        last = connection.scalar(select(func.pg_sequence_last_value(self._sequence)))
        return max(0, largest - (last or 0))

    def _drawn(self, count: int) -> Subquery:
        """Return a subquery of new ids."""
        series = func.generate_series(1, count)
        return select(func.nextval(self._sequence).label("id")).select_from(series).subquery()


def _row(line: Line, *, active: str = NULL, created: str = NULL) -> str:
    """Return the values of COLUMNS as a row of COPY; the defaults are for a line without."""
    values = line.copied or copied_values(
        line.username,
        line.email,
        active=active if line.active is None else line.active,
        created=line.created_date or created,
    )
    return f"{line.id}\t{values}"
