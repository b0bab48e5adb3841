"""The tag `health`: what an orchestrator asks."""

from users_api.answers import Answer, success
from users_api.db import schema_is_newest
from users_api.errors import SchemaOutdated


def check_liveness() -> Answer:
    """Answer as long as the process runs; the database is not asked, since a restart would not mend it."""
    return success(message="live")


def check_readiness() -> Answer:
    """Answer when the database does and has the newest schema."""
    if not schema_is_newest():
        raise SchemaOutdated
    return success(message="ready")
