"""How Alembic reaches the database: through the application's own engine, or, with `--sql`, as text for a person."""

from alembic import context

from users_api.db import db, transaction


def write_sql() -> None:
    """Print the statements instead of running them."""
    context.configure(dialect_name=db.engine.dialect.name, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run all migrations in one transaction: a failed one leaves no trace on PostgreSQL."""
    with transaction() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    write_sql()
else:
    run()
