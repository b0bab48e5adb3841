"""Databases at the newest migration, and the commands on them."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import IO, Any, Protocol

import psycopg2
import psycopg2.extensions
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from tests.support.postgres import PostgreSQL
from tests.support.service import COMMAND, migrate
from users_api.app import create_flask_app
from users_api.cli import main
from users_api.database import db

TEMPLATE = "transfer_template"
STORED = "SELECT id, username, email, active, created_date FROM users ORDER BY id"
NUMBERS = count(1)
ADD = """
    INSERT INTO users (username, email, active, created_date, version)
    WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
    SELECT CASE n % 50 WHEN 0 THEN 'a "b", ' || n WHEN 1 THEN '\\.' WHEN 2 THEN '=1+1'
           WHEN 3 THEN 'é' || char(10) || '😀' || char(13) || char(9) ELSE 'user ' || n END,
           'User-' || n || '@example.org', n % 10 <> 0, '2026-11-23 09:30:00.000001', 1 FROM numbers
"""


class Execute(Protocol):
    def __call__(self, url: str, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement on a database, and return its rows."""


def settings(url: str) -> dict[str, str]:
    return {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": url}


@pytest.fixture(scope="session")
def template(backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without users: SQLite's file, or the name of PostgreSQL's."""
    if backend == "sqlite":
        file = tmp_path_factory.mktemp("transfer") / "template.db"
        migrate(f"sqlite:///{file}")
        return file
    migrate(request.getfixturevalue("postgres").create(TEMPLATE))
    return Path(TEMPLATE)


@pytest.fixture
def make_database(
    backend: str, template: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], str]]:
    """Creates databases without users, and returns their URLs."""
    made: list[str] = []

    def make() -> str:
        name = f"transfer_{next(NUMBERS)}"
        if backend == "sqlite":
            return f"sqlite:///{shutil.copy(template, tmp_path / name)}"
        postgres: PostgreSQL = request.getfixturevalue("postgres")
        made.append(name)
        return postgres.create(f"{name} TEMPLATE {TEMPLATE}").partition(" ")[0]

    yield make
    if made:
        with closing(psycopg2.connect(request.getfixturevalue("postgres").url("postgres"))) as connection:
            connection.autocommit = True
            for name in made:
                connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(make_database: Callable[[], str]) -> str:
    """A database without users."""
    return make_database()


@pytest.fixture
def execute() -> Execute:
    """Executes a statement on a database, and returns its rows."""

    def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
                return connection.execute(statement).fetchall()
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return execute


@pytest.fixture
def stored(execute: Execute) -> Callable[[str], list[tuple[Any, ...]]]:
    """Returns the visible columns of all users, ordered by id."""
    return lambda url: execute(url, STORED)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Runs a command on a database in this process, in an empty folder."""
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    callback = psycopg2.extensions.get_wait_callback()
    psycopg2.extensions.set_wait_callback(None)  # Another test may have started to serve requests.
    apps: list[Flask] = []

    def create_app() -> Flask:
        apps.append(create_flask_app())
        return apps[-1]

    def run(url: str, *arguments: str, standard_input: IO[bytes] | None = None) -> Result:
        fresh = ScriptInfo(create_app=create_app, set_debug_flag=False)
        return CliRunner().invoke(
            main, arguments, input=standard_input, env=settings(url), obj=fresh, prog_name="users-api"
        )

    yield run
    psycopg2.extensions.set_wait_callback(callback)
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a command on a database in its own process, in the same folder; streams may be pipes.

    A process that gets a signal must not be covered: the exception of a signal handler may leave the lock of
    coverage.py locked, and other threads would wait for it.
    """
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)

    def start(url: str, *arguments: str, covered: bool = True, **streams: Any) -> subprocess.Popen[bytes]:
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | streams
        inherited = {
            name: value for name, value in os.environ.items() if covered or not name.startswith("COVERAGE_")
        }
        environment = inherited | settings(url)
        return stack.enter_context(
            subprocess.Popen([COMMAND, *arguments], env=environment, cwd=folder, **streams)
        )

    with ExitStack() as stack:
        yield start


@pytest.fixture
def add_users(execute: Execute) -> Callable[[str, int], None]:
    """Adds users with consecutive ids, of whom some have unusual names."""

    def add(url: str, number: int) -> None:
        is_sqlite = url.startswith("sqlite")
        last = execute(url, "SELECT coalesce(max(id), 0) FROM users")[0][0]
        statement = ADD if is_sqlite else ADD.replace("char(", "chr(").replace(".000001", ".000001+00")
        execute(url, statement.format(first=last + 1, last=last + number))

    return add
