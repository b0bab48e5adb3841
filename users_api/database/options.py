"""How engines are created and adapted to their database."""

import os
from functools import partial
from math import ceil
from typing import Any, Final

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext

from users_api.database.connections import ENCODING, LoopConnection, require_encoding
from users_api.database.pool import GreenletPool
from users_api.database.sqlite import RetryingConnection, prepare_connection

READ_ONLY_SQLSTATE: Final = "25006"  # PostgreSQL's read_only_sql_transaction.
BUSY_SECONDS: Final = 10


def engine_options(  # noqa: PLR0913 -- all but the URL are keywords.
    url: URL,
    *,
    application_name: str,
    pool_size: int,
    max_waiting: int,
    pool_timeout: float,
    connect_timeout: float,
) -> dict[str, Any]:
    """Return create_engine's options for this database; the times are in seconds.

    PostgreSQL lists connections with the application's name. Statement parameters are personal data: they are
    hidden from logs and messages.
    """
    options = {"isolation_level": "AUTOCOMMIT", "hide_parameters": True}
    pool = {
        "poolclass": GreenletPool,
        "pool_size": pool_size,
        "max_waiting": max_waiting,
        "max_overflow": 0,
        "seconds": pool_timeout,
    }
    if url.get_backend_name() == "sqlite":
        factory = partial(RetryingConnection, busy_seconds=BUSY_SECONDS)
        return options | (pool if _is_file(url) else {}) | {"connect_args": {"factory": factory}}
    return options | pool | {"connect_args": _libpq_options(application_name, connect_timeout)}


def _is_file(url: URL) -> bool:
    """Return whether SQLite's database is a file; an in-memory database uses SQLAlchemy's own pool."""
    return url.database not in {None, "", ":memory:"}


def _libpq_options(application_name: str, connect_timeout: float) -> dict[str, Any]:
    return {
        "application_name": application_name,
        "client_encoding": ENCODING,  # Takes precedence over PGCLIENTENCODING.
        "connection_factory": partial(LoopConnection, connect_seconds=connect_timeout),
        "connect_timeout": ceil(connect_timeout),
        # A cut network is noticed only when acknowledgements are missing; with several hosts libpq then
        # tries the next one.
        "tcp_user_timeout": ceil(connect_timeout * 1000),
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
    }


def listen_to_engine_events(engine: Engine) -> None:
    """Prepare SQLite's connections, check PostgreSQL's, and leave a server that has become read-only."""
    is_sqlite = engine.dialect.name == "sqlite"
    event.listen(engine, "connect", prepare_connection if is_sqlite else require_encoding)
    event.listen(engine, "handle_error", _disconnect_from_read_only)


def _disconnect_from_read_only(failure: ExceptionContext) -> None:
    """Treat a connection that rejects writes as lost: the next one may lead to the new primary."""
    if getattr(failure.original_exception, "pgcode", None) == READ_ONLY_SQLSTATE:
        failure.is_disconnect = True
        failure.invalidate_pool_on_disconnect = False


def set_session_timeouts(engine: Engine, **seconds: float) -> None:
    """Set PostgreSQL's own timeouts, named as its settings; 0 keeps the server's value.

    For processes that serve requests; a migration may take longer. PgBouncer must ignore the startup
    parameter `options`, or all must be 0.
    """
    options = [f"-c {name}={ceil(limit * 1000)}" for name, limit in seconds.items() if limit]

    def limit(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        own = parameters.get("options", os.environ.get("PGOPTIONS", ""))
        parameters["options"] = " ".join(filter(None, [*options, own]))

    if options and engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", limit)
