"""The ledger's tables.

Rules that must hold whatever the code does are constraints here: one active attempt an integration, one open gate of a
kind, one decision a person, an audit trail that only grows (its trigger is made by the migration).

Two things are easy to miss:

* `seq` columns order rows that were written at the same moment; identifiers are random and clocks may stand still.
* `audit` has no foreign keys. Its rows may be written by a second connection while the attempt's row is locked, and a
  foreign key would make that connection wait for the lock, for ever.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Wish
from keyturn.domain.gate import Channel, GateState
from keyturn.domain.health import Outcome
from keyturn.domain.notice import Severity


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _json(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False)


def _one_of(column: str, values: type[StrEnum], name: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(v)) for v in values)})", name=name)


metadata = MetaData()

manifests = Table(
    "manifests",
    metadata,
    _text("digest"),
    _text("key"),
    _json("body"),
    _moment("registered_at"),
    PrimaryKeyConstraint("digest", name="pk_manifests"),
    CheckConstraint("length(digest) = 64", name="ck_manifests_digest"),
)

integrations = Table(
    "integrations",
    metadata,
    _text("key"),
    Column("digest", Text, ForeignKey("manifests.digest", name="fk_integrations_digest"), nullable=False),
    _text("profile_name"),
    _moment("updated_at"),
    _moment("checked_at", nullable=True),
    PrimaryKeyConstraint("key", name="pk_integrations"),
    # A profile is found again by its name: two integrations with one name would write into each other's profile.
    UniqueConstraint("profile_name", name="uq_integrations_profile_name"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("key", Text, ForeignKey("integrations.key", name="fk_attempts_key"), nullable=False),
    Column("kind", Text, nullable=False, server_default=text("'onboarding'")),
    Column("digest", Text, ForeignKey("manifests.digest", name="fk_attempts_digest"), nullable=False),
    _text("requester_id", nullable=True),
    _text("requester_name", nullable=True),
    _text("state"),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("flow_run_id", Uuid, nullable=True),
    _moment("started_at"),
    _moment("ended_at", nullable=True),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("halt", Text, nullable=False, server_default=text("''")),
    Column("wish", Text, nullable=False, server_default=text("''")),
    Column("terms", JSONB, nullable=False, server_default=text("'{}'")),
    # How often the watch has restarted it since its last receipt, and when.
    Column("restarts", Integer, nullable=False, server_default=text("0")),
    _moment("restarted_at", nullable=True),
    _moment("begun_at", nullable=True),
    PrimaryKeyConstraint("id", name="pk_attempts"),
    _one_of("state", AttemptState, "ck_attempts_state"),
    _one_of("kind", AttemptKind, "ck_attempts_kind"),
    _one_of("halt", Halt, "ck_attempts_halt"),
    _one_of("wish", Wish, "ck_attempts_wish"),
    CheckConstraint("fence >= 0", name="ck_attempts_fence"),
    CheckConstraint("(state = 'active') = (ended_at IS NULL)", name="ck_attempts_ended"),
)
Index("ux_attempts_one_active", attempts.c.key, unique=True, postgresql_where=text("state = 'active'"))
Index("ix_attempts_key", attempts.c.key, attempts.c.seq)
Index("ix_attempts_active", attempts.c.seq, postgresql_where=text("state = 'active'"))

receipts = Table(
    "receipts",
    metadata,
    Column("attempt_id", Uuid, ForeignKey("attempts.id", name="fk_receipts_attempt"), nullable=False),
    _text("stage"),
    _text("digest"),
    Column("fence", BigInteger, nullable=False),
    _json("body"),
    _moment("at"),
    PrimaryKeyConstraint("attempt_id", "stage", "digest", name="pk_receipts"),
)

gates = Table(
    "gates",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("attempt_id", Uuid, ForeignKey("attempts.id", name="fk_gates_attempt"), nullable=False),
    _text("key"),
    _text("kind"),
    _text("digest"),
    _text("requester_id", nullable=True),
    Column("needed", Integer, nullable=False),
    Column("groups", ARRAY(Text), nullable=False),
    _text("channel"),
    _text("state"),
    _moment("opened_at"),
    _moment("rearm_at"),
    _moment("decided_at", nullable=True),
    _moment("resumed_at", nullable=True),
    Column("reason", Text, nullable=False, server_default=text("''")),
    _json("question"),
    Column("answer", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("id", name="pk_gates"),
    _one_of("state", GateState, "ck_gates_state"),
    _one_of("channel", Channel, "ck_gates_channel"),
    CheckConstraint("needed >= 1", name="ck_gates_needed"),
    CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="ck_gates_decided"),
)
Index("ux_gates_one_open", gates.c.attempt_id, gates.c.kind, unique=True, postgresql_where=text("state = 'open'"))
Index("ix_gates_attempt", gates.c.attempt_id, gates.c.kind, gates.c.seq)
Index("ix_gates_key", gates.c.key, gates.c.seq)
Index("ix_gates_open", gates.c.rearm_at, postgresql_where=text("state = 'open'"))
Index(
    "ix_gates_owed",
    gates.c.decided_at,
    postgresql_where=text("resumed_at IS NULL AND state IN ('approved', 'rejected')"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("gate_id", Uuid, ForeignKey("gates.id", name="fk_decisions_gate"), nullable=False),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    _text("person_id"),
    _text("person_name"),
    _text("signed_in"),
    Column("approved", Boolean, nullable=False),
    _text("digest"),
    _text("note"),
    _moment("at"),
    PrimaryKeyConstraint("gate_id", "seq", name="pk_decisions"),
    UniqueConstraint("gate_id", "person_id", name="uq_decisions_once"),
)

audit = Table(
    "audit",
    metadata,
    # Given by whoever writes, one after the other, and never by a sequence: those leave gaps.
    Column("seq", BigInteger, autoincrement=False, nullable=False),
    _moment("at"),
    _text("key"),
    Column("attempt_id", Uuid, nullable=True),
    _text("actor"),
    _text("signed_in"),
    _text("event"),
    _text("digest"),
    _json("detail"),
    _text("prev"),
    _text("hash"),
    PrimaryKeyConstraint("seq", name="pk_audit"),
    CheckConstraint("seq >= 1", name="ck_audit_seq"),
)
Index("ix_audit_key", audit.c.key, audit.c.seq)

observations = Table(
    "observations",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    _text("key"),
    _text("subject"),
    _text("outcome"),
    Column("cause", Text, nullable=False, server_default=text("''")),
    _text("evidence"),
    Column("latency_ms", Integer, nullable=True),
    _moment("at"),
    PrimaryKeyConstraint("id", name="pk_observations"),
    _one_of("outcome", Outcome, "ck_observations_outcome"),
)
Index("ix_observations_key", observations.c.key, observations.c.subject, observations.c.id)
Index("ix_observations_at", observations.c.at)

conditions = Table(
    "conditions",
    metadata,
    _text("key"),
    _text("cause"),
    Column("raised", Boolean, nullable=False),
    Column("against", Integer, nullable=False, server_default=text("0")),
    _moment("since"),
    _text("evidence"),
    _text("remedy"),
    PrimaryKeyConstraint("key", "cause", name="pk_conditions"),
)
Index("ix_conditions_raised", conditions.c.key, postgresql_where=text("raised"))

notices = Table(
    "notices",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    _text("event"),
    _text("severity"),
    _text("key"),
    # What it is about, so that nothing is told twice: two writers of one notice make one row.
    _text("about"),
    _json("facts"),
    _moment("created_at"),
    _moment("due_at"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("delivered", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    _moment("settled_at", nullable=True),
    Column("failure", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("id", name="pk_notices"),
    UniqueConstraint("about", name="uq_notices_about"),
    _one_of("severity", Severity, "ck_notices_severity"),
)
Index("ix_notices_due", notices.c.due_at, postgresql_where=text("settled_at IS NULL"))
