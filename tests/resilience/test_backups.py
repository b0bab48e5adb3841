"""An older backup is restored, while clients hold entity tags and ids that it does not know."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from threading import Event
from typing import Any

import psycopg2

from tests.resilience.callers import Caller, is_acknowledged
from tests.resilience.editors import Editor, follow
from tests.resilience.load import WRITERS
from tests.support.fault_table import Row
from tests.support.postgres import PostgreSQL
from tests.support.service import service
from tests.support.waiting import until

FAULT = "older backup restored under held entity tags"
SHARED_USERS = 4
RECENT = 200
ENOUGH = 2 * SHARED_USERS
SKIP_IDS = re.compile(r"^SELECT setval\(.*\);$", re.MULTILINE)


def test_an_older_backup_is_restored_under_held_entity_tags(
    postgres: PostgreSQL, root: Path, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    url, dump, over = postgres.create("users_restored"), tmp_path / "users.dump", Event()
    (skip_ids,) = SKIP_IDS.findall((root / "docs" / "operations.md").read_text())

    def execute(statement: str) -> list[Any]:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    with service(url) as running:
        tags = dict(add_user(running.port, number) for number in range(SHARED_USERS))
        editors = [Editor(running.port, f"editor{number}", over, tags) for number in range(WRITERS)]
        for editor in editors:
            editor.start()
        try:
            go_on(editors)
            pg(postgres, "pg_dump", "--format", "custom", "--file", dump, url)
            go_on(editors)
            assert running.stop() == 0
            stopped = time.monotonic()
            pg(postgres, "pg_restore", "--clean", "--if-exists", "--exit-on-error", "--dbname", url, dump)
            execute(skip_ids)
            restored = dict(execute("SELECT id, username FROM users"))
            running.start()
            go_on(editors)
        finally:
            over.set()
            for editor in editors:
                editor.join()
    stored = dict(execute("SELECT id, username FROM users"))

    edits = [edit for editor in editors for edit in editor.edits]
    known = {(edit.path, edit.username): edit.given for edit in edits}
    lost = []
    for path, first in tags.items():
        user_id = int(path.rpartition("/")[2])
        kept = known[path, restored[user_id]]
        changes = [edit for edit in edits if edit.path == path and edit.status == 200]
        earlier = follow(first, (change for change in changes if change.began < stopped))
        later = follow(kept, (change for change in changes if change.began > stopped))
        lost += {*changes} - {*earlier, *later}
        lost += later[-1:] if stored[user_id] != later[-1].username else []
        versions = [first, *(change.given for change in earlier)]
        gone = set(versions) - {kept}
        assert {edit.status for edit in edits if edit.began > stopped and edit.seen in gone} == {412}
    ids = Counter(user_id for editor in editors for user_id in editor.ids)
    doubled = [user_id for user_id, times in ids.items() if times > 1]
    answers = sorted((answer for editor in editors for answer in editor.answers), key=attrgetter("ended"))
    ends = [answer.ended for answer in answers if is_acknowledged(answer)]
    outage = max(after - before for before, after in pairwise(ends))
    record(Row(FAULT, False, len(answers), len(ends), len(lost), len(doubled), outage))  # noqa: FBT003 -- a named tuple's field.
    assert (lost, doubled) == ([], [])


def add_user(port: int, number: int) -> tuple[str, str]:
    """Add a user, and return its path and its entity tag."""
    call = Caller(port)
    with closing(call.connection):
        made = call("POST", "/users", {"username": "new", "email": f"shared{number}@example.org"})
    return f"/users/{made.body['data']['id']}", made.tag


def go_on(editors: list[Editor]) -> None:
    """Return when each editor has made further changes."""
    since = time.monotonic()

    def changes(editor: Editor) -> int:
        return sum(edit.began > since and edit.status == 200 for edit in editor.edits[-RECENT:])

    def failed() -> bool:
        return any(editor.failure for editor in editors)

    until(lambda: failed() or all(changes(editor) >= ENOUGH for editor in editors))
    assert not failed(), [editor.failure for editor in editors]


def pg(postgres: PostgreSQL, program: str, *arguments: object) -> None:
    """Run a program of PostgreSQL."""
    subprocess.run([postgres.binaries / program, *map(str, arguments)], check=True)
