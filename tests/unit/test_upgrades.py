"""The migrations as PostgreSQL will read them: during a deploy the version before goes on, and nobody waits for long."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo

from users_api.app import create_flask_app
from users_api.cli import main

SQUAWK = Path(sys.executable).with_name("squawk")


def lint(statements: str) -> str:
    """Return what squawk says of the statements; nothing is good."""
    return subprocess.run([SQUAWK, "--reporter", "gcc"], input=statements, capture_output=True, text=True, check=False).stdout


def test_the_version_before_goes_on_during_every_migration() -> None:
    environment = {"APP_SETTINGS": "users_api.config.DevelopmentConfig", "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/users"}
    fresh = ScriptInfo(create_app=create_flask_app, set_debug_flag=False)

    statements = CliRunner().invoke(main, ["db", "upgrade", "--sql"], env=environment, obj=fresh).stdout

    assert "CREATE TABLE users" in statements
    assert lint(statements) == ""


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("DROP TABLE users", "ban-drop-table"),
        ("ALTER TABLE users RENAME TO people", "renaming-table"),
        ("ALTER TABLE users RENAME COLUMN username TO name", "renaming-column"),
        ("ALTER TABLE users DROP COLUMN active", "ban-drop-column"),
        ("ALTER TABLE users ADD COLUMN language TEXT NOT NULL", "adding-required-field"),
        ("ALTER TABLE users ALTER COLUMN active SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE users ALTER COLUMN version TYPE BIGINT", "changing-column-type"),
        ("CREATE INDEX ix_users_version ON users (version)", "require-concurrent-index-creation"),
        ("ALTER TABLE users ADD CONSTRAINT ck_users_version CHECK (version > 0)", "constraint-missing-not-valid"),
    ],
)
def test_a_migration_that_would_stop_it_is_refused(statement: str, rule: str) -> None:
    migration = f"BEGIN; SET LOCAL lock_timeout = '5s'; {statement}; COMMIT;"

    assert f"warning: {rule} " in lint(migration)


def test_a_migration_that_would_wait_for_a_lock_is_refused() -> None:
    assert "require-lock-timeout" in lint("BEGIN; ALTER TABLE users ADD COLUMN language TEXT; COMMIT;")
