"""The orders in which users are listed: by id, by date, and by the text that begins with a prefix."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, String, bindparam, func, or_, select, true, type_coerce

from users_api.database import Sort, ascii_lower, db, merge, select_page
from users_api.models import LARGEST_ID, User


def _beginning(text: Any, prefix: Any) -> Any:
    return func.substr(text, 1, func.length(prefix))


users: Final = User.__table__
PREFIX: Final = bindparam("prefix", type_=String)
Q: Final = bindparam("q", type_=String)
CREATION: Final = Sort(users, [users.c.active], users.c.created_date)
USERNAMES: Final = Sort(users, [users.c.active], ascii_lower(users.c.username))
LOWER_EMAIL: Final = func.lower(users.c.email)
COMMON_PREFIX: Final = func.users_common_prefix(users.c.username, users.c.email)
EMAILS: Final = Sort(users, [users.c.active, COMMON_PREFIX], LOWER_EMAIL)
EMAILS_IN_SQLITE: Final = Sort(users, [], LOWER_EMAIL)


CONDITIONS: Final[Mapping[str, ColumnElement[bool]]] = MappingProxyType(
    {each.name: each == bindparam(each.name, type_=each.type) for each in users.c}
    | {
        "email": func.lower(users.c.email) == bindparam("email"),
        "q": or_(*(_beginning(each, Q) == Q for each in (USERNAMES.expression, LOWER_EMAIL))),
        "created_after": users.c.created_date >= bindparam("created_after"),
        "created_before": users.c.created_date < bindparam("created_before"),
    }
)
"""The filters of a list with an email."""


class Place(NamedTuple):
    """A place in an order: a user's id, and the value before it in an order by something else."""

    id: int
    sort: str | datetime | None = None


class IdOrder(NamedTuple):
    """The users whose columns have the values of the filters, by id.

    The statement returns the first `more` users from a place in one direction.
    """

    filters: Mapping[str, Any]
    is_descending: bool

    def statement(self, *, descending: bool) -> Select[Any]:
        """Return the statement for these filters."""
        return _id_statement(db.engine.dialect.name, *self.filters, descending=descending)

    def values(self, place: Place | None, *, descending: bool) -> dict[str, Any]:
        """Return the filters and the first id."""
        first = LARGEST_ID if descending else 0
        return {"start": place.id if place else first, **self.filters}

    def place(self, user: Any) -> Place:
        """Return the id."""
        return Place(user.id)


class SortedOrder(NamedTuple):
    """The users whose sort value is between `first` and `last`, by this value and then by id.

    `filters` are those by `active`. The value is the date without a prefix, and with one the username, or the
    email if only that begins with it, ignoring the case of ASCII letters.
    """

    filters: Mapping[str, Any]
    is_descending: bool
    first: str | datetime
    last: str | datetime
    prefix: str | None = None

    def statement(self, *, descending: bool) -> Select[Any]:
        """Return the statement for these filters."""
        build = _creation_statement if self.prefix is None else _prefix_statement
        return build(db.engine.dialect.name, *self.filters, descending=descending)

    def values(self, place: Place | None, *, descending: bool) -> dict[str, Any]:
        """Return the filters, and the first and the last place."""
        ends = (self.last, self.first) if descending else (self.first, self.last)
        start = place or Place(LARGEST_ID if descending else 0, ends[0])
        values = {"place": start.sort, "start": start.id, "end": ends[1], **self.filters}
        return values if self.prefix is None else values | {"prefix": self.prefix}

    def place(self, user: Any) -> Place:
        """Return the id and the sort value."""
        return Place(user.id, user.sort)


Order = IdOrder | SortedOrder


@cache
def _id_statement(dialect: str, *filters: str, descending: bool) -> Select[Any]:
    """Return the statement, cached because building it is expensive.

    An email belongs to one user, so every planner looks that user up and then checks the other filters.
    """
    if "email" not in filters:
        return select_page(users, filters, dialect, descending=descending)
    key = users.c.id
    start = bindparam("start", type_=key.type)
    conditions = (CONDITIONS[name] for name in filters)
    rows = select(users).where(*conditions, key <= start if descending else key >= start)
    return rows.order_by(key.desc() if descending else key).limit(bindparam("more"))


@cache
def _creation_statement(dialect: str, *filters: str, descending: bool) -> Select[Any]:
    ranges = CREATION.ranges(filters, dialect, descending=descending)
    return merge(users, ranges, descending=descending)


@cache
def _prefix_statement(dialect: str, *filters: str, descending: bool) -> Select[Any]:
    """Return the statement for the users whose username begins with the prefix, or else their email."""
    emails = _emails_in_sqlite if dialect == "sqlite" else _emails
    ranges = USERNAMES.ranges(filters, dialect, descending=descending)
    return merge(users, [*ranges, *emails(filters, descending=descending)], descending=descending)


def _emails(filters: tuple[str, ...], *, descending: bool) -> list[Select[Any]]:
    """Return the rows whose email begins with the prefix, but not their username, for PostgreSQL.

    That are those whose username and email differ within the prefix: a range of the index for each length
    shorter than the prefix.
    """
    series = func.generate_series(0, func.length(PREFIX) - 1).table_valued("shared").render_derived()
    ranges = [
        part.lateral()
        for values in USERNAMES.choices(filters)
        for part in EMAILS.range([*values, series.c.shared], descending=descending)
    ]
    return [select(each).select_from(series.join(each, true())) for each in ranges]


def _emails_in_sqlite(filters: tuple[str, ...], *, descending: bool) -> list[Select[Any]]:
    """Return the same for SQLite, which also reads those whose username begins with the prefix.

    An expression hides the filters from its planner, which would prefer their index.
    """
    equal = (type_coerce(users.c[name], Integer) + 0 == bindparam(name) for name in filters)
    conditions = [_beginning(USERNAMES.expression, PREFIX) != PREFIX, *equal]
    return [part.where(*conditions) for part in EMAILS_IN_SQLITE.equal([], descending=descending)]
