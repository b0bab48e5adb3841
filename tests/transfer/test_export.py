"""`users-api export`: all users at one moment, in a file that is complete or absent."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.waiting import until
from tests.transfer.conftest import Execute
from users_api.app import create_app
from users_api.document import load_document
from users_api.transfer.formats import COLUMNS

Run = Callable[..., Result]
Start = Callable[..., subprocess.Popen[bytes]]
ADA = """INSERT INTO users (id, username, email, active, created_date, version)
    VALUES (7, 'Ada "the first", Countess', 'Ada@example.org', false, '2026-11-23 09:30:00.000000{}', 1)"""


@pytest.fixture
def ada(url: str, execute: Execute) -> str:
    """A database with one user."""
    execute(url, ADA.format("" if url.startswith("sqlite") else "+00"))
    return url


def test_the_columns_are_the_properties_of_a_user() -> None:
    assert list(COLUMNS) == list(load_document()["components"]["schemas"]["User"]["properties"])


def test_csv_has_a_header_and_quotes_what_needs_it(run: Run, ada: str) -> None:
    exported = run(ada, "export", "users.csv")

    assert (exported.exit_code, exported.stdout, exported.stderr) == (0, "", "Exported 1 user.\n")
    assert Path("users.csv").read_bytes() == (
        b"id,username,email,active,created_date\n"
        b'7,"Ada ""the first"", Countess",Ada@example.org,false,2026-11-23T09:30:00.000000Z\n'
    )


@pytest.mark.parametrize("name", ["users.jsonl", "users.NDJSON"])
def test_json_lines_has_the_properties_in_the_order_of_the_document(run: Run, ada: str, name: str) -> None:
    run(ada, "export", name)

    assert Path(name).read_bytes() == (
        b'{"id":7,"username":"Ada \\"the first\\", Countess","email":"Ada@example.org","active":false,'
        b'"created_date":"2026-11-23T09:30:00.000000Z"}\n'
    )


def test_json_lines_have_the_users_as_the_api_returns_them(
    run: Run, url: str, add_users: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(url, 300)
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", url)

    run(url, "export", "users.jsonl")

    with create_app().test_client(base_url="http://testserver") as client:
        users = client.get("/users?limit=1000").json()["data"]["users"]
    assert [json.loads(line) for line in Path("users.jsonl").read_text().splitlines()] == users
    assert len(users) == 300


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_has_the_users_of_one_moment_while_others_write(
    start: Start, url: str, execute: Execute, add_users: Callable[..., None], form: str
) -> None:
    add_users(url, 40_000)
    exporting = start(url, "export", "-", "--format", form)
    assert exporting.stdout
    first = exporting.stdout.read(1)  # The rest does not fit into the pipe.

    execute(url, "DELETE FROM users WHERE id % 2 = 0")
    execute(url, "UPDATE users SET username = 'later'")

    rest = exporting.stdout.read()
    assert exporting.wait() == 0
    assert b"later" not in rest
    assert (first + rest).count(b"@example.org") == 40_000


def test_an_export_is_ordered_by_id(
    run: Run, url: str, execute: Execute, add_users: Callable[..., None]
) -> None:
    add_users(url, 1000)
    execute(url, "UPDATE users SET active = false WHERE id % 3 = 0")

    run(url, "export", "users.jsonl")

    ids = [json.loads(line)["id"] for line in Path("users.jsonl").read_text().splitlines()]
    assert ids == list(range(1, 1001))


def test_an_empty_table_is_an_empty_file(run: Run, url: str) -> None:
    run(url, "export", "users.csv")
    run(url, "export", "users.jsonl")

    assert Path("users.csv").read_text() == "id,username,email,active,created_date\n"
    assert Path("users.jsonl").read_bytes() == b""


def test_an_export_replaces_a_file_only_with_force(run: Run, ada: str) -> None:
    Path("users.csv").write_text("precious")

    refused = run(ada, "export", "users.csv")
    kept = Path("users.csv").read_text()
    forced = run(ada, "export", "users.csv", "--force")

    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        2,
        "Error: users.csv exists; pass --force to replace it.",
    )
    assert kept == "precious"
    assert (forced.exit_code, Path("users.csv").read_text()[:3]) == (0, "id,")


def test_only_the_owner_may_read_an_export(run: Run, ada: str) -> None:
    run(ada, "export", "users.csv")

    assert Path("users.csv").stat().st_mode & 0o777 == 0o600


def test_a_failed_export_leaves_the_older_file(run: Run, ada: str, execute: Execute) -> None:
    Path("users.csv").write_text("older")
    execute(ada, "ALTER TABLE users RENAME COLUMN active TO enabled")

    failed = run(ada, "export", "users.csv", "--force")

    assert failed.exit_code == 1
    assert "enabled" in failed.stderr or "active" in failed.stderr
    assert [file.name for file in Path.cwd().iterdir()] == ["users.csv"]
    assert Path("users.csv").read_text() == "older"


def test_a_killed_export_leaves_no_file_of_that_name(
    start: Start, url: str, add_users: Callable[..., None], tmp_path: Path
) -> None:
    add_users(url, 100_000)
    exporting = start(url, "export", "users.csv")
    until(lambda: any((tmp_path / "files").iterdir()))

    exporting.send_signal(signal.SIGKILL)

    exporting.communicate()
    (partial,) = (tmp_path / "files").iterdir()
    assert (partial.name.startswith("users.csv."), partial.suffix) == (True, ".partial")


def test_an_export_to_a_folder_that_does_not_exist_is_one_line(run: Run, ada: str) -> None:
    refused = run(ada, "export", "missing/users.csv")

    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: Could not open file 'missing/users.csv': No such file or directory\n",
    )


def test_a_reader_that_stops_ends_an_export(start: Start, url: str, add_users: Callable[..., None]) -> None:
    add_users(url, 20_000)
    exporting = start(url, "export", "-", "--format", "csv")
    assert exporting.stdout
    assert exporting.stderr
    exporting.stdout.read(1)

    exporting.stdout.close()

    printed = exporting.stderr.read()
    assert exporting.wait() == 1
    assert b"Traceback" not in printed


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_format_is_required_where_the_name_has_none(run: Run, url: str, command: str) -> None:
    Path("users.txt").touch()

    refused = run(url, command, "users.txt", *(["--force"] if command == "export" else []))

    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        2,
        (
            "Error: Pass --format csv or --format jsonl: "
            "the extension of 'users.txt' is none of .csv, .jsonl, .ndjson."
        ),
    )


@pytest.mark.parametrize("command", ["export", "import"])
def test_the_commands_need_the_newest_migration(run: Run, url: str, execute: Execute, command: str) -> None:
    Path("users.csv").touch()
    execute(url, "UPDATE alembic_version SET version_num = '0001'")

    refused = run(url, command, "users.csv", *(["--force"] if command == "export" else []))

    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: The database is not at the newest migration: run `users-api db upgrade` first.\n",
    )


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_terminal_shows_count_and_rate(
    start: Start, url: str, add_users: Callable[..., None], command: str, tmp_path: Path
) -> None:
    add_users(url, 20_000)
    if command == "import":
        start(url, "export", "users.csv").communicate()
        options = ["--on-conflict", "skip"]
    else:
        options = []
    terminal, other_end = pty.openpty()

    running = start(url, command, "users.csv", *options, stderr=other_end)

    os.close(other_end)
    shown = b"".join(iter(lambda: _read(terminal), b"")).decode()
    assert running.wait() == 0
    assert "20,000 users, " in shown
    assert " per second" in shown


def _read(terminal: int) -> bytes:
    """Return what the terminal shows; after the other end was closed, reading fails."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_help_names_the_columns(run: Run, url: str) -> None:
    shown: Any = run(url, "export", "--help").stdout

    assert "id, username, email, active and created_date" in " ".join(shown.split())
