"""The tag `health`, as far as it needs nothing at all."""

from flask import Response

from users_api.answers import success


def ping() -> Response:
    """Answer, whatever the state of the database."""
    return success(message="pong")
