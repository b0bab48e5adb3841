"""Create the table of users."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, its checks and its indexes; no older code uses the database."""
    op.create_table(
        "users",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.Identity(maxvalue=9007199254740991),
            nullable=False,
        ),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column(
            "email", sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("active", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_date", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("version", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.CheckConstraint("id BETWEEN 1 AND 9007199254740991", name=op.f("ck_users_id")),
        sa.CheckConstraint("length(username) BETWEEN 1 AND 128", name=op.f("ck_users_username")),
        sa.CheckConstraint("length(email) BETWEEN 1 AND 128", name=op.f("ck_users_email")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_users_email", "users", [sa.func.lower(sa.column("email"))], unique=True)
    op.create_index("ix_users_username_id", "users", ["username", "id"])
    op.create_index("ix_users_active_id", "users", ["active", "id"])


def downgrade() -> None:
    """Drop the table with every user in it."""
    op.drop_table("users")
