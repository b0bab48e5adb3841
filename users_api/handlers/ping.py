"""The tag `health`, as far as it needs nothing at all."""

from users_api.answers import Answer, success


def ping() -> Answer:
    """Answer, whatever the state of the database."""
    return success(message="pong")
