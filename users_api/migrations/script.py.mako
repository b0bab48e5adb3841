<%!
def statements(commands):
    """Return the commands without Alembic's marker comments."""
    lines = (commands or "pass").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith("# ###")).strip()
%>\
"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports or ""}

revision = "${up_revision}"
down_revision = ${'"%s"' % down_revision if down_revision else None}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """DESCRIBE how this affects the previous version of the service, which runs during the migration."""
    ${statements(upgrades)}


def downgrade() -> None:
    """Revert the migration."""
    ${statements(downgrades)}
