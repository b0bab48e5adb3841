"""A development database in a file."""

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.checks.outcome import NEWEST, Outcome
from tests.support.service import migrate

Check = Callable[..., Outcome]
DEVELOPMENT = "users_api.config.DevelopmentConfig"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A migrated database, in a folder whose name has a meaning in URLs."""
    folder = tmp_path / "100% of #1"
    folder.mkdir()
    migrate(f"sqlite:///{folder}/users.db")
    return folder / "users.db"


def test_a_migrated_file_is_in_order(check: Check, file: Path) -> None:
    found = check(APP_SETTINGS=DEVELOPMENT, DATABASE_URL=f"sqlite:///{file}")

    assert found["database.connection"] == [("ok", f"the file {file}")]
    assert found["database.server"] == [("ok", f"SQLite {sqlite3.sqlite_version}")]
    assert found["database.migration"] == [("ok", f"{NEWEST}, the newest")]
    assert found.report["ok"] is True


def test_a_missing_file_is_a_problem_and_is_not_created(check: Check, tmp_path: Path) -> None:
    found = check(APP_SETTINGS=DEVELOPMENT, DATABASE_URL=f"sqlite:///{tmp_path}/missing.db")

    assert found["database.connection"] == [("problem", f"the file {tmp_path}/missing.db does not exist")]
    assert found["database.migration"] == [("not_checked", "needs the check `connection`")]
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_needs_an_upgrade(check: Check, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0002'")

    found = check(APP_SETTINGS=DEVELOPMENT, DATABASE_URL=f"sqlite:///{file}")

    assert found["database.migration"] == [("problem", f"0002; the newest is {NEWEST}")]
    assert found.advice("database.migration") == ["Run `users-api db upgrade`."]


def test_a_file_that_is_no_database_is_a_problem(check: Check, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)

    found = check(APP_SETTINGS=DEVELOPMENT, DATABASE_URL=f"sqlite:///{tmp_path}/text.db")

    assert found["database.migration"] == [("problem", "file is not a database")]


def test_sqlite_in_production_is_a_warning(check: Check, file: Path) -> None:
    found = check(DATABASE_URL=f"sqlite:///{file}")

    assert found["database.server"] == [("warning", f"SQLite {sqlite3.sqlite_version} in production")]


def test_a_read_only_file_is_a_problem(check: Check, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(stat.S_IRUSR)
    # root may write to it all the same.
    monkeypatch.setattr("os.access", lambda path, _mode: bool(Path(path).stat().st_mode & stat.S_IWUSR))

    found = check(APP_SETTINGS=DEVELOPMENT, DATABASE_URL=f"sqlite:///{file}")

    assert found["database.connection"] == [("problem", f"the file {file} is read-only")]
