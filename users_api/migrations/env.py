"""How Alembic reaches the database: through the application's own engine, or, with `--sql`, as text for a person."""

from typing import Any

from alembic import context

from users_api.db import db, transaction

TIMEOUTS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0"


def migrate() -> None:
    """Run the migrations, for as long as they take.

    One that does not get its lock gives up: every request would wait behind it.
    """
    with context.begin_transaction():
        if db.engine.dialect.name == "postgresql":
            context.execute(TIMEOUTS)
        context.run_migrations()


def number(_context: Any, _revision: Any, scripts: list[Any]) -> None:
    """Give a new migration the next number, by which an older version knows it as newer."""
    scripts[0].rev_id = f"{int(context.script.get_current_head() or 0) + 1:04}"


def write_sql() -> None:
    """Print the statements instead of running them."""
    context.configure(dialect_name=db.engine.dialect.name, target_metadata=db.metadata, literal_binds=True)
    migrate()


def run() -> None:
    """Run all migrations in one transaction: a failed one leaves no trace on PostgreSQL."""
    with transaction() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, process_revision_directives=number)
        migrate()


if context.is_offline_mode():
    write_sql()
else:
    run()
