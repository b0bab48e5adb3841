"""Makes a database that holds no users, and has never held any."""

from connexion import FlaskApp
from sqlalchemy import text

from users_api.db import db

STATEMENTS = {
    "sqlite": ("DELETE FROM users", "DELETE FROM sqlite_sequence"),
    "postgresql": ("TRUNCATE users RESTART IDENTITY",),
}


def empty(app: FlaskApp) -> None:
    """Remove the users from the application's database, and begin again with the first id."""
    with app.app.app_context(), db.engine.begin() as connection:
        for statement in STATEMENTS[connection.dialect.name]:
            connection.execute(text(statement))
