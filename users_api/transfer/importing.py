"""An import: reads batches and stores each in one transaction, while the next one is being read.

The transaction also records the place up to which the source is stored. A process that is killed has either
committed a batch with its place, or neither; so the next process continues exactly there.
"""

import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError

from users_api.models import utc_now
from users_api.transfer.batches import Batch
from users_api.transfer.conflicts import ConcurrentWrite, Outcome, Policy
from users_api.transfer.progress import Progress
from users_api.transfer.rejection_file import RejectionFile
from users_api.transfer.rules import Rejection
from users_api.transfer.tables import Tables

ATTEMPTS: Final = 10
SWITCH_SECONDS: Final = 0.0005
DEADLOCK: Final = "40P01"  # PostgreSQL's deadlock_detected; 23505 is unique_violation.
UNIQUE_VIOLATION: Final = "23505"

NOTHING: Final = Outcome(0, 0, 0, ())


class Stored(NamedTuple):
    """The bytes, the valid lines and the rejections of a batch that was committed."""

    size: int
    lines: int
    rejections: Sequence[Rejection]


class ImportRun:
    """One process's part of an import; `progress` is what the database has."""

    def __init__(
        self, tables: Tables, policy: Policy, progress: Progress, rejection_file: RejectionFile | None
    ) -> None:
        """Continue from this progress."""
        self._tables, self._policy = tables, policy
        self._rejection_file = rejection_file
        self.progress = progress

    def store(self, batches: Iterable[Batch]) -> Generator[Stored]:
        """Store the batches, and yield what became of each after its commit.

        When it ends early, for whatever reason, the batch that is being stored is still completed.
        """
        with _short_waits_for_the_interpreter(), ThreadPoolExecutor(max_workers=1) as database:
            waiting: deque[Future[Stored]] = deque()
            for batch in batches:
                if waiting:
                    yield waiting.popleft().result()
                waiting.append(database.submit(self._store, batch))
            for last in waiting:
                yield last.result()

    def _store(self, batch: Batch, attempts: int = ATTEMPTS) -> Stored:
        """Store the batch; try again if it meets another writer."""
        try:
            return self._attempt(batch)
        except (ConcurrentWrite, DBAPIError) as error:
            if attempts == 1 or not _meets_writer(error):
                raise
        return self._store(batch, attempts - 1)

    def _attempt(self, batch: Batch) -> Stored:
        connection, users, table = self._tables
        old = self.progress
        with connection.begin():
            outcome = self._policy(connection, users, batch.lines) if batch.lines else NOTHING
            rejections = sorted([*batch.rejections, *outcome.rejections], key=attrgetter("number"))
            changes = self._changes(outcome, rejections)
            ends = {**batch.end._asdict(), "finished_date": utc_now() if batch.is_last else None}
            progress = table.advance(connection, old, changes | ends)
        self.progress = progress
        return Stored(progress.position - old.position, len(batch.lines), rejections)

    def _changes(self, outcome: Outcome, rejections: Sequence[Rejection]) -> dict[str, Any]:
        old = self.progress
        length = old.rejected_bytes
        if self._rejection_file:
            length = self._rejection_file.write(rejections, length or 0)
        return {
            "added": old.added + outcome.added,
            "updated": old.updated + outcome.updated,
            "skipped": old.skipped + outcome.skipped,
            "rejected": old.rejected + len(rejections),
            "rejected_bytes": length,
        }


@contextmanager
def _short_waits_for_the_interpreter() -> Iterator[None]:
    """Let the thread that talks to the database run soon after each response.

    By default it waits up to 5 ms for the thread that reads, ten times for each batch: a seventh of the time.
    """
    default = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(default)


def _meets_writer(error: Exception) -> bool:
    """Return whether the batch failed only because of what others wrote at the same time."""
    state = getattr(getattr(error, "orig", None), "pgcode", None)
    return isinstance(error, ConcurrentWrite) or state in {DEADLOCK, UNIQUE_VIOLATION}
