"""Refuses to read or write tables that this version does not know."""

import click

from users_api.database import schema_is_newest


def require_newest_schema() -> None:
    """Raise ClickException unless the database is at the newest migration."""
    if not schema_is_newest():
        message = "The database is not at the newest migration: run `users-api db upgrade` first."
        raise click.ClickException(message)
