"""`keyturn.ports.Slots` on PostgreSQL: one budget for all processes on all machines, by the database's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection, Engine, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INTEGER
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.ledger.budget_tables import budgets
from keyturn.ledger.faults import translated
from keyturn.ports import Slots, Taken, Window

_TAKE = text("SELECT slot_at, wait_s, paused FROM keyturn_take_slot(:budget, :calls, :spans, :patience_s)").bindparams(
    bindparam("calls", type_=ARRAY(INTEGER)), bindparam("spans", type_=ARRAY(DOUBLE_PRECISION))
)

_TURN_S = 0.5  # so long a thread lets others go first


class PostgresSlots(Slots):
    """Slots in the ledger. Each method is one statement, and a transaction of its own.

    So whoever is killed in the middle holds nothing: a slot that was given out and not used is over when its window is.
    While the ledger is away there are no slots, and no calls: it could not be written down what became of them either.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        now: seconds on a clock that never goes back.
    """

    def __init__(self, engine: Engine, now: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._now, self._asking = engine, now, Lock()

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot."""
        asked = {
            "budget": budget,
            "calls": [window.calls for window in windows],
            "spans": [window.seconds for window in windows],
            "patience_s": patience_s,
        }
        with self._turn(), self._connected(budget) as connection:
            began = self._now()  # not before: a slot does not age while a connection is opened
            row = connection.execute(_TAKE, asked).one()
            took_s = self._now() - began
        return Taken(row.slot_at, row.wait_s, row.paused, took_s)

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
    def _turn(self) -> Iterator[None]:
        """Let one thread ask after the other.

        The ledger gives out one slot at a time anyway. So few connections do for many threads, and no thread opens one
        while another's slot grows old. While the ledger does not answer nobody waits for somebody else to hear that.
        """
        mine = self._asking.acquire(timeout=_TURN_S)
        try:
            yield
        finally:
            if mine:
                self._asking.release()

    @contextmanager
    def _connected(self, budget: str) -> Iterator[Connection]:
        with translated(self._engine.url, f"budget {budget}"), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
