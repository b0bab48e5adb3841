"""Checks the collations, on which the order of indexes depends."""

from collections.abc import Iterable
from typing import Final

from users_api.checks.findings import Finding, ok, problem, warning
from users_api.checks.session import Session

FIRST_VERSION_WITH_VERSIONS: Final = 150000  # The first that stores the version of a database's collation.
EMAIL_COLLATION: Final = "C"
DATABASE: Final = "SELECT datcollate FROM pg_database WHERE datname = current_database()"
VERSIONS: Final = """
    SELECT quote_ident(datname) AS datname, datcollversion AS stored,
           pg_database_collation_actual_version(oid) AS actual
    FROM pg_database WHERE datname = current_database()
"""
EMAIL: Final = """
    SELECT collname FROM pg_attribute JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE attrelid = to_regclass('users') AND attname = 'email'
"""


def check_collation(session: Session) -> Iterable[Finding]:
    """Find whether an update of the system changed the order of text, and whether emails compare as bytes."""
    found = [*_version(session), *_email(session)]
    return found or [ok(f"{session.row(DATABASE).datcollate}, and C for emails")]


def _version(session: Session) -> Iterable[Finding]:
    if session.libpq.server_version < FIRST_VERSION_WITH_VERSIONS:
        return
    database = session.row(VERSIONS)
    if database.stored != database.actual:
        yield warning(
            f"the system's version is {database.actual}, indexes were built with {database.stored}",
            f"Run REINDEX DATABASE {database.datname}; "
            f"ALTER DATABASE {database.datname} REFRESH COLLATION VERSION;",
        )


def _email(session: Session) -> Iterable[Finding]:
    for (collation,) in session.rows(EMAIL):
        if collation != EMAIL_COLLATION:
            yield problem(
                f"emails have the collation {collation}, so that their lower case depends on it",
                f'Run ALTER TABLE users ALTER email TYPE varchar(128) COLLATE "{EMAIL_COLLATION}";',
            )
