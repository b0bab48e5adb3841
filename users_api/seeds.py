"""Users to begin with: two known ones, and made-up ones by the million."""

import random
import secrets
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite

from users_api.db import db, transaction
from users_api.models import User

KNOWN_USERS: Final = (
    {"username": "michael", "email": "hermanmu@gmail.com"},
    {"username": "michaelherman", "email": "michael@mherman.org"},
)
BATCH: Final = 10_000
FIRST_NAMES: Final = ("Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "Hedy", "Ken", "Linus", "Margaret", "Tim")
LAST_NAMES: Final = ("Allen", "Berners", "Dijkstra", "Hamilton", "Hopper", "Lamarr", "Liskov", "Lovelace", "Ritchie", "Turing")


def add_known_users() -> int:
    """Add those of the two users whose addresses are free; return how many."""
    dialect = {"postgresql": postgresql, "sqlite": sqlite}[db.engine.dialect.name]
    statement = dialect.insert(User).on_conflict_do_nothing().returning(User.id)
    with transaction() as connection:
        return len(connection.execute(statement.values(KNOWN_USERS)).all())


def add_made_up_users(count: int) -> Iterator[int]:
    """Add `count` users in batches, each its own transaction; yield each batch's size once it is stored."""
    run = secrets.token_hex(6)
    for start in range(0, count, BATCH):
        batch = [_made_up(run, number) for number in range(start, min(start + BATCH, count))]
        with transaction() as connection:
            connection.execute(insert(User), batch)
        yield len(batch)


def _made_up(run: str, number: int) -> dict[str, Any]:
    """Return a user whose address no other run and number has."""
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)  # noqa: S311 -- names need no secrecy.
    return {
        "username": f"{first} {last}",
        "email": f"{first}.{last}.{run}.{number}@example.org".lower(),
        "active": random.random() < 0.9,  # noqa: S311, PLR2004 -- one in ten is not.
    }
