"""Rotations, what the watch sees, and what people are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_MOMENT = sa.DateTime(timezone=True)
_NOTHING = sa.text("''")
_CHECKS = {
    "ck_attempts_kind": "kind IN ('onboarding', 'rotation')",
    "ck_attempts_halt": "halt IN ('', 'rolled_back', 'orphaned')",
    "ck_attempts_wish": "wish IN ('', 'roll_back', 'lost_secret')",
}


def upgrade() -> None:
    """Make them."""
    _attempts()
    op.add_column("integrations", sa.Column("checked_at", _MOMENT, nullable=True))
    _observations()
    _notices()


def downgrade() -> None:
    """Drop them with all they hold."""
    for table in ("notices", "conditions", "observations"):
        op.drop_table(table)
    op.drop_column("integrations", "checked_at")
    op.drop_index("ix_attempts_active", "attempts")
    for check in _CHECKS:
        op.drop_constraint(check, "attempts")
    for column in ("begun_at", "restarted_at", "restarts", "terms", "wish", "halt"):
        op.drop_column("attempts", column)


def _attempts() -> None:
    op.add_column("attempts", sa.Column("halt", sa.Text, nullable=False, server_default=_NOTHING))
    op.add_column("attempts", sa.Column("wish", sa.Text, nullable=False, server_default=_NOTHING))
    terms = sa.Column("terms", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'"))
    op.add_column("attempts", terms)
    op.add_column("attempts", sa.Column("restarts", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("attempts", sa.Column("restarted_at", _MOMENT, nullable=True))
    op.add_column("attempts", sa.Column("begun_at", _MOMENT, nullable=True))
    for name, condition in _CHECKS.items():
        op.create_check_constraint(name, "attempts", condition)
    op.create_index("ix_attempts_active", "attempts", ["seq"], postgresql_where=sa.text("state = 'active'"))


def _observations() -> None:
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False, server_default=_NOTHING),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("latency_ms", sa.Integer, nullable=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_observations"),
        sa.CheckConstraint("outcome IN ('ok', 'bad', 'unknown')", name="ck_observations_outcome"),
    )
    op.create_index("ix_observations_key", "observations", ["key", "subject", "id"])
    op.create_index("ix_observations_at", "observations", ["at"])
    op.create_table(
        "conditions",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("raised", sa.Boolean, nullable=False),
        sa.Column("against", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", "cause", name="pk_conditions"),
    )
    op.create_index("ix_conditions_raised", "conditions", ["key"], postgresql_where=sa.text("raised"))


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid, nullable=False, server_default=sa.text("gen_random_uuid()")),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("facts", postgresql.JSONB, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("delivered", postgresql.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("settled_at", _MOMENT, nullable=True),
        sa.Column("failure", sa.Text, nullable=False, server_default=_NOTHING),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("about", name="uq_notices_about"),
        sa.CheckConstraint("severity IN ('info', 'warning', 'error', 'critical')", name="ck_notices_severity"),
    )
    op.create_index("ix_notices_due", "notices", ["due_at"], postgresql_where=sa.text("settled_at IS NULL"))
