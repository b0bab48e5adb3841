"""The migrations: upgrade, downgrade, and a schema that matches the models."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import psycopg2
import pytest
from flask_migrate import check, downgrade, migrate, upgrade
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DataError, IntegrityError

from tests.support.postgres import PostgreSQL
from tests.support.service import COMMAND
from users_api.app import MIGRATIONS, create_flask_app
from users_api.database import Base, db, schema_is_newest, transaction
from users_api.database.versions import newest_migration

SLOW_INDEXES = """
    CREATE FUNCTION be_slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); END';
    CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION be_slow();
    ALTER DATABASE users_slow_indexes SET statement_timeout = '200ms'
"""
INTERRUPTED_INDEX = (
    "CREATE INDEX {name} ON users (username)",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass",
)
CATALOGUE = {
    "sqlite": (
        "SELECT type, name, sql FROM sqlite_master "
        "WHERE tbl_name = '{table}' AND sql IS NOT NULL ORDER BY name"
    ),
    "postgresql": """
        SELECT 'column', column_name, concat_ws(' ', data_type, character_maximum_length, collation_name,
               is_nullable, column_default, is_identity, identity_maximum)
        FROM information_schema.columns WHERE table_name = '{table}'
        UNION SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = '{table}'::regclass
        UNION SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1, 2
    """,
}


@pytest.fixture
def new_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database without tables."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path}/migrated.db"
        return
    postgres: PostgreSQL = request.getfixturevalue("postgres")
    with postgres.temporary("migrated") as url:
        yield url


@pytest.fixture
def migrated(new_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application with an empty database at the newest migration."""
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", new_url)
    app = create_flask_app()
    with app.app_context():
        upgrade()
        yield app
        db.engine.dispose()


def catalogue(engine: Engine) -> list[tuple[str, ...]]:
    """Return the database's description of the models' tables, ignoring whitespace."""
    statements = [
        text(CATALOGUE[engine.dialect.name].format(table=table.name)) for table in Base.metadata.sorted_tables
    ]
    with engine.connect() as connection:
        rows = [row for statement in statements for row in connection.execute(statement)]
    return [tuple(" ".join(str(part).split()) for part in row) for row in rows]


def test_migrations_have_no_statement_timeout(postgres: PostgreSQL) -> None:
    url = postgres.create("users_slow_indexes")
    with (
        closing(psycopg2.connect(postgres.url("users_slow_indexes"))) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(SLOW_INDEXES)

    done = subprocess.run(
        [COMMAND, "db", "upgrade"], env=os.environ | {"DATABASE_URL": url}, capture_output=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.usefixtures("migrated")
def test_upgrade_after_downgrade_restores_the_schema() -> None:
    first = catalogue(db.engine)

    downgrade(revision="base")
    assert not schema_is_newest()
    upgrade()

    assert schema_is_newest()
    assert catalogue(db.engine) == first


@pytest.mark.usefixtures("migrated")
# SQLAlchemy skips them on SQLite; the catalogue has them.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_create_the_tables_of_the_models(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    check()
    url = (
        f"sqlite:///{tmp_path}/models.db"
        if backend == "sqlite"
        else request.getfixturevalue("postgres").create("models")
    )
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))

    Base.metadata.create_all(engine)

    assert catalogue(engine) == catalogue(db.engine)
    engine.dispose()


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite rolls the whole migration back.
@pytest.mark.parametrize(
    ("name", "before"),
    [("ix_users_username_active_id", "0001"), ("ix_users_active_lower_username_id", "0003")],
)
def test_an_interrupted_index_is_built_again(name: str, before: str) -> None:
    complete = catalogue(db.engine)
    downgrade(revision=before)
    with db.engine.begin() as connection:
        for statement in INTERRUPTED_INDEX:
            connection.execute(text(statement.format(name=name)))

    upgrade()

    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")).scalar() == 0
    assert catalogue(db.engine) == complete


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)  # SQLite could only copy the table.
@pytest.mark.parametrize("date", ["infinity", "-infinity", "10000-01-01", "0001-01-01 12:00 BC"])
def test_a_date_that_python_cannot_read_is_rejected_and_stops_the_migration(
    date: str, caplog: pytest.LogCaptureFixture
) -> None:
    insert = text(
        "INSERT INTO users (username, email, created_date) VALUES ('ada', 'ada@example.org', :date)"
    )
    with pytest.raises(IntegrityError, match="ck_users_created_date"), db.engine.begin() as connection:
        connection.execute(insert, {"date": date})
    downgrade(revision="0001")
    with db.engine.begin() as connection:
        connection.execute(insert, {"date": date})

    with pytest.raises(SystemExit):
        upgrade()

    assert "has a created_date that no program can read: correct it, and try again.\n" in caplog.text
    assert not schema_is_newest()


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    "row",
    [
        "NULL, 'a@example.org', true",
        "'michael', NULL, true",
        "'michael', 'a@example.org', NULL",
        "'', 'a@example.org', true",
        f"'{'m' * 129}', 'a@example.org', true",
        f"'michael', '{'e' * 129}', true",
        "'michael', 'ADA@example.org', true",
    ],
)
def test_the_table_rejects_invalid_rows(row: str) -> None:
    insert = "INSERT INTO users (username, email, active) VALUES ({})"
    with db.engine.begin() as connection:
        connection.execute(text(insert.format("'ada', 'ada@example.org', true")))

        with pytest.raises((IntegrityError, DataError)):
            connection.execute(text(insert.format(row)))


@pytest.mark.usefixtures("migrated")
def test_the_table_has_defaults() -> None:
    with db.engine.begin() as connection:
        connection.execute(text("INSERT INTO users (username, email) VALUES ('ada', 'ada@example.org')"))
        user = connection.execute(
            text("SELECT id, active, version, created_date IS NOT NULL FROM users")
        ).one()

    assert tuple(user) == (1, True, 1, True)


@pytest.mark.usefixtures("migrated")
def test_a_newer_schema_is_accepted() -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))

    assert schema_is_newest()


def test_the_statements_can_be_printed(migrated: Any, capsys: pytest.CaptureFixture[str]) -> None:
    upgrade(sql=True)

    assert "CREATE TABLE users" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["migrate", "revision"])
def test_a_new_migration_is_numbered(root: Path, tmp_path: Path, command: str) -> None:
    number = f"{int(newest_migration(str(MIGRATIONS))) + 1:04}"
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path}/numbers.db",
    }

    for arguments in (["upgrade"], [command, "-m", "Add language"]):
        subprocess.run([COMMAND, "db", *arguments], env=environment, check=True, capture_output=True)

    assert (tmp_path / f"users_api/migrations/versions/{number}_add_language.py").exists()


def test_a_generated_migration_is_formatted_and_matches_the_models(root: Path, tmp_path: Path) -> None:
    for part in ("openapi", "users_api", "pyproject.toml"):
        (copytree if (root / part).is_dir() else copy)(root / part, tmp_path / part)
    versions = tmp_path / "users_api/migrations/versions"
    for old in versions.glob("*.py"):
        old.unlink()
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/anew.db"}

    for arguments in (["migrate", "-m", "Create everything"], ["upgrade"], ["check"]):
        subprocess.run([COMMAND, "db", *arguments], env=environment, check=True, capture_output=True)

    (written,) = versions.glob("*.py")
    assert written.name == "0001_create_everything.py"
    for lint in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *lint, written], cwd=tmp_path, check=True)
    assert "users_api" not in written.read_text()


@pytest.mark.usefixtures("migrated")
def test_a_generated_migration_imports_nothing_of_the_service(tmp_path: Path) -> None:
    copied = copytree(MIGRATIONS, tmp_path / "migrations")
    (copied / "env.py").unlink()
    (copied / "env.py").symlink_to(MIGRATIONS / "env.py")
    known = set(copied.glob("versions/*.py"))
    with transaction() as connection:
        connection.execute(text("DROP INDEX ix_users_active_created_date_id"))  # SQLite keeps its columns.
        connection.execute(text("ALTER TABLE users DROP COLUMN created_date"))

    migrate(directory=str(copied), message="Restore the date")
    (made,) = set(copied.glob("versions/*.py")) - known
    script = made.read_text()

    assert "sa.DateTime(" in script
    assert "users_api" not in script
