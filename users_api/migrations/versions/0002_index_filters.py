"""Replace the index of usernames by one that also orders pages by both filters."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WITHOUT_TIMEOUTS = "SET lock_timeout = 0; SET statement_timeout = 0"
RESET_TIMEOUTS = "RESET lock_timeout; RESET statement_timeout"
TIMEOUTS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0"

IS_INVALID = sa.text("SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def upgrade() -> None:
    """Slow down the previous version's lists by name; reads and writes continue during the migration."""
    replace_index("ix_users_username_id", "ix_users_username_active_id", ["username", "active", "id"])


def downgrade() -> None:
    """Revert the migration."""
    replace_index("ix_users_username_active_id", "ix_users_username_id", ["username", "id"])


def replace_index(old: str, new: str, columns: list[str]) -> None:
    """Create the new index, then drop the old one; after an interruption this starts again.

    PostgreSQL does both without blocking writers, but only outside of a transaction, and leaves an invalid
    index if it is interrupted. Nothing queues behind a session that waits in order to do so: no timeout.
    """
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index(new, "users", columns)
        op.drop_index(old, "users")
        return
    with context.autocommit_block():
        op.execute(WITHOUT_TIMEOUTS)
        if not context.as_sql and op.get_bind().scalar(IS_INVALID, {"name": new}):
            op.drop_index(new, "users", postgresql_concurrently=True)
        op.create_index(new, "users", columns, postgresql_concurrently=True, if_not_exists=True)
        op.drop_index(old, "users", postgresql_concurrently=True, if_exists=True)
        op.execute(RESET_TIMEOUTS)
    op.execute(TIMEOUTS)
