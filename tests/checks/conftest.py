"""A migrated PostgreSQL database with a role of its own, and the command in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import psycopg2
import pytest
from click.testing import CliRunner, Result

from tests.checks.outcome import Deployment, Outcome
from tests.support.postgres import PostgreSQL
from tests.support.service import migrate
from users_api.cli import main

GRANTS = """
    GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role};
    GRANT SELECT, INSERT, UPDATE ON clients TO {role};
    GRANT SELECT, INSERT, UPDATE ON imports TO {role};
    GRANT SELECT ON alembic_version TO {role};
"""


@pytest.fixture(scope="session")
def template(postgres: PostgreSQL) -> str:
    """The name of a migrated database, which is copied."""
    migrate(postgres.create("checked"))
    return "checked"


@pytest.fixture
def deployment(postgres: PostgreSQL, template: str) -> Iterator[Deployment]:
    """A migrated database, and a role that may do what the service does."""
    name = f"deployment_{uuid4().hex[:8]}"
    server = postgres.url("postgres")
    found = Deployment(postgres.url(name), postgres.url(name).replace("users@", f"{name}@"), name)
    _run(server, f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} TEMPLATE {template}")
    found.run(GRANTS.format(role=name))
    yield found
    _run(server, f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}")


def _run(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `users-api check` with production settings, which other settings replace."""
    for name in ("AUTH_ISSUER", "DYNO", "NO_COLOR", "RATE_LIMIT", "TOKEN_KEYS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, color: bool = False, **environment: str) -> Result:
        settings = {
            "APP_SETTINGS": "users_api.config.ProductionConfig",
            "ALLOWED_HOSTS": "users.example.org",
            "AUTH": "none",
            "DATABASE_URL": "sqlite:///missing.db",
        }
        return CliRunner().invoke(
            main, ["check", *arguments], env=settings | environment, prog_name="users-api", color=color
        )

    return call


@pytest.fixture
def check(call: Callable[..., Result]) -> Callable[..., Outcome]:
    """Runs the command, and returns its findings by group and check."""

    def check(**environment: str) -> Outcome:
        result = call("--json", **environment)
        assert result.exit_code in {0, 1}, result.output
        return Outcome(json.loads(result.stdout))

    return check
