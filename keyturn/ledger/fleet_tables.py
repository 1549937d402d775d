"""The tables behind the fleet's pages: where each integration stands, ready to be listed.

All of it follows from the ledger's other tables, so it can be thrown away and made anew: mark every integration stale.
A migration that changes what `keyturn.ledger.standings` says of an integration has to do that.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Column, Index, Integer, PrimaryKeyConstraint, SmallInteger, Table, Uuid, text

from keyturn.domain.fleet import FleetHealth, FleetState
from keyturn.ledger.columns import json, many, metadata, moment, one_of, words

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for "no such moment" in columns that lists are sorted by: a place in a list is found by comparing rows, and
PostgreSQL compares no rows that hold nulls."""

standings = Table(
    "standings",
    metadata,
    # No foreign key: it would wait for whoever opens an attempt, and a page must not.
    words("key"),
    words("state"),
    words("health"),
    words("says"),
    Column("attempt_id", Uuid, nullable=True),
    words("kind", nullable=True),
    words("stage", nullable=True),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    words("reason"),
    many("causes"),
    json("waiting"),
    # Who is asked, and since when.
    many("groups"),
    moment("since"),
    Column("rank", SmallInteger, nullable=False),
    moment("turned_at"),
    moment("due_at"),
    moment("grace_ends_at", nullable=True),
    json("verdict"),
    # Everything that a list can be restricted by, as words, and all parts of the key up to three letters.
    many("tags"),
    many("parts"),
    PrimaryKeyConstraint("key", name="pk_standings"),
    one_of("state", FleetState, "ck_standings_state"),
    one_of("health", FleetHealth, "ck_standings_health"),
)
Index("ix_standings_urgency", standings.c.rank, standings.c.since, standings.c.key)
Index("ix_standings_turned", standings.c.turned_at, standings.c.key)
Index("ix_standings_due", standings.c.due_at, standings.c.key)
Index("ix_standings_grace", standings.c.grace_ends_at, postgresql_where=text("grace_ends_at IS NOT NULL"))
# Without a list of what is still to be put into it: a search would have to read that list, however long it has become.
Index(
    "ix_standings_tags",
    standings.c.tags,
    standings.c.parts,
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
)

stale = Table(
    "stale",
    metadata,
    # Neither unique nor a key: whoever writes adds a row, and waits for nobody who does the same.
    words("key"),
)

snapshots = Table(
    "snapshots",
    metadata,
    words("name"),
    moment("at"),
    json("body"),
    PrimaryKeyConstraint("name", name="pk_snapshots"),
)
