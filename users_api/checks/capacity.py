"""Checks whether the database has room for the connections of this instance."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from users_api.checks.findings import Finding, ok, problem, warning
from users_api.checks.postgresql import is_pooled
from users_api.checks.session import Session
from users_api.config import Config

# The service's own connections, which it names, do not count: the instance that is checked may be running.
LIMITS: Final = """
    WITH others AS (
        SELECT usesysid, datid FROM pg_stat_activity
        WHERE usesysid IS NOT NULL AND datid IS NOT NULL
          AND application_name NOT IN ('users-api', 'users-api check')
    )
    SELECT current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS server,
           (SELECT count(*) FROM others) AS server_others,
           quote_ident(rolname) AS rolname, rolsuper, rolconnlimit AS role,
           (SELECT count(*) FROM others WHERE usesysid = pg_roles.oid) AS role_others,
           quote_ident(datname) AS datname, datconnlimit AS database,
           (SELECT count(*) FROM others WHERE datid = pg_database.oid) AS database_others
    FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()
"""
FOR_UPGRADES: Final = "enough for two instances during an upgrade"


class Limit(NamedTuple):
    """How many connections something allows, how many others use, and how it is raised."""

    name: str
    allowed: int
    others: int
    advice: str


def check_capacity(session: Session, settings: type[Config]) -> Iterable[Finding]:
    """Compare the connections of one instance with the limits of the server, the role and the database."""
    needed = needed_connections(settings)
    if is_pooled(session):
        return [ok(f"{needed} needed from the pooler, whose own limits apply")]
    limits = sorted(_limits(session.row(LIMITS), needed), key=lambda limit: limit.allowed - limit.others)
    found = [_judge(limit, needed) for limit in limits]
    return [each for each in found if each] or [_room(limits[0], needed)]


def needed_connections(settings: type[Config]) -> int:
    """Return the maximum of one instance: each worker that issues tokens has one more."""
    of_worker = min(settings.POOL_SIZE, settings.REQUESTS_IN_FLIGHT)
    if settings.AUTH and not settings.AUTH_ISSUER:
        of_worker += 1
    return of_worker * settings.WEB_CONCURRENCY


def _limits(row: Any, needed: int) -> Iterator[Limit]:
    """Yield the limits that apply: -1 is none, and superusers are exempt from all but the first."""
    during_upgrades = 2 * needed
    yield Limit("the server (max_connections)", row.server, row.server_others, "Raise max_connections")
    if row.role >= 0 and not row.rolsuper:
        enough = row.role_others + during_upgrades
        advice = f"Run ALTER ROLE {row.rolname} CONNECTION LIMIT {enough}, {FOR_UPGRADES}"
        yield Limit(f"the role {row.rolname}", row.role, row.role_others, advice)
    if row.database >= 0 and not row.rolsuper:
        enough = row.database_others + during_upgrades
        advice = f"Run ALTER DATABASE {row.datname} CONNECTION LIMIT {enough}, {FOR_UPGRADES}"
        yield Limit(f"the database {row.datname}", row.database, row.database_others, advice)


def _judge(limit: Limit, needed: int) -> Finding | None:
    advice = f"{limit.advice}, or lower DATABASE_CONNECTIONS."
    if needed > limit.allowed:
        return problem(f"{needed} needed, {limit.name} allows {limit.allowed}", advice)
    if needed > limit.allowed - limit.others:
        text = f"{needed} needed, {limit.name} allows {limit.allowed}, of which others use {limit.others}"
        return warning(text, advice)
    return None


def _room(limit: Limit, needed: int) -> Finding:
    return ok(f"{needed} needed for each instance, {limit.allowed - limit.others} of {limit.allowed} free")
