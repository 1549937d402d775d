"""Tables are altered while runs work with them, without anybody being given up for a deadlock.

A transaction that waits for one table while it holds another can be what others wait for in a circle. So a migration
takes all its tables at once or none of them, and tries again for a while.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

_PATIENCE_S = 30
_TAKE = """
DO $$
DECLARE
    until timestamptz := clock_timestamp() + interval '{patience_s} s';
BEGIN
    LOOP
        BEGIN
            {locks};
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > until THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
END $$
"""


def stand_still(read: Sequence[str], unread: Sequence[str] = ()) -> None:
    """Let nobody write to some tables, nor read others, until the migration is through.

    After half a minute in which somebody else always held one, PostgreSQL says so, and nothing was changed.

    Args:
        read: tables that get an index or a trigger.
        unread: tables that get or lose a column.
    """
    wanted = [(", ".join(unread), "ACCESS EXCLUSIVE"), (", ".join(read), "SHARE ROW EXCLUSIVE")]
    locks = "; ".join(f"LOCK TABLE {names} IN {mode} MODE NOWAIT" for names, mode in wanted if names)
    op.execute(_TAKE.format(patience_s=_PATIENCE_S, locks=locks))
