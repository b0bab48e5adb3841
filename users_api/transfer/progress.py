"""How far an import has come; the table `imports` has it, written in the transaction of each batch."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from users_api.transfer.source import Mark


class AnotherImportRuns(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """Another process has continued this import in the meantime."""


class Progress(NamedTuple):
    """The columns of the table `imports`; `rejected_bytes` is None without a file of rejected records."""

    id: str
    position: int
    digest: str
    lines: int
    added: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    rejected_bytes: int | None = None
    finished_date: datetime | None = None

    @property
    def mark(self) -> Mark:
        """The place in the source up to which everything is stored."""
        return Mark(self.position, self.lines, self.digest)


class ProgressTable:
    """The recorded imports."""

    def __init__(self, imports: Table) -> None:
        """Build the statements."""
        self._table = imports

    def find(self, connection: Connection, id_: str) -> Progress | None:
        """Return the progress of the import of this source, None if it is unknown."""
        columns = (self._table.c[name] for name in Progress._fields)
        found = connection.execute(select(*columns).where(self._table.c.id == id_)).first()
        return Progress(*found) if found else None

    def begin(self, connection: Connection, progress: Progress) -> None:
        """Record a new import, in place of an earlier one of the same source.

        Raises:
            AnotherImportRuns: another process does the same at this moment.
        """
        connection.execute(delete(self._table).where(self._table.c.id == progress.id))
        try:
            connection.execute(insert(self._table).values(progress._asdict()))
        except IntegrityError:
            raise AnotherImportRuns from None

    def advance(self, connection: Connection, old: Progress, changes: Mapping[str, Any]) -> Progress:
        """Return the recorded progress with these changes.

        Raises:
            AnotherImportRuns: the record is not the old one any more.
        """
        table, new = self._table, old._replace(**changes)
        is_old = (table.c.id == old.id, table.c.position == old.position, table.c.finished_date.is_(None))
        done = connection.execute(update(table).where(*is_old).values(new._asdict()))
        if done.rowcount == 0:
            raise AnotherImportRuns
        return new
