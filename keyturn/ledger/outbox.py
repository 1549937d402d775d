"""`keyturn.ports.Outbox` on PostgreSQL: notices wait here until every channel that wants them has taken them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, Row, Text, any_, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from keyturn.domain.notice import Event, Notice, Owed, Severity
from keyturn.ledger.tables import notices
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import Clock, Outbox

LEASE = timedelta(minutes=15)
_BATCH = 1000  # notices
_LONGEST_FAILURE = 500  # characters


class PostgresOutbox(Outbox):
    """The outbox in the ledger.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for somebody else who tells the same at the same moment.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s

    def tell(self, notice: Notice) -> bool:
        """Keep it, unless `about` is known."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, notice.about) as unit:
            return unit.tell(notice)

    def tell_all(self, notices: Sequence[Notice]) -> int:
        """Keep those whose `about` is not known; what is, is most of them, and is not even tried."""
        return sum(self._tell_some(notices[n : n + _BATCH]) for n in range(0, len(notices), _BATCH))

    def owed(self, now: datetime, limit: int) -> Sequence[Owed]:
        """Claim what is due by moving its `due_at`: no lock is held while it is sent."""
        due = select(notices).where(notices.c.settled_at.is_(None), notices.c.due_at <= now)
        first = due.order_by(notices.c.tries, notices.c.seq).limit(limit).with_for_update(skip_locked=True)
        with transaction(self._engine, self._clock, self._lock_timeout_s, "outbox") as unit:
            rows = unit.connection.execute(first).all()
            _move(unit, [row.id for row in rows], now + LEASE)
        return [_owed_of(row) for row in rows]

    def settle(self, notice_id: UUID, delivered: Collection[str], next_try_at: datetime | None, failure: str) -> None:
        """Keep what came of it; a notice that was settled before stays as it is."""
        values = {
            "delivered": sorted(delivered),
            "failure": failure[:_LONGEST_FAILURE],
            "tries": notices.c.tries + (1 if failure else 0),
            **({"due_at": next_try_at} if next_try_at else {"settled_at": self._clock.now()}),
        }
        mine = update(notices).where(notices.c.id == notice_id, notices.c.settled_at.is_(None)).values(values)
        with transaction(self._engine, self._clock, self._lock_timeout_s, f"notice {notice_id}") as unit:
            unit.connection.execute(mine)

    def _tell_some(self, some: Sequence[Notice]) -> int:
        with transaction(self._engine, self._clock, self._lock_timeout_s, some[0].about) as unit:
            known = _known(unit, [notice.about for notice in some])
            return unit.tell_all([notice for notice in some if notice.about not in known])


def _known(unit: Unit, abouts: Sequence[str]) -> frozenset[str]:
    asked = select(notices.c.about).where(notices.c.about == any_(literal(list(abouts), ARRAY(Text))))
    return frozenset(unit.connection.execute(asked).scalars())


def _move(unit: Unit, ids: Sequence[UUID], due_at: datetime) -> None:
    if ids:
        unit.connection.execute(update(notices).where(notices.c.id.in_(ids)).values(due_at=due_at))


def _owed_of(row: Row[Any]) -> Owed:
    notice = Notice(Event(row.event), Severity(row.severity), row.key, row.about, row.facts)
    return Owed(row.id, notice, row.created_at, frozenset(row.delivered), row.tries)
