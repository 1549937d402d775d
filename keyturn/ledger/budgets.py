"""`keyturn.ports.Slots` on PostgreSQL: one budget for all processes on all machines, by the database's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INTEGER
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.ledger.budget_tables import budgets
from keyturn.ledger.faults import translated
from keyturn.ports import Slots, Taken, Window

_TAKE = text("SELECT slot_at, wait_s, paused FROM keyturn_take_slot(:budget, :calls, :spans, :patience_s)").bindparams(
    bindparam("calls", type_=ARRAY(INTEGER)), bindparam("spans", type_=ARRAY(DOUBLE_PRECISION))
)


class PostgresSlots(Slots):
    """Slots in the ledger. Each method is one statement, and a transaction of its own.

    So whoever is killed in the middle holds nothing: a slot that was given out and not used is over when its window is.
    While the ledger is away there are no slots, and no calls: it could not be written down what became of them either.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot."""
        asked = {
            "budget": budget,
            "calls": [window.calls for window in windows],
            "spans": [window.seconds for window in windows],
            "patience_s": patience_s,
        }
        with self._connected(budget) as connection:
            row = connection.execute(_TAKE, asked).one()
        return Taken(row.slot_at, row.wait_s, row.paused)

    def pause(self, budget: str, seconds: float) -> datetime | None:
        """Give out none for so long."""
        end = func.clock_timestamp() + timedelta(seconds=seconds)
        new = upsert(budgets).values(budget=budget, taken=0, last_at=func.clock_timestamp(), paused_until=end)
        longer = {"paused_until": func.greatest(budgets.c.paused_until, new.excluded.paused_until)}
        paused = new.on_conflict_do_update(index_elements=["budget"], set_=longer).returning(budgets.c.paused_until)
        with self._connected(budget) as connection:
            end_at: datetime | None = connection.execute(paused).scalar_one()
        return end_at

    def paused_until(self, budget: str) -> datetime | None:
        """Until when none is given out."""
        with self._connected(budget) as connection:
            return connection.execute(select(budgets.c.paused_until).where(budgets.c.budget == budget)).scalar()

    @contextmanager
    def _connected(self, budget: str) -> Iterator[Connection]:
        with translated(self._engine.url, f"budget {budget}"), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
