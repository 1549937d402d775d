"""Attempts that a preflight ends: refused, which is neither rejected by people nor abandoned by them."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

_NAME = "ck_attempts_state"
_BEFORE = "state IN ('active', 'completed', 'rejected', 'abandoned')"
_AFTER = "state IN ('active', 'completed', 'rejected', 'abandoned', 'refused')"


def upgrade() -> None:
    """Let them be."""
    _allow(_AFTER)


def downgrade() -> None:
    """Call them abandoned, as they were called before."""
    op.execute("UPDATE attempts SET state = 'abandoned' WHERE state = 'refused'")
    _allow(_BEFORE)


def _allow(condition: str) -> None:
    op.drop_constraint(_NAME, "attempts")
    op.create_check_constraint(_NAME, "attempts", condition)
