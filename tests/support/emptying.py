"""Resets the database between tests."""

from collections.abc import Container

from connexion import FlaskApp
from sqlalchemy import delete, text

from users_api.database import db


def empty(app: FlaskApp, *, kept: Container[str] = ()) -> None:
    """Delete all rows from the application's database, except from the kept tables, and restart its ids."""
    tables = [table for table in reversed(db.metadata.sorted_tables) if table.name not in kept]
    with app.app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
            return
        for table in tables:
            connection.execute(delete(table))
        connection.execute(text("DELETE FROM sqlite_sequence"))
