"""A database is compared with the migrations that this version of a program has."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from sqlalchemy import make_url, text

from users_api.database import (
    MigrationsNotFound,
    db,
    engine_options,
    newest_migration,
    schema_is_newer,
    schema_is_newest,
)

MIGRATION = 'revision = "{0:04}"\ndown_revision = {1}\n'


@pytest.fixture
def migrations(tmp_path: Path) -> Iterator[None]:
    """A program whose newest migration is 0002."""
    versions = tmp_path / "versions"
    versions.mkdir()
    for number, before in ((1, None), (2, "'0001'")):
        (versions / f"{number:04}.py").write_text(MIGRATION.format(number, before))
    app = Flask("versions")
    url = f"sqlite:///{tmp_path}/versions.db"
    options = engine_options(
        make_url(url), application_name="notes", pool_size=2, max_waiting=0, pool_timeout=1, connect_timeout=1
    )
    app.config |= {"SQLALCHEMY_DATABASE_URI": url, "SQLALCHEMY_ENGINE_OPTIONS": options}
    app.extensions["migrate"] = SimpleNamespace(directory=str(tmp_path))
    db.init_app(app)
    with app.app_context():
        yield
        db.engine.dispose()


@pytest.mark.usefixtures("migrations")
@pytest.mark.parametrize(
    ("current", "newest", "newer"),
    [
        ("", False, False),
        ("0001", False, False),
        ("0002", True, False),
        ("0003", True, True),
        ("custom", False, False),
    ],
)
def test_the_schema_is_as_new_as_the_program_or_newer(current: str, *, newest: bool, newer: bool) -> None:
    if current:
        with db.engine.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:current)"), {"current": current})

    assert (schema_is_newest(), schema_is_newer()) == (newest, newer)


def test_a_directory_without_migrations_is_an_error_and_is_read_again(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    with pytest.raises(MigrationsNotFound, match=f"{tmp_path} has no migrations."):
        newest_migration(str(tmp_path))

    (versions / "0001.py").write_text(MIGRATION.format(1, None))

    assert newest_migration(str(tmp_path)) == "0001"
