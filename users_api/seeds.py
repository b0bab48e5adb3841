"""Seed data: two example users, or any number of generated ones."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    Case,
    ColumnElement,
    Insert,
    Integer,
    String,
    bindparam,
    case,
    cast,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from users_api.database import db, transaction
from users_api.models import User

EXAMPLE_USERS: Final = (
    {"username": "michael", "email": "hermanmu@gmail.com"},
    {"username": "michaelherman", "email": "michael@mherman.org"},
)
BATCH_SIZE: Final = 10_000
INACTIVE_INTERVAL: Final = 10  # One user in this many is inactive.
FIRST_NAMES: Final = (
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Ken",
    "Linus",
)
LAST_NAMES: Final = (
    "Allen",
    "Dijkstra",
    "Hamilton",
    "Hopper",
    "Lamarr",
    "Liskov",
    "Lovelace",
    "Ritchie",
    "Turing",
)


def add_known_users() -> int:
    """Add the two example users whose emails do not exist yet; return how many were added."""
    dialect = {"postgresql": postgresql, "sqlite": sqlite}[db.engine.dialect.name]
    statement = dialect.insert(User).on_conflict_do_nothing().returning(User.id)
    with transaction() as connection:
        return len(connection.execute(statement.values(EXAMPLE_USERS)).all())


def add_known_users_to_empty_table() -> int:
    """Add the two example users if the table is empty; return how many were added."""
    with transaction() as connection:
        is_empty = connection.execute(select(User.id).limit(1)).first() is None
    return add_known_users() if is_empty else 0


def add_generated_users(count: int) -> Iterator[int]:
    """Add `count` users in batches of one transaction each; yield each batch's size after its commit.

    The database generates the rows, since sending them takes more than twice the time.
    """
    statement, run = _insert_generated(), secrets.token_hex(6)
    for first in range(0, count, BATCH_SIZE):
        last = min(first + BATCH_SIZE, count) - 1
        with transaction() as connection:
            connection.execute(statement, {"first": first, "last": last, "run": run})
        yield last - first + 1


def _insert_generated() -> Insert:
    """Return the statement that adds users numbered `first` to `last`; `run` makes their emails unique."""
    start = select(bindparam("first", type_=Integer).label("number")).cte("numbers", recursive=True)
    numbers = start.union_all(
        select(start.c.number + 1).where(start.c.number < bindparam("last", type_=Integer))
    )
    number = numbers.c.number
    first, last = _cycle(FIRST_NAMES, number), _cycle(LAST_NAMES, number)
    number_text = cast(number, String)
    email = func.lower(first + "." + last + ".") + bindparam("run", type_=String) + "." + number_text
    rows = select(first + " " + last, email + "@example.org", number % INACTIVE_INTERVAL != 0)
    return insert(User.__table__).from_select(["username", "email", "active"], rows)


def _cycle(names: Sequence[str], number: ColumnElement[int]) -> Case[Any]:
    return case(dict(enumerate(names)), value=number % len(names))
