"""Index the searches of users by the beginning of a name or email, and by the time when they were added."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WITHOUT_TIMEOUTS = "SET lock_timeout = 0; SET statement_timeout = 0"
RESET_TIMEOUTS = "RESET lock_timeout; RESET statement_timeout"
TIMEOUTS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0"

IS_INVALID = sa.text("SELECT true FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
COMMON_PREFIX = """
CREATE OR REPLACE FUNCTION users_common_prefix(username text, email text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    one text := lower(username COLLATE "C");
    other text := lower(email COLLATE "C");
BEGIN
    FOR length IN 1 .. greatest(length(one), length(other)) LOOP
        IF left(one, length) <> left(other, length) THEN RETURN length - 1; END IF;
    END LOOP;
    RETURN greatest(length(one), length(other));
END $$
"""
INDEXES = {
    "ix_users_active_created_date_id": ["active", "created_date", "id"],
    "ix_users_active_lower_username_id": ["active", sa.text('lower(username COLLATE "C")'), "id"],
    "ix_users_active_common_prefix_lower_email_id": [
        "active",
        sa.text("users_common_prefix(username, email)"),
        sa.text("lower(email)"),
        "id",
    ],
}


def upgrade() -> None:
    """Create the indexes; reads and writes continue, and the previous version does not use them."""
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index("ix_users_active_created_date_id", "users", ["active", "created_date", "id"])
        username = sa.text("lower(username)")
        op.create_index("ix_users_active_lower_username_id", "users", ["active", username, "id"])
        return
    op.execute(COMMON_PREFIX)
    with context.autocommit_block():
        op.execute(WITHOUT_TIMEOUTS)
        for name, columns in INDEXES.items():
            create_index(name, columns)
        op.execute(RESET_TIMEOUTS)
    op.execute(TIMEOUTS)


def downgrade() -> None:
    """Revert the migration."""
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.drop_index("ix_users_active_lower_username_id", "users")
        op.drop_index("ix_users_active_created_date_id", "users")
        return
    with context.autocommit_block():
        op.execute(WITHOUT_TIMEOUTS)
        for name in INDEXES:
            op.drop_index(name, "users", postgresql_concurrently=True, if_exists=True)
        op.execute(RESET_TIMEOUTS)
    op.execute(TIMEOUTS)
    op.execute("DROP FUNCTION IF EXISTS users_common_prefix(text, text)")


def create_index(name: str, columns: list[str | sa.TextClause]) -> None:
    """Create the index without blocking writers, again if an interruption has left an invalid one."""
    if not op.get_context().as_sql and op.get_bind().scalar(IS_INVALID, {"name": name}):
        op.drop_index(name, "users", postgresql_concurrently=True)
    op.create_index(name, "users", columns, postgresql_concurrently=True, if_not_exists=True)
