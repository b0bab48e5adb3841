"""The migrations' SQL: the previous version keeps working during a deployment, and locks are short."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo

from users_api.app import MIGRATIONS, create_flask_app
from users_api.cli import main

SQUAWK = Path(sys.executable).with_name("squawk")


def lint(statements: str) -> str:
    """Return squawk's warnings about the statements, empty if there are none."""
    return subprocess.run(
        [SQUAWK, "--reporter", "gcc"], input=statements, capture_output=True, text=True, check=False
    ).stdout


MIGRATION_NUMBERS = sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("*.py"))


@pytest.mark.parametrize("number", MIGRATION_NUMBERS)
def test_squawk_accepts_every_migration(number: str) -> None:
    environment = {
        "APP_SETTINGS": "users_api.config.DevelopmentConfig",
        "DATABASE_URL": "postgresql://users@127.0.0.1:9/users",
    }
    fresh = ScriptInfo(create_app=create_flask_app, set_debug_flag=False)
    steps = f"{int(number) - 1:04}:{number}".replace("0000", "base")

    statements = (
        CliRunner().invoke(main, ["db", "upgrade", steps, "--sql"], env=environment, obj=fresh).stdout
    )

    assert f"'{number}'" in statements
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
        (
            "ALTER TABLE users ADD CONSTRAINT ck_users_version CHECK (version > 0)",
            "constraint-missing-not-valid",
        ),
    ],
)
def test_squawk_rejects_incompatible_or_blocking_statements(statement: str, rule: str) -> None:
    migration = f"BEGIN; SET LOCAL lock_timeout = '5s'; {statement}; COMMIT;"

    assert f"warning: {rule} " in lint(migration)


def test_squawk_requires_a_lock_timeout() -> None:
    assert "require-lock-timeout" in lint("BEGIN; ALTER TABLE users ADD COLUMN language TEXT; COMMIT;")
