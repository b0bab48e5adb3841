"""Checks the migration of the database, PostgreSQL's or SQLite's."""

from collections.abc import Iterable
from typing import Final

from alembic.migration import MigrationContext

from users_api.app import MIGRATIONS
from users_api.checks.findings import Finding, ok, problem
from users_api.checks.session import Session
from users_api.database import newest_migration

UPGRADE: Final = "Run `users-api db upgrade`."


def check_migration(session: Session) -> Iterable[Finding]:
    """Compare the database's migration with the newest one of this version."""
    current = MigrationContext.configure(session.connection).get_current_revision() or ""
    return [_judge(current, newest_migration(str(MIGRATIONS)))]


def _judge(current: str, newest: str) -> Finding:
    if not current:
        return problem(f"none; the newest is {newest}", UPGRADE)
    if not current.isdigit():
        advice = "Check that DATABASE_URL names the database of this service, or restore a backup."
        return problem(f"{current!r} is no migration of this service", advice)
    if current < newest:
        return problem(f"{current}; the newest is {newest}", UPGRADE)
    if current > newest:
        return ok(f"{current}, of a newer version, which this one can use")
    return ok(f"{current}, the newest")
