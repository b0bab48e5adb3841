"""Checks of the PostgreSQL server and of the way to it."""

import time
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final

from users_api.access.claims import LEEWAY_SECONDS
from users_api.checks.findings import Finding, ok, problem, warning
from users_api.checks.session import Session, session_timeouts
from users_api.config import Config
from users_api.database.connections import ENCODING

OLDEST_VERSION: Final = 10  # The first with identity columns.
OLDEST_MAINTAINED_VERSION: Final = (
    15  # By the PostgreSQL project, https://www.postgresql.org/support/versioning/.
)
LARGEST_DIFFERENCE_SECONDS: Final = 2
CLOCK_SAMPLES: Final = 3
CONNECTION_ADVICE: Final = (
    "Compare DATABASE_URL with the server's address, role and password, and check that the server accepts "
    "connections from this machine; docs/scaling.md has the settings of PgBouncer."
)
TIMEOUTS_IN_FORCE: Final = """
    SELECT name, setting::float / 1000 AS seconds FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')
"""


def check_connection(session: Session) -> Iterable[Finding]:
    """Connect as the service does."""
    session.open()
    libpq = session.libpq
    where = f"{libpq.user}@{libpq.host}:{libpq.port}/{libpq.dbname}"
    pooler = ", through a connection pooler" if is_pooled(session) else ""
    return [ok(f"{where}{pooler}, in {session.connect_seconds * 1000:.0f} ms")]


def is_pooled(session: Session) -> bool:
    """Return whether a pooler is in between: it invents the process id that a client needs to cancel."""
    return bool(session.libpq.backend_pid != session.row("SELECT pg_backend_pid()")[0])


def check_server(session: Session) -> Iterable[Finding]:
    """Find whether the server is old, or accepts no writes."""
    yield judge_version(session.libpq.server_version)
    is_standby, is_read_only = session.row(
        "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean"
    )
    if is_standby:
        advice = "Name the primary in DATABASE_URL, or all servers with ?target_session_attrs=read-write."
        yield problem("the server is a standby, which accepts no writes", advice)
    elif is_read_only:
        advice = "Turn default_transaction_read_only off for the role, the database and the server."
        yield problem("transactions are read-only by default", advice)


def judge_version(number: int) -> Finding:
    """Return what a `server_version_num` means for the service."""
    major, minor = divmod(number, 10000)
    version = f"PostgreSQL {major}.{minor}"
    if major < OLDEST_VERSION:
        return problem(
            f"{version} has no identity columns", f"Upgrade it to {OLDEST_MAINTAINED_VERSION} or newer."
        )
    if major < OLDEST_MAINTAINED_VERSION:
        return warning(
            f"{version} gets no more fixes", f"Upgrade it to {OLDEST_MAINTAINED_VERSION} or newer."
        )
    return ok(version)


def check_tls(session: Session) -> Iterable[Finding]:
    """Find whether others on the network can read what is sent."""
    libpq = session.libpq
    if libpq.ssl_in_use:
        mode = libpq.dsn_parameters.get("sslmode")
        return [ok(f"{libpq.ssl_attribute('protocol')}, sslmode={mode}")]
    if _is_local(libpq.host):
        return [ok("not used, the server is on this machine")]
    advice = "Set PGSSLMODE=verify-full, or at least require, and turn TLS on at the server."
    return [warning("not used: the network can read passwords and users", advice)]


def _is_local(host: str | None) -> bool:
    try:
        return not host or host.startswith("/") or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_encoding(session: Session) -> Iterable[Finding]:
    """Find whether the database can store every name."""
    encoding = session.row("SHOW server_encoding")[0]
    if encoding == ENCODING:
        return [ok(encoding)]
    advice = f"Create a database with ENCODING '{ENCODING}' TEMPLATE template0, and restore a dump into it."
    return [problem(f"{encoding}; the service needs {ENCODING}", advice)]


def check_clock(session: Session) -> Iterable[Finding]:
    """Compare the clocks; the quickest of several answers is the most exact."""
    _, difference = min(_measure_clock(session) for _ in range(CLOCK_SAMPLES))
    text = f"{abs(difference):.2f} s {'behind' if difference < 0 else 'ahead of'} this machine"
    if abs(difference) > LEEWAY_SECONDS:
        return [problem(text, "Synchronise both clocks (NTP): access tokens depend on them.")]
    if abs(difference) > LARGEST_DIFFERENCE_SECONDS:
        return [warning(text, f"Synchronise both clocks (NTP); access tokens allow {LEEWAY_SECONDS} s.")]
    return [ok(f"{abs(difference):.2f} s apart from this machine")]


def _measure_clock(session: Session) -> tuple[float, float]:
    """Return how long the answer took, and by how many seconds the server's clock is ahead."""
    before = time.time()
    server = float(session.row("SELECT extract(epoch FROM clock_timestamp())")[0])
    after = time.time()
    return after - before, server - (before + after) / 2


def check_timeouts(session: Session, settings: type[Config]) -> Iterable[Finding]:
    """Find which timeouts are in force; a pooler may ignore those of the settings."""
    wanted = session_timeouts(settings)
    seconds: dict[str, Any] = {row.name: row.seconds for row in session.rows(TIMEOUTS_IN_FORCE)}
    endless = [name for name in wanted if not seconds[name]]
    shown = ", ".join(f"{name.removesuffix('_timeout')} {seconds[name]:g} s" for name in wanted)
    if endless:
        advice = f"Set it with DATABASE_…_TIMEOUT or ALTER ROLE … SET {endless[0]}, at a pooler's server too."
        return [warning(f"no limit for {', '.join(endless)}", advice)]
    return [ok(shown.replace("idle_in_transaction_session", "idle transaction"))]
