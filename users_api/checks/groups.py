"""Which checks a deployment has, by its settings."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from sqlalchemy import make_url

from users_api.checks import access, limits, machine, rate_limits, sqlite
from users_api.checks.capacity import check_capacity
from users_api.checks.collations import check_collation
from users_api.checks.document import check_document
from users_api.checks.findings import Finding, not_checked
from users_api.checks.migration import check_migration
from users_api.checks.postgresql import (
    CONNECTION_ADVICE,
    check_clock,
    check_connection,
    check_encoding,
    check_server,
    check_timeouts,
    check_tls,
)
from users_api.checks.privileges import check_privileges
from users_api.checks.running import SECONDS, Check, Group
from users_api.checks.session import Session, connect_seconds
from users_api.checks.settings import check_values
from users_api.config import Config, SettingsError, settings_class

DOCUMENT_SECONDS: Final = 60  # It computes rather than waits, and a busy machine may need that long.
OTHERS: Final = ("machine", "document", "database", "access", "rate limits")


def checked_groups() -> list[Group]:
    """Return the groups of checks; without a settings class only that is checked."""
    values = Check("values", check_values)
    try:
        settings = settings_class()
    except SettingsError:
        return [Group("settings", [values]), *map(_unknown, OTHERS)]
    return [
        Group("settings", [values, Check("limits", partial(limits.check_limits, settings))]),
        Group("machine", _machine_checks(settings)),
        Group("document", [Check("document", check_document, seconds=DOCUMENT_SECONDS)]),
        _database_group(settings),
        Group("access", _access_checks(settings)),
        Group("rate limits", _rate_limit_checks(settings)),
    ]


def _unknown(name: str) -> Group:
    return Group(name, [Check(name, lambda: [not_checked("depends on APP_SETTINGS")])])


def _machine_checks(settings: type[Config]) -> list[Check]:
    return [
        Check("open files", partial(machine.check_open_files, settings)),
        Check("cores", partial(machine.check_cores, settings)),
    ]


def _database_group(settings: type[Config]) -> Group:
    session = Session(settings)
    try:
        is_sqlite = make_url(settings.SQLALCHEMY_DATABASE_URI).get_backend_name() == "sqlite"
        seconds = connect_seconds(settings)
    except SettingsError:  # The first check reports it.
        is_sqlite, seconds = False, SECONDS
    checks = (
        _sqlite_checks(session, settings) if is_sqlite else _postgresql_checks(session, settings, seconds)
    )
    return Group("database", checks, session.close)


def _sqlite_checks(session: Session, settings: type[Config]) -> list[Check]:
    return [
        Check("connection", partial(sqlite.check_file, session, settings)),
        Check("server", partial(sqlite.check_version, settings)),
        Check("migration", partial(check_migration, session), after="connection"),
    ]


def _postgresql_checks(session: Session, settings: type[Config], seconds: float) -> list[Check]:
    functions: dict[str, Callable[..., Iterable[Finding]]] = {
        "server": check_server,
        "tls": check_tls,
        "encoding": check_encoding,
        "collation": check_collation,
        "clock": check_clock,
        "timeouts": partial(check_timeouts, settings=settings),
        "capacity": partial(check_capacity, settings=settings),
        "migration": check_migration,
        "privileges": check_privileges,
    }
    return [
        Check("connection", partial(check_connection, session), advice=CONNECTION_ADVICE, seconds=seconds),
        *(Check(name, partial(function, session), "connection") for name, function in functions.items()),
    ]


def _access_checks(settings: type[Config]) -> list[Check]:
    return [
        Check("tokens", partial(access.check_tokens, settings), advice=access.ISSUER_ADVICE),
        Check("hosts", partial(access.check_hosts, settings)),
    ]


def _rate_limit_checks(settings: type[Config]) -> list[Check]:
    return [
        Check("limits", partial(rate_limits.check_limits, settings)),
        Check("store", partial(rate_limits.check_store, settings), advice=rate_limits.STORE_ADVICE),
    ]
