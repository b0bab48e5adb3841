"""The commands of `users-api`; those that start a server are in `test_server.py`."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from tests.support.postgres import PostgreSQL
from tests.support.service import COMMAND
from tests.support.waiting import until
from users_api.app import create_flask_app
from users_api.cli import main
from users_api.database import db
from users_api.development import STARTUP_MESSAGE_VARIABLE
from users_api.document import document_path

Run = Callable[..., Result]


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database without tables."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/commands.db"
        return
    postgres: PostgreSQL = request.getfixturevalue("postgres")
    with postgres.temporary("commands") as url:
        yield url


@pytest.fixture
def run(url: str) -> Iterator[Run]:
    """Runs a command of `users-api`, with development settings by default."""
    apps = []

    def create_app() -> Flask:
        apps.append(create_flask_app())
        return apps[-1]

    def run(*arguments: str, typed: str = "", **environment: str) -> Result:
        settings = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": url} | environment
        fresh = ScriptInfo(create_app=create_app, set_debug_flag=False)
        return CliRunner().invoke(
            main, arguments, env=settings, input=typed, obj=fresh, prog_name="users-api"
        )

    yield run
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def users(url: str) -> Callable[[], list[str]]:
    """Returns the stored emails."""

    def users() -> list[str]:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
        with engine.connect() as connection:
            return list(connection.scalars(text("SELECT email FROM users ORDER BY id")))

    return users


def test_seed_db_adds_two_users_once(run: Run, users: Callable[[], list[str]]) -> None:
    run("db", "upgrade")

    first, second = run("seed_db"), run("seed_db")

    assert (first.stdout, second.stdout) == ("Added 2 users.\n", "Added 0 users.\n")
    assert users() == ["hermanmu@gmail.com", "michael@mherman.org"]


def test_seed_db_generates_the_given_number_of_users(run: Run, users: Callable[[], list[str]]) -> None:
    run("db", "upgrade")
    run("seed_db", "--count", "1")

    seeded = run("seed_db", "--count", "12345")

    assert seeded.stdout.endswith("Added 12345 users.\n")
    assert len(users()) == 12346
    assert run("seed_db", "--count", "0").exit_code == 2


def test_interrupted_seed_db_reports_the_number_of_added_users(
    run: Run, url: str, users: Callable[[], list[str]]
) -> None:
    run("db", "upgrade")
    environment = os.environ | {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": url}
    seeding = subprocess.Popen(
        [COMMAND, "seed_db", "--count", "100000000"], env=environment, stderr=subprocess.PIPE, text=True
    )
    until(lambda: bool(users()))

    seeding.send_signal(signal.SIGINT)

    _, printed = seeding.communicate(timeout=60)
    assert seeding.returncode == 1
    assert printed == f"Error: Interrupted: added {len(users())} of 100000000 users.\n"


def test_migration_commands_accept_a_newer_schema(run: Run, url: str) -> None:
    run("db", "upgrade")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    engine.dispose()

    printed = run("db", "upgrade", "--sql")

    for command in ("upgrade", "current"):
        passed = run("db", command)
        assert (passed.exit_code, passed.stdout) == (
            0,
            "A newer version has already migrated the database; this version can use it.\n",
        )
    assert "CREATE TABLE users" in printed.stdout


def test_recreate_db_empties_the_database(run: Run, users: Callable[[], list[str]]) -> None:
    run("db", "upgrade")
    run("seed_db")

    recreated = run("recreate_db")

    assert recreated.stdout == "The database is empty and at the newest migration.\n"
    assert users() == []


def test_recreate_db_creates_missing_tables(run: Run, users: Callable[[], list[str]]) -> None:
    assert run("recreate_db").exit_code == 0
    assert users() == []


def test_recreate_db_requires_force_with_production_settings(
    run: Run, users: Callable[[], list[str]]
) -> None:
    production = {"APP_SETTINGS": "users_api.config.ProductionConfig", "AUTH": "none"}
    run("db", "upgrade")
    run("seed_db")

    refused = run("recreate_db", **production)
    kept = users()
    forced = run("recreate_db", "--force", **production)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "Error: recreate_db deletes all users and clients; pass --force to run it with production settings.\n"
    )
    assert len(kept) == 2
    assert (forced.exit_code, users()) == (0, [])


def test_db_downgrade_requires_force_with_production_settings(
    run: Run, users: Callable[[], list[str]]
) -> None:
    production = {"APP_SETTINGS": "users_api.config.ProductionConfig", "AUTH": "none"}
    run("db", "upgrade")
    run("seed_db")

    refused = run("db", "downgrade", "base", **production)
    kept = users()
    printed = run("db", "downgrade", "--sql", "head:base", **production)
    forced = run("db", "downgrade", "--force", "base", **production)

    assert (refused.exit_code, refused.stdout, refused.stderr) == (
        1,
        "",
        (
            "Error: db downgrade reverts migrations and may delete all users and clients; "
            "pass --force to run it with production settings.\n"
        ),
    )
    assert len(kept) == 2
    assert (printed.exit_code, "DROP TABLE users" in printed.stdout) == (0, True)
    assert forced.exit_code == 0
    with pytest.raises(DatabaseError):
        users()


def test_db_upgrades_and_downgrades(run: Run, users: Callable[[], list[str]]) -> None:
    up = run("db", "upgrade")
    there = users()

    down = run("db", "downgrade", "base")

    assert (up.exit_code, there, down.exit_code) == (0, [], 0)
    with pytest.raises(DatabaseError):
        users()


def test_routes_lists_the_paths_of_the_document(run: Run) -> None:
    routes = run("routes").stdout

    assert "/users/<int:user_id>" in routes
    assert "users_api_handlers_patch_user" in routes


def test_the_shell_defines_app_db_and_user(run: Run) -> None:
    run("db", "upgrade")
    run("seed_db")

    shell = run("shell", typed="print(app.name, db.session.query(User).count())\n")

    assert "users_api 2" in shell.stdout


@pytest.mark.parametrize(
    "command", [["serve"], ["run"], ["db", "upgrade"], ["seed_db"], ["recreate_db"], ["routes"]]
)
@pytest.mark.parametrize(
    ("variable", "line"),
    [
        (
            "DATABASE_URL",
            "Error: Set DATABASE_URL to the database, like postgresql://USER:PASSWORD@HOST:PORT/NAME.\n",
        ),
        ("PORT", "Error: PORT must be a whole number from 1 to 65535, not 'http'\n"),
    ],
)
def test_every_command_reports_a_wrong_setting_in_one_line(
    run: Run, command: list[str], variable: str, line: str
) -> None:
    wrong = {"DATABASE_URL": "", "PORT": "http"}[variable]

    production = {"APP_SETTINGS": "users_api.config.ProductionConfig", "AUTH": "none"}
    stopped = run(*command, **production | {variable: wrong})

    assert (stopped.exit_code, stopped.stderr) == (1, line)


@pytest.mark.parametrize("command", [["serve"], ["run", "--migrate"], ["routes"], ["db", "upgrade"]])
def test_a_document_ahead_of_its_handlers_stops_every_command_with_one_line(
    run: Run, command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ahead = tmp_path / "ahead.yaml"
    ahead.write_text(document_path().read_text().replace('operationId: "ping"', 'operationId: "greet"'))
    monkeypatch.setattr("users_api.document.document_path", lambda: ahead)

    stopped = run(*command)

    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert stopped.stderr.splitlines()[-1] == (
        "Error: #/paths/~1ping/get/operationId: module 'users_api.handlers' has no attribute 'greet'; "
        "write the function, or correct the operationId"
    )
    assert "Traceback" not in stopped.stderr


def test_an_installation_without_migrations_is_reported_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr("users_api.cli.MIGRATIONS", tmp_path)

    stopped = run("serve")

    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert stopped.stderr.splitlines()[-1] == f"Error: {tmp_path} has no migrations."


def test_seed_db_requires_the_newest_migration(run: Run) -> None:
    refused = run("seed_db")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert (
        refused.stderr
        == "Error: The database is not at the newest migration: run `users-api db upgrade` first.\n"
    )


def test_a_database_error_is_reported_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "junk.db").write_text("no database " * 100)

    junk = run("seed_db", DATABASE_URL=f"sqlite:///{tmp_path}/junk.db")
    option = run("seed_db", DATABASE_URL="postgresql://users@127.0.0.1:9/users?colour=blue")

    assert (junk.exit_code, junk.stderr) == (
        1,
        f"Error: the SQLite file {tmp_path}/junk.db reports: file is not a database\n",
    )
    assert (option.exit_code, option.stderr) == (
        1,
        'Error: the database in DATABASE_URL reports: invalid dsn: invalid connection option "colour"\n',
    )


def test_an_unavailable_database_is_reported_in_one_line(run: Run) -> None:
    away = run("db", "upgrade", DATABASE_URL="postgresql://users@127.0.0.1:9/users")

    assert away.exit_code == 1
    assert away.stderr.startswith("Error: ")
    assert "Connection refused" in away.stderr
    assert away.stderr.count("\n") == 1


@pytest.mark.parametrize("sign", ["@", "/", "#", "?", ":", ",", "[", "%", " ", "@/", "@?", "?@", "/,"])
@pytest.mark.parametrize("hosts", ["127.0.0.1:9", "127.0.0.1:9,127.0.0.1:10"])
@pytest.mark.parametrize("command", [["seed_db"], ["run", "--port", "5009"]])
def test_no_part_of_a_password_is_printed(
    run: Run, command: list[str], hosts: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: executed.append(arguments))
    url = f"postgresql://users:first{sign}second{sign}third@{hosts}/users?password=fourth&sslpassword=fifth"

    done = run(*command, DATABASE_URL=url)

    started = str([arguments[2][STARTUP_MESSAGE_VARIABLE] for arguments in executed])
    assert done.exit_code == (0 if executed else 1)
    for part in ("first", "second", "third", "fourth", "fifth"):
        assert part not in f"{done.stdout}{done.stderr}{started}"


def test_serve_with_development_settings_names_the_database(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: replaced.append(arguments))

    served = run("serve", "--port", "5009", DATABASE_URL="")

    assert (
        "users.db with development settings on all interfaces; "
        "set APP_SETTINGS and DATABASE_URL for production, and ALLOWED_HOSTS for clients on other machines."
        in served.stderr
    )
    assert replaced[0][2]["PORT"] == "5009"
