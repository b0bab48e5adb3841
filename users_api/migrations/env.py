"""Alembic's environment: runs migrations on the application's engine, or prints them with `--sql`."""

import subprocess
import sys
import warnings
from importlib.util import find_spec
from typing import Any, Final

from alembic import context
from alembic.script import write_hooks
from sqlalchemy import TypeDecorator

from users_api.database import db

RUFF_ARGUMENTS: Final = (("check", "--quiet", "--fix", "--select=F401,I"), ("format", "--quiet"))
TIMEOUTS: Final = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0"


def migrate() -> None:
    """Run the migrations without a statement timeout.

    A migration that waits for a lock fails after five seconds, because requests queue behind it.
    """
    with context.begin_transaction():
        if db.engine.dialect.name == "postgresql":
            context.execute(TIMEOUTS)
        context.run_migrations()


def assign_number(_context: Any, _revision: Any, scripts: list[Any]) -> None:
    """Assign the next number to a new migration, so that older versions recognize it as newer."""
    scripts[0].rev_id = f"{int(context.script.get_current_head() or 0) + 1:04}"


def render_type(kind: str, item: Any, _context: Any) -> Any:
    """Render the service's own types as SQLAlchemy's, so that migrations import no code that may change."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


@write_hooks.register("ruff")
def format_script(path: str, _options: Any) -> None:
    """Format a new migration as the linter requires, if the development tools are installed."""
    for arguments in RUFF_ARGUMENTS if find_spec("ruff") else ():
        subprocess.run([sys.executable, "-m", "ruff", *arguments, path], check=True)  # noqa: S603 -- ruff itself.


def print_sql() -> None:
    """Print the statements instead of executing them."""
    context.configure(dialect_name=db.engine.dialect.name, target_metadata=db.metadata, literal_binds=True)
    migrate()


def run() -> None:
    """Run the migrations in one transaction; one with an autocommit block commits it, and begins another.

    PostgreSQL rolls back what it has not committed if one fails. SQLite has a transaction for each migration.
    """
    postgresql = db.engine.dialect.name == "postgresql"
    options = {"isolation_level": "SERIALIZABLE"} if postgresql else {}
    with db.engine.connect().execution_options(**options) as connection, warnings.catch_warnings():
        # SQLAlchemy cannot reflect these from SQLite, and warns.
        warnings.filterwarnings("ignore", ".*expression-based index")
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            process_revision_directives=assign_number,
            render_item=render_type,
        )
        migrate()


if context.is_offline_mode():
    print_sql()
else:
    run()
