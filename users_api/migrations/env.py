"""How Alembic reaches the database: through the application's own engine, or, with `--sql`, as text for a person."""

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


def write_sql() -> None:
    """Print the statements instead of running them."""
    context.configure(dialect_name=db.engine.dialect.name, target_metadata=db.metadata, literal_binds=True)
    migrate()


def run() -> None:
    """Run all migrations in one transaction: a failed one leaves no trace on PostgreSQL."""
    with transaction() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, compare_type=True)
        migrate()


if context.is_offline_mode():
    write_sql()
else:
    run()
