"""What `--on-conflict` does with users whose id or email exists, in the database or in an earlier line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection

from users_api.transfer.merging import EMAIL_TAKEN, Merge
from users_api.transfer.rules import Line, Rejection


class Conflict(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """A line has the id or the email of a user."""

    def __init__(self, number: int, message: str) -> None:
        """Name the line."""
        super().__init__(message)
        self.number = number


class ConcurrentWrite(Exception):  # noqa: N818 -- as above.
    """Somebody added or removed a user in the meantime; the batch may be tried again."""


class Users(Protocol):
    """A database's table of users."""

    def store(self, connection: Connection, additions: Sequence[Line], changes: Sequence[Line] = ()) -> int:
        """Change users, then add others in order; return how many had neither the id nor the email of one."""

    def matching(
        self, connection: Connection, ids: Iterable[int], emails: Iterable[str]
    ) -> list[tuple[int, str]]:
        """Return id and lowercase email of the users with one of these, and lock them."""

    def take_ids(self, connection: Connection, largest: int, count: int) -> list[int]:
        """Return so many new ids; neither these nor later ones are up to `largest`."""

    def park(self, connection: Connection, ids: Iterable[int]) -> None:
        """Give these users emails that no valid user has, so that others can take theirs."""


class Outcome(NamedTuple):
    """What was done with the lines of a batch."""

    added: int
    updated: int
    skipped: int
    rejections: Sequence[Rejection]


def skip(connection: Connection, users: Users, lines: Sequence[Line]) -> Outcome:
    """Add the users that do not exist; of several lines about one user the first counts."""
    added = users.store(connection, list(_numbered(connection, users, lines)))
    return Outcome(added, 0, len(lines) - added, ())


def fail(connection: Connection, users: Users, lines: Sequence[Line]) -> Outcome:
    """Add the users.

    Raises:
        Conflict: one exists; no line of the batch is stored.
    """
    attempt = connection.begin_nested()
    added = users.store(connection, list(_numbered(connection, users, lines)))
    if added == len(lines):
        attempt.commit()
        return Outcome(added, 0, 0, ())
    attempt.rollback()
    raise first_conflict(lines, _matching(connection, users, lines))


def update(connection: Connection, users: Users, lines: Sequence[Line]) -> Outcome:
    """Add the users that do not exist, and change the others.

    Raises:
        ConcurrentWrite: somebody added one of them in the meantime.
    """
    new_ids = _new_ids(connection, users, lines)
    merge = Merge(_matching(connection, users, lines), new_ids)
    for line in lines:
        merge.take(line)
    if moved := merge.moved():
        users.park(connection, moved)
    added = users.store(connection, list(merge.additions.values()), list(merge.changes.values()))
    if added < len(merge.additions):
        raise ConcurrentWrite
    return Outcome(added, len(lines) - added - len(merge.rejections), 0, merge.rejections)


Policy = Callable[[Connection, Users, Sequence[Line]], Outcome]
POLICIES: Final[Mapping[str, Policy]] = {"fail": fail, "skip": skip, "update": update}


def _new_ids(connection: Connection, users: Users, lines: Sequence[Line]) -> Iterator[int]:
    """Return an id for each line that has none, above all ids of the batch."""
    ids = [line.id for line in lines if line.id is not None]
    return iter(users.take_ids(connection, max(ids, default=0), len(lines) - len(ids)))


def _numbered(connection: Connection, users: Users, lines: Sequence[Line]) -> Iterator[Line]:
    new_ids = _new_ids(connection, users, lines)
    for line in lines:
        yield line if line.id is not None else line._replace(id=next(new_ids))


def _matching(connection: Connection, users: Users, lines: Sequence[Line]) -> list[tuple[int, str]]:
    ids = {line.id for line in lines if line.id is not None}
    return users.matching(connection, ids, {line.email.lower() for line in lines})


def first_conflict(lines: Sequence[Line], stored: Sequence[tuple[int, str]]) -> Conflict | ConcurrentWrite:
    """Return the first conflict with these users or earlier lines; if there is none, it has just ended."""
    ids: set[int | None] = {id_ for id_, _ in stored}
    emails = {email for _, email in stored}
    for line in lines:
        if line.id is not None and line.id in ids:
            return Conflict(line.number, f"id: a user with the id {line.id} already exists.")
        if line.email.lower() in emails:
            return Conflict(line.number, f"email: {EMAIL_TAKEN.message}")
        ids.add(line.id)
        emails.add(line.email.lower())
    return ConcurrentWrite()
