"""Resets the database between tests."""

from connexion import FlaskApp
from sqlalchemy import delete, text

from users_api.database import db


def empty(app: FlaskApp) -> None:
    """Delete all rows from the application's database and restart its ids."""
    tables = list(reversed(db.metadata.sorted_tables))
    with app.app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
            return
        for table in tables:
            connection.execute(delete(table))
        connection.execute(text("DELETE FROM sqlite_sequence"))
