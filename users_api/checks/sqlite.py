"""Checks of SQLite, which development uses."""

import os
import sqlite3
from collections.abc import Iterable
from typing import Final

from sqlalchemy import make_url

from users_api.checks.findings import Finding, ok, problem, warning
from users_api.checks.migration import UPGRADE
from users_api.checks.session import Session, sqlite_file
from users_api.config import Config

POSTGRESQL_ADVICE: Final = "Set DATABASE_URL to a PostgreSQL database: one file serves one machine only."


def check_file(session: Session, settings: type[Config]) -> Iterable[Finding]:
    """Open the file, which is never created."""
    path = sqlite_file(make_url(settings.SQLALCHEMY_DATABASE_URI))
    if not path.is_file():
        return [problem(f"the file {path} does not exist", UPGRADE)]
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        advice = "Let this user write to the file and to its folder, where SQLite creates two more files."
        return [problem(f"the file {path} is read-only", advice)]
    session.open()
    return [ok(f"the file {path}")]


def check_version(settings: type[Config]) -> Iterable[Finding]:
    """Find whether SQLite is used in production."""
    version = f"SQLite {sqlite3.sqlite_version}"
    is_production = not (settings.DEBUG or settings.TESTING)
    return [warning(f"{version} in production", POSTGRESQL_ADVICE) if is_production else ok(version)]
