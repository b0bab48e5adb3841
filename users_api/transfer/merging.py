"""What a batch changes with `--on-conflict update`, as if its lines were stored one after the other."""

from collections.abc import Iterable, Iterator

from users_api.engine.failures import FieldError
from users_api.errors import EmailTaken
from users_api.transfer.rules import Line, Rejection

EMAIL_TAKEN = FieldError("email", EmailTaken.message)


class Merge:
    """The users to add and to change, by id, each in its final state.

    A line with an id is about that user, one without about the user with that email, or else a new one.
    """

    def __init__(self, stored: Iterable[tuple[int, str]], new_ids: Iterator[int]) -> None:
        """Store id and lowercase email of the users that the lines may be about."""
        self._emails = dict(stored)
        self._owners = {email: id_ for id_, email in self._emails.items()}
        self._first_owners = dict(self._owners)
        self._new_ids = new_ids
        self.additions: dict[int, Line] = {}
        self.changes: dict[int, Line] = {}
        self.rejections: list[Rejection] = []

    def take(self, line: Line) -> None:
        """Add the line, or reject it because its email belongs to a user with another id than it gives."""
        owner = self._owners.get(line.email.lower())
        if line.id is not None and owner is not None and owner != line.id:
            self.rejections.append(Rejection(line.number, line.raw, [EMAIL_TAKEN]))
        else:
            self._put(line.id or owner or next(self._new_ids), line)

    def moved(self) -> set[int]:
        """Return the users whose emails others take: the database compares them after each row."""
        final = [*self.additions.values(), *self.changes.values()]
        owners = ((self._first_owners.get(line.email.lower()), line.id) for line in final)
        return {former for former, new in owners if former is not None and former != new}

    def _put(self, id_: int, line: Line) -> None:
        is_new = id_ not in self._emails
        if not is_new:
            del self._owners[self._emails[id_]]
        self._emails[id_] = email = line.email.lower()
        self._owners[email] = id_
        kind = self.additions if is_new or id_ in self.additions else self.changes
        kind[id_] = _merged(kind.get(id_, line), line._replace(id=id_))


def _merged(earlier: Line, later: Line) -> Line:
    """Return the later line, with what only the earlier one gives."""
    return later._replace(
        active=earlier.active if later.active is None else later.active,
        created_date=later.created_date or earlier.created_date,
    )
