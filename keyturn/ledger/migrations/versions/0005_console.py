"""The console: who is signed in, what its replicas share, and where each integration stands, ready to be listed.

Whatever changes an integration adds its key to `stale`, and says so on the channel `keyturn_fleet`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from keyturn.ledger.standstill import stand_still

revision = "0005"
down_revision = "0004"

_MOMENT = sa.DateTime(timezone=True)
_MOMENTS = postgresql.ARRAY(_MOMENT)
_TEXTS = postgresql.ARRAY(sa.Text)
_WORKED_WITH = ("attempts", "gates", "conditions", "receipts")
_WORKED_WITH_LATER = ("manifests", "notices")  # by the next migration, which is applied in the same transaction
_MARK = """
CREATE FUNCTION keyturn_mark_stale(changed text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stale (key) VALUES (changed);
    PERFORM pg_notify('keyturn_fleet', changed);
END $$
"""
_CHANGED = """
CREATE FUNCTION keyturn_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keyturn_mark_stale(CASE TG_OP WHEN 'DELETE' THEN OLD.key ELSE NEW.key END);
    RETURN NULL;
END $$
"""
_RECEIPT_CHANGED = """
CREATE FUNCTION keyturn_receipt_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keyturn_mark_stale(attempts.key) FROM attempts
    WHERE attempts.id = CASE TG_OP WHEN 'DELETE' THEN OLD.attempt_id ELSE NEW.attempt_id END;
    RETURN NULL;
END $$
"""
# Of integrations, that one was looked at changes nothing; nor does of conditions what is not raised yet.
_TRIGGERS = {
    "tr_attempts_changed": "AFTER INSERT OR UPDATE OR DELETE ON attempts FOR EACH ROW",
    "tr_gates_changed": "AFTER INSERT OR UPDATE OR DELETE ON gates FOR EACH ROW",
    "tr_integrations_changed": "AFTER INSERT OR DELETE OR UPDATE OF key, digest ON integrations FOR EACH ROW",
    "tr_conditions_changed": "AFTER INSERT OR DELETE ON conditions FOR EACH ROW",
    "tr_conditions_turned": "AFTER UPDATE ON conditions FOR EACH ROW WHEN (OLD.raised IS DISTINCT FROM NEW.raised)",
    "tr_receipts_changed": "AFTER INSERT OR UPDATE OR DELETE ON receipts FOR EACH ROW",
}


def upgrade() -> None:
    """Make the tables, and mark what is there, so that whoever reads first lists it."""
    stand_still([*_WORKED_WITH, *_WORKED_WITH_LATER], ["integrations"])
    _sessions()
    _codes()
    _shared()
    _standings()
    _snapshots()
    _triggers()
    op.execute("INSERT INTO stale (key) SELECT key FROM integrations")


def downgrade() -> None:
    """Drop them with all they hold."""
    stand_still(_WORKED_WITH, ["integrations"])
    op.drop_column("integrations", "hastened_at")
    for trigger in _TRIGGERS:
        op.execute(f"DROP TRIGGER {trigger} ON {trigger.split('_')[1]}")
    for function in ("keyturn_receipt_changed()", "keyturn_changed()", "keyturn_mark_stale(text)"):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_index("ix_receipts_at", "receipts")
    op.drop_index("ix_integrations_checked", "integrations")
    for table in ("snapshots", "stale", "standings", "ticks", "sightings", "tries", "codes", "sessions"):
        op.drop_table(table)


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("groups", _TEXTS, nullable=False),
        sa.Column("signed_in", sa.Text, nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("token", name="pk_sessions"),
        sa.CheckConstraint("length(token) = 64", name="ck_sessions_token"),
    )
    op.create_index("ix_sessions_person", "sessions", ["person_id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index("ix_sessions_ends", "sessions", ["ends_at"])


def _codes() -> None:
    op.create_table(
        "codes",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("groups", _TEXTS, nullable=False),
        sa.Column("signed_in", sa.Text, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("code", name="pk_codes"),
        sa.CheckConstraint("length(code) = 64", name="ck_codes_code"),
    )


def _shared() -> None:
    op.create_table(
        "tries",
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("at", _MOMENTS, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name="pk_tries"),
    )
    op.create_table(
        "sightings",
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("about", name="pk_sightings"),
    )
    op.create_table(
        "ticks",
        sa.Column("gate_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("gate_id", "person_id", "step", name="pk_ticks"),
        sa.CheckConstraint("step >= 1", name="ck_ticks_step"),
    )


def _standings() -> None:
    op.create_table(
        "standings",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("health", sa.Text, nullable=False),
        sa.Column("says", sa.Text, nullable=False),
        sa.Column("attempt_id", sa.Uuid, nullable=True),
        sa.Column("kind", sa.Text, nullable=True),
        sa.Column("stage", sa.Text, nullable=True),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("causes", _TEXTS, nullable=False),
        sa.Column("waiting", postgresql.JSONB, nullable=False),
        sa.Column("groups", _TEXTS, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("turned_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("grace_ends_at", _MOMENT, nullable=True),
        sa.Column("verdict", postgresql.JSONB, nullable=False),
        sa.Column("tags", _TEXTS, nullable=False),
        sa.Column("parts", _TEXTS, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_standings"),
        sa.CheckConstraint("state IN ('halted', 'waiting', 'moving', 'live', 'ended')", name="ck_standings_state"),
        sa.CheckConstraint("health IN ('raised', 'unknown', 'never checked', 'ok')", name="ck_standings_health"),
    )
    op.create_index("ix_standings_urgency", "standings", ["rank", "since", "key"])
    op.create_index("ix_standings_turned", "standings", ["turned_at", "key"])
    op.create_index("ix_standings_due", "standings", ["due_at", "key"])
    running = sa.text("grace_ends_at IS NOT NULL")
    op.create_index("ix_standings_grace", "standings", ["grace_ends_at"], postgresql_where=running)
    at_once = {"fastupdate": "off"}
    op.create_index(
        "ix_standings_tags", "standings", ["tags", "parts"], postgresql_using="gin", postgresql_with=at_once
    )


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_snapshots"),
    )


def _triggers() -> None:
    op.add_column("integrations", sa.Column("hastened_at", _MOMENT, nullable=True))
    last_look = sa.text("coalesce(checked_at, '0001-01-01 00:00:00+00'::timestamptz)")
    op.create_index("ix_integrations_checked", "integrations", [last_look, "key"])
    op.create_index("ix_receipts_at", "receipts", ["at"])
    op.create_table("stale", sa.Column("key", sa.Text, nullable=False))
    for function in (_MARK, _CHANGED, _RECEIPT_CHANGED):
        op.execute(function)
    for name, when in _TRIGGERS.items():
        function = "keyturn_receipt_changed" if name == "tr_receipts_changed" else "keyturn_changed"
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function}()")
