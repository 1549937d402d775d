"""The ledger's tables.

Rules that must hold whatever the code does are constraints here: one active attempt an integration, one open gate of a
kind, one decision a person, an audit trail that only grows (its trigger is made by the migration).

Two things are easy to miss:

* `seq` columns order rows that were written at the same moment; identifiers are random and clocks may stand still.
* `audit` has no foreign keys. Its rows may be written by a second connection while the attempt's row is locked, and a
  foreign key would make that connection wait for the lock, for ever.

`metadata` also has the tables of the console, which are in files of their own.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Wish
from keyturn.domain.gate import Channel, GateState
from keyturn.domain.gauges import CallOutcome
from keyturn.domain.health import Outcome
from keyturn.domain.notice import Severity
from keyturn.ledger import budget_tables, columns, console_tables, fleet_tables  # noqa: F401  theirs belong to `metadata`, too
from keyturn.ledger.columns import json, moment, one_of, words

metadata = columns.metadata

manifests = Table(
    "manifests",
    metadata,
    words("digest"),
    words("key"),
    json("body"),
    moment("registered_at"),
    PrimaryKeyConstraint("digest", name="pk_manifests"),
    CheckConstraint("length(digest) = 64", name="ck_manifests_digest"),
)
Index("ix_manifests_owner", manifests.c.body[("manifest", "stackone", "origin_owner", "id")].astext)

integrations = Table(
    "integrations",
    metadata,
    words("key"),
    Column("digest", Text, ForeignKey("manifests.digest", name="fk_integrations_digest"), nullable=False),
    words("profile_name"),
    moment("updated_at"),
    moment("checked_at", nullable=True),
    # Somebody wants it to be looked at before its time: whoever takes it on puts it back.
    moment("hastened_at", nullable=True),
    PrimaryKeyConstraint("key", name="pk_integrations"),
    # A profile is found again by its name: two integrations with one name would write into each other's profile.
    UniqueConstraint("profile_name", name="uq_integrations_profile_name"),
)
# What was never looked at comes first. A place in this order is found by comparing, which nulls do not allow.
LAST_LOOK = func.coalesce(integrations.c.checked_at, text("'0001-01-01 00:00:00+00'::timestamptz"))
Index("ix_integrations_checked", LAST_LOOK, integrations.c.key)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("key", Text, ForeignKey("integrations.key", name="fk_attempts_key"), nullable=False),
    Column("kind", Text, nullable=False, server_default=text("'onboarding'")),
    Column("digest", Text, ForeignKey("manifests.digest", name="fk_attempts_digest"), nullable=False),
    words("requester_id", nullable=True),
    words("requester_name", nullable=True),
    words("state"),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("flow_run_id", Uuid, nullable=True),
    moment("started_at"),
    moment("ended_at", nullable=True),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("halt", Text, nullable=False, server_default=text("''")),
    Column("wish", Text, nullable=False, server_default=text("''")),
    Column("terms", JSONB, nullable=False, server_default=text("'{}'")),
    # How often the watch has restarted it since its last receipt, and when.
    Column("restarts", Integer, nullable=False, server_default=text("0")),
    moment("restarted_at", nullable=True),
    moment("begun_at", nullable=True),
    PrimaryKeyConstraint("id", name="pk_attempts"),
    one_of("state", AttemptState, "ck_attempts_state"),
    one_of("kind", AttemptKind, "ck_attempts_kind"),
    one_of("halt", Halt, "ck_attempts_halt"),
    one_of("wish", Wish, "ck_attempts_wish"),
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
    words("stage"),
    words("digest"),
    Column("fence", BigInteger, nullable=False),
    json("body"),
    moment("at"),
    PrimaryKeyConstraint("attempt_id", "stage", "digest", name="pk_receipts"),
)
Index("ix_receipts_account", receipts.c.body["account_id"].astext, postgresql_where=text("stage = 'link_account'"))
Index("ix_receipts_at", receipts.c.at)

gates = Table(
    "gates",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("attempt_id", Uuid, ForeignKey("attempts.id", name="fk_gates_attempt"), nullable=False),
    words("key"),
    words("kind"),
    words("digest"),
    words("requester_id", nullable=True),
    Column("needed", Integer, nullable=False),
    Column("groups", ARRAY(Text), nullable=False),
    words("channel"),
    words("state"),
    moment("opened_at"),
    moment("rearm_at"),
    moment("decided_at", nullable=True),
    moment("resumed_at", nullable=True),
    Column("reason", Text, nullable=False, server_default=text("''")),
    json("question"),
    Column("answer", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("id", name="pk_gates"),
    one_of("state", GateState, "ck_gates_state"),
    one_of("channel", Channel, "ck_gates_channel"),
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
    words("person_id"),
    words("person_name"),
    words("signed_in"),
    Column("approved", Boolean, nullable=False),
    words("digest"),
    words("note"),
    moment("at"),
    PrimaryKeyConstraint("gate_id", "seq", name="pk_decisions"),
    UniqueConstraint("gate_id", "person_id", name="uq_decisions_once"),
)

audit = Table(
    "audit",
    metadata,
    # Given by whoever writes, one after the other, and never by a sequence: those leave gaps.
    Column("seq", BigInteger, autoincrement=False, nullable=False),
    moment("at"),
    words("key"),
    Column("attempt_id", Uuid, nullable=True),
    words("actor"),
    words("signed_in"),
    words("event"),
    words("digest"),
    json("detail"),
    words("prev"),
    words("hash"),
    PrimaryKeyConstraint("seq", name="pk_audit"),
    CheckConstraint("seq >= 1", name="ck_audit_seq"),
)
Index("ix_audit_key", audit.c.key, audit.c.seq)

observations = Table(
    "observations",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    words("key"),
    words("subject"),
    words("outcome"),
    Column("cause", Text, nullable=False, server_default=text("''")),
    words("evidence"),
    Column("latency_ms", Integer, nullable=True),
    moment("at"),
    PrimaryKeyConstraint("id", name="pk_observations"),
    one_of("outcome", Outcome, "ck_observations_outcome"),
)
Index("ix_observations_key", observations.c.key, observations.c.subject, observations.c.id)
Index("ix_observations_at", observations.c.at)

conditions = Table(
    "conditions",
    metadata,
    words("key"),
    words("cause"),
    Column("raised", Boolean, nullable=False),
    Column("against", Integer, nullable=False, server_default=text("0")),
    moment("since"),
    words("evidence"),
    words("remedy"),
    PrimaryKeyConstraint("key", "cause", name="pk_conditions"),
)
Index("ix_conditions_raised", conditions.c.key, postgresql_where=text("raised"))

notices = Table(
    "notices",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    words("event"),
    words("severity"),
    words("key"),
    # What it is about, so that nothing is told twice: two writers of one notice make one row.
    words("about"),
    json("facts"),
    moment("created_at"),
    moment("due_at"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("delivered", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    moment("settled_at", nullable=True),
    Column("failure", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("id", name="pk_notices"),
    UniqueConstraint("about", name="uq_notices_about"),
    one_of("severity", Severity, "ck_notices_severity"),
)
Index("ix_notices_due", notices.c.due_at, postgresql_where=text("settled_at IS NULL"))
Index("ix_notices_given_up", notices.c.settled_at, postgresql_where=text("settled_at IS NOT NULL AND failure <> ''"))

# Every process that asks a vendor adds to it (`keyturn.ledger.tally`); nothing takes from it.
vendor_calls = Table(
    "vendor_calls",
    metadata,
    words("vendor"),
    words("outcome"),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("vendor", "outcome", name="pk_vendor_calls"),
    one_of("outcome", CallOutcome, "ck_vendor_calls_outcome"),
)
