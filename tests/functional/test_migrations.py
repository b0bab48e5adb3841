"""The migrations: up, down and up again, and the tables are the models'."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from connexion import FlaskApp
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DataError, IntegrityError

from tests.postgres import PostgreSQL
from tests.server import COMMAND
from users_api.app import create_flask_app
from users_api.db import Base, db, schema_is_newest, transaction
from users_api.handlers import users

MANY_INACTIVE = """
    INSERT INTO users (username, email, active)
    SELECT 'user' || number, number || '@example.org', false FROM generate_series(1, 2000) number
"""
SLOW_TABLES = """
    CREATE FUNCTION be_slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); END';
    CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION be_slow();
    ALTER DATABASE users_slow_tables SET statement_timeout = '1s'
"""
CATALOGUE = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'users' AND sql IS NOT NULL ORDER BY name",
    "postgresql": """
        SELECT 'column', column_name, concat_ws(' ', data_type, character_maximum_length, collation_name, is_nullable,
               column_default, is_identity, identity_maximum) FROM information_schema.columns WHERE table_name = 'users'
        UNION SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'users'::regclass
        UNION SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY 1, 2
    """,
}


@pytest.fixture
def new_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database without tables."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/migrated.db"
    postgres: PostgreSQL = request.getfixturevalue("postgres")
    return postgres.create(f"migrated_{uuid4().hex}")


@pytest.fixture
def migrated(new_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The application with an empty database that is at the newest migration."""
    monkeypatch.setenv("APP_SETTINGS", "users_api.config.TestingConfig")
    monkeypatch.setenv("DATABASE_TEST_URL", new_url)
    app = create_flask_app()
    with app.app_context():
        upgrade()
        yield app
        db.engine.dispose()


def catalogue(engine: Engine) -> list[tuple[str, ...]]:
    """Return what the database says of the table, white space aside."""
    with engine.connect() as connection:
        rows = connection.execute(text(CATALOGUE[engine.dialect.name])).all()
    return [tuple(" ".join(str(part).split()) for part in row) for row in rows]


def test_a_migration_takes_its_time(postgres: PostgreSQL) -> None:
    url = postgres.create("users_slow_tables")
    with closing(psycopg2.connect(postgres.url("users_slow_tables"))) as connection, connection, connection.cursor() as cursor:
        cursor.execute(SLOW_TABLES)

    done = subprocess.run([COMMAND, "db", "upgrade"], env=os.environ | {"DATABASE_URL": url}, capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.usefixtures("migrated")
def test_up_down_and_up_again() -> None:
    first = catalogue(db.engine)

    downgrade(revision="base")
    assert not schema_is_newest()
    upgrade()

    assert schema_is_newest()
    assert catalogue(db.engine) == first


@pytest.mark.usefixtures("migrated")
@pytest.mark.filterwarnings("ignore:.*expression-based index")  # SQLAlchemy reads none from SQLite; the catalogue has them.
def test_the_tables_are_what_the_models_say(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    check()
    url = f"sqlite:///{tmp_path}/models.db" if backend == "sqlite" else request.getfixturevalue("postgres").create("models")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))

    Base.metadata.create_all(engine)

    assert catalogue(engine) == catalogue(db.engine)
    engine.dispose()


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
def test_the_table_itself_refuses(row: str) -> None:
    insert = "INSERT INTO users (username, email, active) VALUES ({})"
    with db.engine.begin() as connection:
        connection.execute(text(insert.format("'ada', 'ada@example.org', true")))

        with pytest.raises((IntegrityError, DataError)):
            connection.execute(text(insert.format(row)))


@pytest.mark.usefixtures("migrated")
def test_the_table_gives_what_is_left_out() -> None:
    with db.engine.begin() as connection:
        connection.execute(text("INSERT INTO users (username, email) VALUES ('ada', 'ada@example.org')"))
        user = connection.execute(text("SELECT id, active, version, created_date IS NOT NULL FROM users")).one()

    assert tuple(user) == (1, True, 1, True)


@pytest.mark.usefixtures("migrated")
def test_what_a_newer_version_has_migrated_is_new_enough() -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))

    assert schema_is_newest()


def test_the_statements_can_be_read_first(migrated: Any, capsys: pytest.CaptureFixture[str]) -> None:
    upgrade(sql=True)

    assert "CREATE TABLE users" in capsys.readouterr().out


def test_a_new_migration_is_numbered(root: Path, tmp_path: Path) -> None:
    for part in ("openapi", "users_api"):
        copytree(root / part, tmp_path / part)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path}/numbers.db"}

    for command in (["upgrade"], ["migrate", "-m", "Add language"]):
        subprocess.run([COMMAND, "db", *command], env=environment, check=True, capture_output=True)

    assert (tmp_path / "users_api/migrations/versions/0002_add_language.py").exists()


def test_each_filter_has_its_index(app: FlaskApp, client: Any, backend: str, make_user: Callable[..., Any]) -> None:
    make_user()
    indexes = {
        (): ("pk_users", "INTEGER PRIMARY KEY"),
        ("email",): ("uq_users_email", "uq_users_email"),
        ("username",): ("ix_users_username_id", "ix_users_username_id"),
        ("active",): ("ix_users_active_id", "ix_users_active_id"),
    }
    values = {"after": 1, "more": 3, "email": "a", "username": "a", "active": True}
    explain = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN"}[backend]

    with app.app.app_context(), transaction() as connection:
        if backend == "postgresql":
            connection.execute(text(MANY_INACTIVE))
            connection.execute(text("ANALYZE users"))
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        for filters, names in indexes.items():
            page = users._page(*filters).params(**values).compile(connection)  # noqa: SLF001 -- what the handler itself runs.
            given = page.params if page.positiontup is None else tuple(page.params[name] for name in page.positiontup)
            plan = connection.exec_driver_sql(f"{explain} {page}", given).all()
            assert names[backend == "sqlite"] in str(plan)
