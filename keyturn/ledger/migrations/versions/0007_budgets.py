"""Budgets: all processes on all machines take their slots for calling vendors from one place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TAKE = """
CREATE FUNCTION keyturn_take_slot(which text, calls integer[], spans double precision[], patience_s double precision)
RETURNS TABLE (slot_at timestamptz, wait_s double precision, paused timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    mine budgets%ROWTYPE;
    present timestamptz;
BEGIN
    LOOP
        SELECT * INTO mine FROM budgets b WHERE b.budget = which FOR UPDATE;
        EXIT WHEN FOUND;
        -- A new one: whoever makes it forgets some that nobody has used for longer than any window is.
        DELETE FROM budgets b WHERE b.budget IN (
            SELECT old.budget FROM budgets old
            WHERE old.last_at < clock_timestamp() - interval '2 days' LIMIT 10 FOR UPDATE SKIP LOCKED
        );
        INSERT INTO budgets (budget, taken, last_at) VALUES (which, 0, clock_timestamp()) ON CONFLICT DO NOTHING;
    END LOOP;
    present := clock_timestamp();  -- not now(): that is from before the wait for the lock
    IF mine.last_at > present + interval '10 minutes' THEN  -- further ahead than anybody waits: the clock was set back
        UPDATE slots s SET at = present WHERE s.budget = which AND s.at > present;
        mine.last_at := present;
    END IF;
    SELECT greatest(present, mine.last_at, mine.paused_until, max(s.at + make_interval(secs => w.span)))
        INTO slot_at FROM unnest(calls, spans) AS w (calls, span)
        LEFT JOIN slots s ON s.budget = which AND s.n = mine.taken + 1 - w.calls;
    wait_s := extract(epoch FROM slot_at - present);
    paused := mine.paused_until;
    IF wait_s <= patience_s THEN
        UPDATE budgets b SET taken = mine.taken + 1, last_at = slot_at WHERE b.budget = which;
        INSERT INTO slots (budget, n, at) VALUES (which, mine.taken + 1, slot_at);
        -- Two for one, so that what is older than the longest window does not stay.
        DELETE FROM slots s USING (SELECT o.n, o.at FROM slots o WHERE o.budget = which ORDER BY o.n LIMIT 2) AS oldest
            WHERE s.budget = which AND s.n = oldest.n
            AND oldest.at < present - make_interval(secs => (SELECT max(span) FROM unnest(spans) AS span));
    END IF;
    RETURN NEXT;
END $$
"""


def upgrade() -> None:
    """Make the tables, and the one function by which a slot is taken in one statement."""
    op.create_table(
        "budgets",
        sa.Column("budget", sa.Text, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("budget", name="pk_budgets"),
    )
    op.create_table(
        "slots",
        sa.Column("budget", sa.Text, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("budget", "n", name="pk_slots"),
        sa.ForeignKeyConstraint(["budget"], ["budgets.budget"], name="fk_slots_budget", ondelete="CASCADE"),
    )
    op.execute(_TAKE)


def downgrade() -> None:
    """Drop them: every process then keeps a budget of its own."""
    op.execute("DROP FUNCTION keyturn_take_slot(text, integer[], double precision[], double precision)")
    op.drop_table("slots")
    op.drop_table("budgets")
