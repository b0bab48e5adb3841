"""The commands that manage clients, and the keys of their tokens."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from users_api.access.keys import SigningKeys, generate_key
from users_api.app import create_flask_app
from users_api.cli import main
from users_api.database import db

Run = Callable[..., Result]
WRONG_NAME = "A name has 1 to 128 printable characters, and no spaces at its ends."
PRINTED = re.compile(r"client_id {6}([0-9a-f]{32})\nclient_secret {2}([A-Za-z0-9_-]{43})\n")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs a command of `users-api` on a migrated database."""
    apps = []

    def create_app() -> Flask:
        apps.append(create_flask_app())
        return apps[-1]

    def run(*arguments: str, **environment: str) -> Result:
        settings = {
            "APP_SETTINGS": "users_api.config.DevelopmentConfig",
            "AUTH": "required",
            "DATABASE_URL": f"sqlite:///{tmp_path}/clients.db",
            "TOKEN_KEYS": generate_key(),
            **environment,
        }
        fresh = ScriptInfo(create_app=create_app, set_debug_flag=False)
        return CliRunner().invoke(main, arguments, env=settings, obj=fresh, prog_name="users-api")

    assert run("db", "upgrade").exit_code == 0
    yield run
    for app in apps:
        with app.app_context():
            db.engine.dispose()


def add(run: Run, *arguments: str) -> Any:
    """Add a client, and return the match of its id and secret."""
    added = run("clients", "add", *arguments)
    assert added.exit_code == 0, added.stderr
    return PRINTED.fullmatch(added.stdout)


def test_add_prints_the_id_and_the_secret_once(run: Run) -> None:
    added = run("clients", "add", "my app", "--scope", "users:read")

    assert PRINTED.fullmatch(added.stdout)
    assert added.stderr == "Store the secret now: it cannot be shown again.\n"
    assert PRINTED.fullmatch(added.stdout)[2] not in run("clients", "list").stdout


@pytest.mark.parametrize(
    "settings",
    [
        {"AUTH": "none", "TOKEN_KEYS": ""},
        {"AUTH_ISSUER": "https://issuer.example", "AUTH_AUDIENCE": "users", "TOKEN_KEYS": ""},
    ],
    ids=["without authentication", "with an external issuer"],
)
def test_add_warns_where_no_tokens_are_issued(run: Run, settings: dict[str, str]) -> None:
    added = run("clients", "add", "my app", "--scope", "users:read", **settings)

    assert added.exit_code == 0
    assert added.stderr.startswith("Warning: with these settings the service issues no tokens")


def test_list_shows_scopes_and_state(run: Run) -> None:
    first = add(run, "reader", "--scope", "users:read")[1]
    second = add(run, "both", "--scope", "users:write", "--scope", "users:read", "--scope", "users:read")[1]
    run("clients", "revoke", first)

    date = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}"
    lines = run("clients", "list").stdout.splitlines()

    assert len(lines) == 2
    assert re.fullmatch(f"{first}  {date}  revoked {date}  users:read  reader", lines[0])
    assert re.fullmatch(f"{second}  {date}  active  users:write users:read  both", lines[1])


def test_names_may_repeat_so_that_a_secret_can_be_replaced(run: Run) -> None:
    ids = [add(run, "app", "--scope", "users:read")[1] for _ in range(2)]

    assert ids[0] != ids[1]


def test_a_client_is_revoked_once(run: Run) -> None:
    client_id = add(run, "app", "--scope", "users:read")[1]

    revoked, again = run("clients", "revoke", client_id), run("clients", "revoke", client_id)

    assert revoked.stdout == "Revoked app. Its tokens stop working within 10 seconds.\n"
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: The client {client_id!r} is unknown or already revoked; see `users-api clients list`.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["app"], "Missing option '--scope'"),
        (
            ["app", "--scope", "users"],
            "There is no scope 'users'; the document has users:read, users:write, ",
        ),
        (
            ["", "--scope", "users:read"],
            WRONG_NAME,
        ),
        (
            ["n" * 129, "--scope", "users:read"],
            WRONG_NAME,
        ),
        (
            [" ", "--scope", "users:read"],
            WRONG_NAME,
        ),
        (
            [" a", "--scope", "users:read"],
            WRONG_NAME,
        ),
        (
            ["a\nb", "--scope", "users:read"],
            WRONG_NAME,
        ),
    ],
)
def test_add_explains_what_is_wrong(run: Run, arguments: list[str], problem: str) -> None:
    refused = run("clients", "add", *arguments)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert problem in " ".join(refused.stderr.split())
    assert run("clients", "list").stdout == ""


def test_generate_key_prints_a_key_for_the_settings(run: Run) -> None:
    keys = {run("generate_key").stdout.strip() for _ in range(2)}

    assert len(keys) == 2
    assert [SigningKeys.parse(key).kid for key in keys]
