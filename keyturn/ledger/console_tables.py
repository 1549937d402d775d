"""The tables of the console: who is signed in, and what its replicas share.

Tokens and codes are never here, only their SHA-256: whoever reads these tables cannot sign in as somebody.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Uuid,
    text,
)

from keyturn.ledger.columns import many, metadata, moment, words

sessions = Table(
    "sessions",
    metadata,
    words("token"),
    words("person_id"),
    words("person_name"),
    many("groups"),
    words("signed_in"),
    moment("began_at"),
    moment("seen_at"),
    moment("ends_at"),
    moment("ended_at", nullable=True),
    PrimaryKeyConstraint("token", name="pk_sessions"),
    CheckConstraint("length(token) = 64", name="ck_sessions_token"),
)
Index("ix_sessions_person", sessions.c.person_id, postgresql_where=text("ended_at IS NULL"))
Index("ix_sessions_ends", sessions.c.ends_at)

codes = Table(
    "codes",
    metadata,
    words("code"),
    words("person_id"),
    words("person_name"),
    many("groups"),
    words("signed_in"),
    moment("ends_at"),
    moment("used_at", nullable=True),
    PrimaryKeyConstraint("code", name="pk_codes"),
    CheckConstraint("length(code) = 64", name="ck_codes_code"),
)

tries = Table(
    "tries",
    metadata,
    words("bucket"),
    # The latest ones within the window, so that it slides: counting from a fixed moment would let twice as many by.
    Column("at", ARRAY(DateTime(timezone=True)), nullable=False),
    moment("ends_at"),
    PrimaryKeyConstraint("bucket", name="pk_tries"),
)

sightings = Table(
    "sightings",
    metadata,
    words("about"),
    moment("ends_at"),
    PrimaryKeyConstraint("about", name="pk_sightings"),
)

ticks = Table(
    "ticks",
    metadata,
    Column("gate_id", Uuid, nullable=False),
    words("person_id"),
    Column("step", Integer, nullable=False),
    moment("at"),
    PrimaryKeyConstraint("gate_id", "person_id", "step", name="pk_ticks"),
    CheckConstraint("step >= 1", name="ck_ticks_step"),
)
