"""A steady load during a fault, and the record of its writes."""

import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from threading import Event
from typing import Self

import psycopg2

from tests.resilience.callers import Answer, Token, Witness, Writer, is_acknowledged, is_served
from tests.resilience.write_log import Discrepancies, Stored, balance
from tests.support.waiting import until

WRITERS = 8
RECORD_CHANGES = """
    CREATE TABLE IF NOT EXISTS changes (user_id bigint NOT NULL);
    CREATE INDEX IF NOT EXISTS ix_changes_user_id ON changes (user_id);
    CREATE OR REPLACE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO changes VALUES (NEW.id); RETURN NULL; END';
    CREATE OR REPLACE TRIGGER record_change AFTER UPDATE ON users
        FOR EACH ROW EXECUTE FUNCTION record_change()
"""
STORED = """
    SELECT email, username, (SELECT count(*) FROM changes WHERE user_id = id) FROM users WHERE email LIKE %s
"""
ENOUGH = 5


class Load:
    """Writers that run inside the `with` block."""

    def __init__(self, name: str, port: int, url: str, token: Token | None = None) -> None:
        """Create writers for the service on this port; the name is part of their users' email addresses."""
        self.name, self.url = name, url
        self.over = Event()
        self.began = self.ended = 0.0
        self.fault_ended: float | None = None
        self.slowdown: float | None = None
        self.writers = [Writer(port, f"{name}.{number}", self.over, token) for number in range(WRITERS)]
        self.witness = Witness(port, self.over)

    def __enter__(self) -> Self:
        """Let the database count the changes of each user, start, and return when every writer is running."""
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(RECORD_CHANGES)
        self.began = time.monotonic()
        for thread in (*self.writers, self.witness):
            thread.start()
        try:
            self.go_on()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Let every writer finish its request, and raise any writer's error."""
        self.over.set()
        for thread in (*self.writers, self.witness):
            thread.join()
        self.ended = time.monotonic()
        for writer in self.writers:
            if writer.failure:
                raise writer.failure

    def go_on(self, *, until_seen: Callable[[Answer], bool] | None = None, writers: int = WRITERS) -> None:
        """Return when this many writers have further responses of a kind, by default acknowledged writes."""
        seen, before = until_seen or is_acknowledged, time.monotonic()

        def enough(writer: Writer) -> bool:
            return sum(answer.began > before and seen(answer) for answer in writer.answers[-200:]) >= ENOUGH

        until(lambda: self.failed() or sum(map(enough, self.writers)) >= writers)
        assert not self.failed()

    def fail(self, keep_broken: Callable[[], None] = lambda: None) -> None:
        """Return when every writer receives errors; `keep_broken` is called again and again until then."""
        until(
            lambda: (
                keep_broken()
                or self.failed()
                or all(writer.answers and not is_served(writer.answers[-1]) for writer in self.writers)
            )
        )

    def failed(self) -> bool:
        """Return whether a writer has failed."""
        return any(writer.failure for writer in self.writers)

    def recover(self) -> float:
        """Mark the end of the fault; return the seconds to the first acknowledged write, once all succeed."""
        self.fault_ended = time.monotonic()
        self.go_on()
        return (
            min(a.ended for a in self.answers if is_acknowledged(a) and a.began > self.fault_ended)
            - self.fault_ended
        )

    @property
    def answers(self) -> list[Answer]:
        """All responses so far, in the order of their completion."""
        return sorted(
            (answer for writer in self.writers for answer in writer.answers), key=lambda answer: answer.ended
        )

    def acknowledged(self) -> int:
        """Return the number of acknowledged writes."""
        return sum(map(is_acknowledged, self.answers))

    def longest_outage(self) -> float:
        """Return the longest time, in seconds, without an acknowledged write."""
        ends = [self.began, *(answer.ended for answer in self.answers if is_acknowledged(answer)), self.ended]
        return max(after - before for before, after in pairwise(ends))

    def balance(self) -> Discrepancies:
        """Compare the record with the database."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(STORED, [f"{self.name}.%"])
            stored = {email: Stored(*rest) for email, *rest in cursor}
        found = balance((entry for writer in self.writers for entry in writer.entries), stored)
        lost = [text for writer in self.writers for text in writer.lost]
        return Discrepancies(
            found.lost + lost, found.doubled + [text for writer in self.writers for text in writer.doubled]
        )
