"""A PostgreSQL that follows another one, and takes its place."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from tests.postgres import PostgreSQL
from tests.waiting import until


class Standby(PostgreSQL):
    """A copy of a primary that follows it, and on which the primary's commits wait."""

    def __init__(self, folder: Path, primary: PostgreSQL) -> None:
        self.primary = primary
        super().__init__(folder)

    def initialise(self) -> None:
        """Copy the primary."""
        copy = [self.binaries / "pg_basebackup", "-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "users", "-D", self.data]
        subprocess.run([*copy, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"], check=True, cwd="/", **self.owner)

    def follow(self) -> None:
        """Start, and return once the primary acknowledges nothing that this server does not have."""
        self.start()
        with closing(psycopg2.connect(self.primary.url("postgres"))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            cursor.execute("SELECT pg_reload_conf()")
            until(lambda: cursor.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'") or cursor.fetchone())

    def promote(self) -> None:
        """Become the primary, and return once this server takes writes."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("SELECT pg_promote()")


@contextmanager
def standby(primary: PostgreSQL) -> Iterator[Standby]:
    """Give a synchronous standby of the primary."""
    with tempfile.TemporaryDirectory(prefix="users-standby-") as folder:
        copy = Standby(Path(folder), primary)
        copy.follow()
        try:
            yield copy
        finally:
            copy.stop()
