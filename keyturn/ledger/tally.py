"""`keyturn.ports.Tally` on PostgreSQL: what all processes ask of vendors, in one place and never set back."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.gauges import CallOutcome
from keyturn.ledger.tables import vendor_calls
from keyturn.ledger.unit import transaction
from keyturn.ports import Clock, Tally

EVERY_S = 5.0
_LOCK_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class PostgresTally(Tally):
    """A tally in the ledger.

    The first request is written at once, later ones at most every five seconds, and the rest with `flush` when the
    process ends. So a process that is killed takes five seconds' worth with it: these are counts, not accounts.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`, made when there is something to write.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self, engine: Callable[[], Engine], clock: Clock, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._clock, self._now = engine, clock, now
        self._counts: Counter[tuple[str, str]] = Counter()
        self._written_at = float("-inf")
        self._lock = Lock()

    def count(self, vendor: str, outcome: CallOutcome) -> None:
        """Add one, and write if that is due."""
        with self._lock:
            self._counts[vendor, outcome.value] += 1
            due = self._now() - self._written_at >= EVERY_S
            self._written_at = self._now() if due else self._written_at
        if due:
            self.flush()

    def flush(self) -> None:
        """Add what was counted to what is there."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if counts:
            try:
                self._add(counts)
            except Exception as error:  # noqa: BLE001  no call may fail for being counted, whatever is wrong here
                _log.info("calls to vendors cannot be counted now: %s", error)
                with self._lock:
                    self._counts.update(counts)

    def _add(self, counts: Counter[tuple[str, str]]) -> None:
        # Sorted, so that two processes lock the rows in one order.
        rows = [{"vendor": v, "outcome": o, "count": n} for (v, o), n in sorted(counts.items())]
        added = upsert(vendor_calls).values(rows)
        total = {"count": vendor_calls.c.count + added.excluded.count}
        with transaction(self._engine(), self._clock, _LOCK_TIMEOUT_S, "vendor calls") as unit:
            unit.connection.execute(added.on_conflict_do_update(index_elements=["vendor", "outcome"], set_=total))
