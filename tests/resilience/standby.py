"""A PostgreSQL standby that follows a primary and can replace it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from tests.support.postgres import PostgreSQL
from tests.support.waiting import until


class Standby(PostgreSQL):
    """A copy that follows the primary synchronously."""

    def __init__(self, folder: Path, primary: PostgreSQL) -> None:
        self.primary = primary
        super().__init__(folder)

    def initialise(self) -> None:
        """Copy the primary."""
        copy = [
            self.binaries / "pg_basebackup",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.primary.port),
            "-U",
            "users",
            "-D",
            self.data,
        ]
        subprocess.run(
            [*copy, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"],
            check=True,
            cwd="/",
            **self.owner,
        )

    def follow(self) -> None:
        """Start, and return when the primary's commits wait for this server."""
        self.start()
        with closing(psycopg2.connect(self.primary.url("postgres"))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            cursor.execute("SELECT pg_reload_conf()")
            until(
                lambda: (
                    cursor.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
                    or cursor.fetchone()
                )
            )

    def promote(self) -> None:
        """Promote this server, and return when it accepts writes."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("SELECT pg_promote()")


@contextmanager
def standby(primary: PostgreSQL) -> Iterator[Standby]:
    """Start a synchronous standby of the primary."""
    with tempfile.TemporaryDirectory(prefix="users-standby-") as folder:
        copy = Standby(Path(folder), primary)
        copy.follow()
        try:
            yield copy
        finally:
            copy.stop()
