"""Replace the index of usernames by one that also orders pages by both filters, and bound the dates."""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WITHOUT_TIMEOUTS = "SET lock_timeout = 0; SET statement_timeout = 0"
RESET_TIMEOUTS = "RESET lock_timeout; RESET statement_timeout"
TIMEOUTS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0"

IS_INVALID = sa.text("SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
IS_POSSIBLE = "created_date >= '0001-01-02 00:00:00+00' AND created_date < '9999-12-31 00:00:00+00'"
IMPOSSIBLE = sa.text(f"SELECT id FROM users WHERE NOT ({IS_POSSIBLE}) LIMIT 1")  # noqa: S608 -- a constant.
BOUND_DATES = f"""
    -- squawk-ignore ban-drop-constraint
    ALTER TABLE users DROP CONSTRAINT IF EXISTS ck_users_created_date;
    ALTER TABLE users ADD CONSTRAINT ck_users_created_date CHECK ({IS_POSSIBLE}) NOT VALID
"""


def upgrade() -> None:
    """Replace an index and add a check; reads and writes continue.

    Until it is replaced, the previous version sorts all matching users for each list by username.

    SQLite could add the check only by copying the table.

    Raises:
        CommandError: a user has a date that the service cannot read.
    """
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index("ix_users_username_active_id", "users", ["username", "active", "id"])
        op.drop_index("ix_users_username_id", "users")
        return
    if not context.as_sql and (user := op.get_bind().scalar(IMPOSSIBLE)) is not None:
        message = f"The user {user} has a created_date that no program can read: correct it, and try again."
        raise CommandError(message)
    op.execute(BOUND_DATES)
    with context.autocommit_block():
        op.execute(WITHOUT_TIMEOUTS)
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_created_date")
        replace_index("ix_users_username_id", "ix_users_username_active_id", ["username", "active", "id"])
        op.execute(RESET_TIMEOUTS)
    op.execute(TIMEOUTS)


def downgrade() -> None:
    """Revert the migration."""
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index("ix_users_username_id", "users", ["username", "id"])
        op.drop_index("ix_users_username_active_id", "users")
        return
    op.drop_constraint("ck_users_created_date", "users", if_exists=True)
    with context.autocommit_block():
        op.execute(WITHOUT_TIMEOUTS)
        replace_index("ix_users_username_active_id", "ix_users_username_id", ["username", "id"])
        op.execute(RESET_TIMEOUTS)
    op.execute(TIMEOUTS)


def replace_index(old: str, new: str, columns: list[str]) -> None:
    """Create the new index, then drop the old one; after an interruption this starts again.

    PostgreSQL does both without blocking writers, but only outside of a transaction, and leaves an invalid
    index if it is interrupted. No timeout is needed: reads and writes do not queue behind it while it waits.
    """
    if not op.get_context().as_sql and op.get_bind().scalar(IS_INVALID, {"name": new}):
        op.drop_index(new, "users", postgresql_concurrently=True)
    op.create_index(new, "users", columns, postgresql_concurrently=True, if_not_exists=True)
    op.drop_index(old, "users", postgresql_concurrently=True, if_exists=True)
