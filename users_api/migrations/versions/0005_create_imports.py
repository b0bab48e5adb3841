"""Create the table of imports, which records how far each has come."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and its checks; no older code uses it."""
    op.create_table(
        "imports",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("rejected_bytes", sa.BigInteger, nullable=True),
        sa.Column("finished_date", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.CheckConstraint("length(id) = 64", name=op.f("ck_imports_id")),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_imports_digest")),
    )


def downgrade() -> None:
    """Revert the migration; unfinished imports cannot be continued."""
    op.drop_table("imports")
