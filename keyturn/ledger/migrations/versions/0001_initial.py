"""The first tables.

Written out, not derived from `keyturn.ledger.tables`: a migration stays what it was when the tables go on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)
_NEW_ID = sa.text("gen_random_uuid()")
_NOTHING = sa.text("''")
_APPEND_ONLY = """
CREATE FUNCTION keyturn_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""
_TRIGGER = """
CREATE TRIGGER tr_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION keyturn_append_only()
"""


def upgrade() -> None:
    """Make them."""
    _manifests()
    _attempts()
    _gates()
    _audit()


def downgrade() -> None:
    """Drop them with all they hold."""
    for table in ("audit", "decisions", "gates", "receipts", "attempts", "integrations", "manifests"):
        op.drop_table(table)
    op.execute("DROP FUNCTION keyturn_append_only()")


def _manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("registered_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_manifests"),
        sa.CheckConstraint("length(digest) = 64", name="ck_manifests_digest"),
    )
    op.create_table(
        "integrations",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("profile_name", sa.Text, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_integrations"),
        sa.UniqueConstraint("profile_name", name="uq_integrations_profile_name"),
        sa.ForeignKeyConstraint(["digest"], ["manifests.digest"], name="fk_integrations_digest"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Uuid, nullable=False, server_default=_NEW_ID),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, server_default=sa.text("'onboarding'")),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("requester_id", sa.Text, nullable=True),
        sa.Column("requester_name", sa.Text, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("flow_run_id", sa.Uuid, nullable=True),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("reason", sa.Text, nullable=False, server_default=_NOTHING),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["key"], ["integrations.key"], name="fk_attempts_key"),
        sa.ForeignKeyConstraint(["digest"], ["manifests.digest"], name="fk_attempts_digest"),
        sa.CheckConstraint("state IN ('active', 'completed', 'rejected', 'abandoned')", name="ck_attempts_state"),
        sa.CheckConstraint("fence >= 0", name="ck_attempts_fence"),
        sa.CheckConstraint("(state = 'active') = (ended_at IS NULL)", name="ck_attempts_ended"),
    )
    active = sa.text("state = 'active'")
    op.create_index("ux_attempts_one_active", "attempts", ["key"], unique=True, postgresql_where=active)
    op.create_index("ix_attempts_key", "attempts", ["key", "seq"])
    op.create_table(
        "receipts",
        sa.Column("attempt_id", sa.Uuid, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "stage", "digest", name="pk_receipts"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_receipts_attempt"),
    )


def _gates() -> None:
    op.create_table(
        "gates",
        sa.Column("id", sa.Uuid, nullable=False, server_default=_NEW_ID),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("attempt_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("requester_id", sa.Text, nullable=True),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("groups", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("rearm_at", _MOMENT, nullable=False),
        sa.Column("decided_at", _MOMENT, nullable=True),
        sa.Column("resumed_at", _MOMENT, nullable=True),
        sa.Column("reason", sa.Text, nullable=False, server_default=_NOTHING),
        sa.Column("question", postgresql.JSONB, nullable=False),
        sa.Column("answer", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.PrimaryKeyConstraint("id", name="pk_gates"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_gates_attempt"),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected', 'void', 'expired')", name="ck_gates_state"),
        sa.CheckConstraint("channel IN ('keyturn', 'prefect')", name="ck_gates_channel"),
        sa.CheckConstraint("needed >= 1", name="ck_gates_needed"),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="ck_gates_decided"),
    )
    is_open = sa.text("state = 'open'")
    owed = sa.text("resumed_at IS NULL AND state IN ('approved', 'rejected')")
    op.create_index("ux_gates_one_open", "gates", ["attempt_id", "kind"], unique=True, postgresql_where=is_open)
    op.create_index("ix_gates_attempt", "gates", ["attempt_id", "kind", "seq"])
    op.create_index("ix_gates_key", "gates", ["key", "seq"])
    op.create_index("ix_gates_open", "gates", ["rearm_at"], postgresql_where=is_open)
    op.create_index("ix_gates_owed", "gates", ["decided_at"], postgresql_where=owed)
    op.create_table(
        "decisions",
        sa.Column("gate_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("signed_in", sa.Text, nullable=False),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("gate_id", "seq", name="pk_decisions"),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"], name="fk_decisions_gate"),
        sa.UniqueConstraint("gate_id", "person_id", name="uq_decisions_once"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("attempt_id", sa.Uuid, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("signed_in", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("detail", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_key", "audit", ["key", "id"])
    op.execute(_APPEND_ONLY)
    op.execute(_TRIGGER)
