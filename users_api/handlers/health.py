"""The operations tagged `health`, for orchestrators' probes."""

from users_api.database import schema_is_newest
from users_api.engine import Response
from users_api.envelope import success
from users_api.errors import SchemaOutdated


def ping() -> Response:
    """Return 200 regardless of the database."""
    return success(message="pong")


def check_liveness() -> Response:
    """Return 200 regardless of the database: a restart of this process would not repair the database."""
    return success(message="live")


def check_readiness() -> Response:
    """Return 200 if the database is available and at the newest migration."""
    if not schema_is_newest():
        raise SchemaOutdated
    return success(message="ready")
