"""The statements of docs/operations.md, as an operator runs them."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

import psycopg2
import pytest

from tests.support.postgres import PostgreSQL
from tests.support.service import COMMAND
from tests.support.waiting import until_a_lock_is_waited_for

INSERT = "INSERT INTO users (username, email) VALUES ('ada', '{0}@example.org') RETURNING id"


def statement_below(heading: str, root: Path) -> str:
    """Return the only statement of a section of docs/operations.md."""
    page = (root / "docs" / "operations.md").read_text()
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (statement,) = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return str(statement)


@pytest.fixture
def url(postgres: PostgreSQL) -> Iterator[str]:
    """The URL of a migrated database."""
    with postgres.temporary("operated") as url:
        settings = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": url}
        subprocess.run([COMMAND, "db", "upgrade"], env=os.environ | settings, check=True, capture_output=True)
        yield url


def test_the_query_finds_the_session_that_holds_a_lock(url: str, root: Path) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(closing(psycopg2.connect(url))) for _ in range(3)]
        holder, writer, operator = (session.cursor() for session in sessions)
        holder.execute("LOCK TABLE users IN SHARE MODE")
        holder.execute("SELECT pg_backend_pid()")  # Not that of a pooler.
        (holding,) = holder.fetchone()
        writing = Thread(target=writer.execute, args=("DELETE FROM users",))
        writing.start()
        until_a_lock_is_waited_for(url)

        operator.execute(statement_below("Locks", root))

        ((found, *_),) = operator.fetchall()
        assert found == holding
        operator.execute("SELECT pg_terminate_backend(%s)", (found,))
        writing.join(10)
        assert not writing.is_alive()


def test_the_statement_skips_ids(url: str, root: Path) -> None:
    with closing(psycopg2.connect(url)) as session, session.cursor() as operator:
        operator.execute(INSERT.format(1))
        (before,) = operator.fetchone()
        operator.execute(statement_below("Backups", root))
        operator.execute(INSERT.format(2))
        (after,) = operator.fetchone()

    assert after - before > 1_000_000
