"""`users-api import --on-conflict`: lines about users that exist, in the database or in earlier lines."""

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from click.testing import Result

from tests.support.waiting import until_a_lock_is_waited_for
from tests.transfer.conftest import Execute
from users_api.transfer import batches
from users_api.transfer.conflicts import ConcurrentWrite, first_conflict
from users_api.transfer.rules import Line

Run = Callable[..., Result]
Stored = Callable[[str], list[tuple[Any, ...]]]
EXISTS = "Sorry. That email already exists."
STOPPED = (
    "Error: Line {}: {} Remove the line or the user, or pass --on-conflict skip or --on-conflict update. "
    "Everything up to line {} is imported; run the same command again to continue.\n"
)


def write(*users: dict[str, Any]) -> None:
    Path("users.jsonl").write_text("".join(json.dumps(user) + "\n" for user in users))


def user(email: str, name: str = "new", **differences: Any) -> dict[str, Any]:
    return {"username": name, "email": email} | differences


@pytest.fixture
def known(run: Run, url: str) -> str:
    """A database with the users 1, 2 and 3, of whom the second is inactive."""
    write(*(user(f"{n}@example.org", "old", id=n, active=n != 2) for n in (1, 2, 3)))
    assert run(url, "import", "users.jsonl").exit_code == 0
    Path("users.jsonl").unlink()
    return url


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (user("1@EXAMPLE.org"), f"email: {EXISTS}"),
        (user("new@example.org", id=3), "id: a user with the id 3 already exists."),
        (user("NEW-1@example.org"), f"email: {EXISTS}"),
    ],
)
def test_by_default_the_first_conflict_stops_the_import_before_its_batch(
    run: Run, known: str, stored: Stored, second: dict[str, Any], message: str
) -> None:
    write(user("new-1@example.org"), second, user("new-2@example.org"))
    before = stored(known)

    stopped = run(known, "import", "users.jsonl")

    assert (stopped.exit_code, stopped.stderr) == (3, STOPPED.format(2, message, 0))
    assert stored(known) == before


def test_a_conflict_that_has_ended_lets_the_batch_be_tried_again() -> None:
    line = Line(1, b"", None, "Ada", "ada@example.org", None, None)

    assert isinstance(first_conflict([line], [(7, "bob@example.org")]), ConcurrentWrite)


def test_a_stopped_import_continues_when_the_conflict_is_resolved(
    run: Run, known: str, stored: Stored, execute: Execute
) -> None:
    write(user("1@example.org"))
    assert run(known, "import", "users.jsonl").exit_code == 3
    execute(known, "DELETE FROM users WHERE id = 1")

    assert run(known, "import", "users.jsonl").exit_code == 0

    assert [row[1:3] for row in stored(known)] == [
        ("old", "2@example.org"),
        ("old", "3@example.org"),
        ("new", "1@example.org"),
    ]


def test_skip_keeps_what_exists_and_the_first_of_several_lines(run: Run, known: str, stored: Stored) -> None:
    write(
        user("1@EXAMPLE.org"),
        user("5@example.org", "first", id=5),
        user("5@example.org", "second"),
        user("6@example.org", "third", id=5),
    )

    imported = run(known, "import", "users.jsonl", "--on-conflict", "skip")

    assert imported.stderr == "Imported users.jsonl: 1 added, 0 updated, 3 skipped, 0 rejected.\n"
    assert [row[:3] for row in stored(known)] == [
        *((n, "old", f"{n}@example.org") for n in (1, 2, 3)),
        (5, "first", "5@example.org"),
    ]


Case = tuple[list[dict[str, Any]], list[tuple[Any, ...]], int]
UPDATES: list[Case] = [
    ([user("1@EXAMPLE.org")], [(1, "new", "1@EXAMPLE.org", True)], 0),
    ([user("2@example.org")], [(2, "new", "2@example.org", False)], 0),
    ([user("2@example.org", active=True)], [(2, "new", "2@example.org", True)], 0),
    ([user("x@example.org", id=1)], [(1, "new", "x@example.org", True)], 0),
    ([user("2@example.org", id=1)], [], 1),
    ([user("2@example.org", id=9)], [], 1),
    ([user("x@example.org", "a"), user("X@example.org", "b")], [(4, "b", "X@example.org", True)], 0),
    (
        [user("x@example.org", "a", active=False), user("x@example.org", "b")],
        [(4, "b", "x@example.org", False)],
        0,
    ),
    (
        [user("1@example.org", "a", active=False), user("1@example.org", "b")],
        [(1, "b", "1@example.org", False)],
        0,
    ),
    (
        [user("x@example.org", id=1), user("1@example.org", id=2)],
        [(1, "new", "x@example.org", True), (2, "new", "1@example.org", False)],
        0,
    ),
    (
        [user("x@example.org", id=1), user("1@example.org", id=2), user("2@example.org", id=1)],
        [(1, "new", "2@example.org", True), (2, "new", "1@example.org", False)],
        0,
    ),
    (
        [user("x@example.org", id=1), user("1@example.org", "a")],
        [(1, "new", "x@example.org", True), (4, "a", "1@example.org", True)],
        0,
    ),
    ([user("x@example.org", id=9), user("y@example.org", id=9)], [(9, "new", "y@example.org", True)], 0),
    (
        [user("x@example.org", id=9), user("y@example.org"), user("x@example.org", id=10)],
        [(9, "new", "x@example.org", True), (11, "new", "y@example.org", True)],
        1,
    ),
]


@pytest.mark.parametrize("case", UPDATES)
def test_update_changes_users_as_if_line_by_line(
    run: Run,
    known: str,
    stored: Stored,
    case: Case,
) -> None:
    lines, changed, rejections = case
    write(*lines)
    old = {n: (n, "old", f"{n}@example.org", n != 2) for n in (1, 2, 3)}

    imported = run(known, "import", "users.jsonl", "--on-conflict", "update", "--rejected", "rejected.jsonl")

    assert imported.exit_code == min(rejections, 1), imported.stderr
    assert {row[0]: (*row[:3], bool(row[3])) for row in stored(known)} == old | {
        row[0]: row for row in changed
    }
    rows = [json.loads(line) for line in Path("rejected.jsonl").read_text().splitlines()]
    assert [row["errors"] for row in rows] == [[{"field": "email", "message": EXISTS}]] * rejections


def test_update_keeps_a_date_that_the_line_does_not_give(run: Run, known: str, stored: Stored) -> None:
    before = {row[0]: row[4] for row in stored(known)}
    write(
        user("1@example.org"),
        user("2@example.org", created_date="2020-01-01T00:00:00.000000Z"),
    )

    run(known, "import", "users.jsonl", "--on-conflict", "update")

    after = {row[0]: row[4] for row in stored(known)}
    assert (after[1], after[3]) == (before[1], before[3])
    assert str(after[2]).startswith("2020-01-01 00:00:00")


@pytest.mark.parametrize("policy", ["fail", "skip", "update"])
def test_a_dry_run_reports_what_would_happen_and_changes_nothing(
    run: Run, known: str, stored: Stored, execute: Execute, policy: str
) -> None:
    write(
        user("x@example.org"),
        {"username": "no email"},
        user("x@example.org", "b"),
        user("1@example.org", id=2),
    )
    before = stored(known)
    imports = execute(known, "SELECT count(*) FROM imports")

    tried = run(
        known, "import", "users.jsonl", "--on-conflict", policy, "--dry-run", "--rejected", "rejected.jsonl"
    )

    assert (stored(known), execute(known, "SELECT count(*) FROM imports")) == (before, imports)
    done = run(known, "import", "users.jsonl", "--on-conflict", policy)
    assert tried.exit_code == done.exit_code
    if policy == "fail":
        assert tried.stderr.endswith("This was a dry run: nothing was changed.\n")
        assert tried.stderr.split(" Remove")[0] == done.stderr.splitlines()[-1].split(" Remove")[0]
    else:
        assert tried.stderr.startswith("Dry run of users.jsonl, nothing was changed: ")
        assert tried.stderr.splitlines()[0].split(": ")[1] == done.stderr.splitlines()[0].split(": ")[1]


def test_a_dry_run_takes_no_ids(run: Run, known: str, stored: Stored) -> None:
    write(*(user(f"x{n}@example.org") for n in range(10)), user("far@example.org", id=7_000_000))
    run(known, "import", "users.jsonl", "--dry-run")

    write(user("y@example.org"))
    run(known, "import", "users.jsonl")

    assert stored(known)[-1][0] == 4


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite has one writer at a time.
@pytest.mark.parametrize("policy", ["fail", "update"])
def test_a_user_that_is_added_at_the_same_time_is_noticed(
    start: Callable[..., subprocess.Popen[bytes]],
    known: str,
    stored: Stored,
    policy: str,
    tmp_path: Path,
) -> None:
    write(user("x@example.org", "imported"))
    with closing(psycopg2.connect(known)) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('posted', 'x@example.org')")

        importing = start(known, "import", "users.jsonl", "--on-conflict", policy)
        until_a_lock_is_waited_for(known)
        other.commit()

    _, printed = importing.communicate()
    assert [row[1] for row in stored(known)][3:] == [{"fail": "posted", "update": "imported"}[policy]]
    assert importing.returncode == {"fail": 3, "update": 0}[policy], printed


def test_batches_with_and_without_conflicts_may_follow_each_other(
    run: Run, known: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_RECORDS", 2)
    emails = ["a", "b", "1", "c", "A", "d", "e", "f", "2", "E", "g"]
    write(*(user(f"{email}@example.org", "back\\slash\t\\N") for email in emails))

    result = run(known, "import", "users.jsonl", "--on-conflict", "skip")

    assert result.output.endswith("7 added, 0 updated, 4 skipped, 0 rejected.\n")
    added = [(name, email[0]) for _, name, email, *_ in stored(known) if name != "old"]
    assert added == [("back\\slash\t\\N", email) for email in "abcdefg"]
