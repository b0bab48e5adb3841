"""Create the table of clients, which get access tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, its checks and its index; no older code uses it."""
    op.create_table(
        "clients",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(1024), nullable=False),
        sa.Column("created_date", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("revoked_date", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.CheckConstraint("length(id) = 32", name=op.f("ck_clients_id")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 128", name=op.f("ck_clients_name")),
        sa.CheckConstraint("length(secret_hash) = 64", name=op.f("ck_clients_secret_hash")),
        sa.CheckConstraint("length(scopes) BETWEEN 1 AND 1024", name=op.f("ck_clients_scopes")),
    )
    op.create_index("ix_clients_revoked_date", "clients", ["revoked_date"])


def downgrade() -> None:
    """Revert the migration; deletes all clients."""
    op.drop_table("clients")
