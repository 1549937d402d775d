"""The tables of the vendors' budgets. They are written by `keyturn_take_slot` of the migrations, in one statement.

There is no index on `last_at`: every call changes it, and it is looked at only when a budget is new.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, Table, Text

from keyturn.ledger.columns import metadata, moment, words

budgets = Table(
    "budgets",
    metadata,
    words("budget"),
    Column("taken", BigInteger, nullable=False),
    moment("last_at"),
    moment("paused_until", nullable=True),
    PrimaryKeyConstraint("budget", name="pk_budgets"),
)

# One row a call, numbered: a window of 1000 calls is full until 1000 rows before the next one is old enough.
slots = Table(
    "slots",
    metadata,
    Column("budget", Text, ForeignKey("budgets.budget", name="fk_slots_budget", ondelete="CASCADE"), nullable=False),
    Column("n", BigInteger, nullable=False),
    moment("at"),
    PrimaryKeyConstraint("budget", "n", name="pk_slots"),
)
