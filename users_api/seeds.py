"""Users to begin with: two known ones, and made-up ones by the million."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Case, ColumnElement, Insert, Integer, String, bindparam, case, cast, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from users_api.db import db, transaction
from users_api.models import User

KNOWN_USERS: Final = (
    {"username": "michael", "email": "hermanmu@gmail.com"},
    {"username": "michaelherman", "email": "michael@mherman.org"},
)
BATCH: Final = 10_000
ACTIVE: Final = 10  # One in so many is not.
FIRST_NAMES: Final = ("Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "Hedy", "Ken", "Linus", "Margaret")
LAST_NAMES: Final = ("Allen", "Berners", "Dijkstra", "Hamilton", "Hopper", "Lamarr", "Liskov", "Lovelace", "Ritchie", "Turing")


def add_known_users() -> int:
    """Add those of the two users whose addresses are free; return how many."""
    dialect = {"postgresql": postgresql, "sqlite": sqlite}[db.engine.dialect.name]
    statement = dialect.insert(User).on_conflict_do_nothing().returning(User.id)
    with transaction() as connection:
        return len(connection.execute(statement.values(KNOWN_USERS)).all())


def add_made_up_users(count: int) -> Iterator[int]:
    """Add `count` users in batches, each its own transaction; yield each batch's size once it is stored.

    The database makes them up itself: rows sent from here take more than twice the time.
    """
    statement, run = _made_up(), secrets.token_hex(6)
    for first in range(0, count, BATCH):
        last = min(first + BATCH, count) - 1
        with transaction() as connection:
            connection.execute(statement, {"first": first, "last": last, "run": run})
        yield last - first + 1


def _made_up() -> Insert:
    """Return the statement that adds the users with the numbers `first` to `last`, whose addresses no other `run` has."""
    start = select(bindparam("first", type_=Integer).label("number")).cte("numbers", recursive=True)
    numbers = start.union_all(select(start.c.number + 1).where(start.c.number < bindparam("last", type_=Integer)))
    number = numbers.c.number
    first, last = _pick(FIRST_NAMES, number), _pick(LAST_NAMES, number)
    address = func.lower(first) + "." + func.lower(last) + "." + bindparam("run", type_=String) + "." + cast(number, String)
    rows = select(first + " " + last, address + "@example.org", number % ACTIVE != 0)
    return insert(User.__table__).from_select(["username", "email", "active"], rows)


def _pick(names: Sequence[str], number: ColumnElement[int]) -> Case[Any]:
    return case(dict(enumerate(names)), value=number % len(names))
