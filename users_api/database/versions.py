"""Compares the database's migration with the newest one of this version of the program."""

from functools import cache

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app

from users_api.database.handle import db


class MigrationsNotFound(Exception):  # noqa: N818 -- exceptions here are named for what happened.
    """The directory has no migrations, or cannot be read."""

    def __init__(self, directory: str) -> None:
        """Name the directory."""
        super().__init__(f"{directory} has no migrations.")


@cache
def newest_migration(directory: str) -> str:
    """Return the number of the newest migration in the directory, which is read once.

    A program calls it at startup: while no file descriptor is free, the directory seems empty.

    Raises:
        MigrationsNotFound: there is no migration.
    """
    head = ScriptDirectory(directory).get_current_head()
    if head is None:
        raise MigrationsNotFound(directory)
    return head


def schema_is_newest() -> bool:
    """Return whether the database is at this version's newest migration, or at that of a newer version.

    During a deploy and after a rollback this version runs on a schema that a newer one has migrated.
    """
    current, newest = _migrations()
    return current == newest or _is_newer(current, newest)


def schema_is_newer() -> bool:
    """Return whether a newer version has migrated the database."""
    return _is_newer(*_migrations())


def _is_newer(current: str, newest: str) -> bool:
    return current.isdigit() and current > newest


def _migrations() -> tuple[str, str]:
    """Return the database's migration, empty if there is none, and this version's newest."""
    with db.autocommit_engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current or "", newest_migration(current_app.extensions["migrate"].directory)
