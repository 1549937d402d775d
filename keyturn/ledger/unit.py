"""A unit of work: one transaction, with the audit rows and the notifications that belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Person
from keyturn.domain.notice import Notice
from keyturn.domain.trail import AuditEntry
from keyturn.ledger.faults import translated
from keyturn.ledger.tables import notices
from keyturn.ledger.trail import append
from keyturn.ports import Clock

CHANNEL = "keyturn"
SYSTEM = Person("system", "system", frozenset(), "")
NOBODY = Person("unknown", "unknown", frozenset(), "not signed in")
_WAIT_FOR_LOCKS = text("SELECT set_config('lock_timeout', :timeout, true)")  # until the end of the transaction
_WAKE = text(f"SELECT pg_notify('{CHANNEL}', :attempt)")


@dataclass(slots=True)
class Unit:
    """An open transaction.

    Audit rows are collected and written last: whatever orders the trail then waits for nobody's work, and a second
    connection can still add to it in the meantime.
    """

    connection: Connection
    clock: Clock
    _entries: list[AuditEntry] = field(default_factory=list)
    _changed: set[UUID] = field(default_factory=set)

    def now(self) -> datetime:
        """The present."""
        return self.clock.now()

    def audit(self, event: str, attempt: Attempt, detail: Mapping[str, object], by: Person = SYSTEM) -> None:
        """Say in the trail what is being done to the attempt, and wake whoever watches it when it is committed."""
        named = {"name": by.name, **detail} if by not in (SYSTEM, NOBODY) else dict(detail)
        self._entries.append(
            AuditEntry(
                at=self.now(),
                key=str(attempt.key),
                attempt_id=attempt.id,
                actor=by.id,
                signed_in=by.signed_in,
                event=event,
                digest=attempt.digest,
                detail=named,
            )
        )
        self._changed.add(attempt.id)

    def note(self, event: str, by: Person, detail: Mapping[str, object]) -> None:
        """Say in the trail what somebody did that is about no attempt."""
        named = {"name": by.name, **detail}
        self._entries.append(AuditEntry(self.now(), "", None, by.id, by.signed_in, event, "", named))

    def tell(self, notice: Notice) -> bool:
        """Keep something to tell people, in the transaction of what it is about; `False` if `about` is known."""
        return self.tell_all([notice]) == 1

    def tell_all(self, told: Sequence[Notice]) -> int:
        """The same for several, in one statement; gives how many are new."""
        if not told:
            return 0
        now = self.now()
        values = [_values(notice) | {"created_at": now, "due_at": now} for notice in told]
        once = upsert(notices).values(values).on_conflict_do_nothing(index_elements=["about"])
        return len(self.connection.execute(once.returning(notices.c.id)).all())

    def settle(self) -> None:
        """Write what was collected; the last thing before the commit."""
        for attempt_id in sorted(self._changed):
            self.connection.execute(_WAKE, {"attempt": str(attempt_id)})
        if self._entries:
            append(self.connection, self._entries)


@contextmanager
def transaction(engine: Engine, clock: Clock, lock_timeout_s: float, subject: str) -> Iterator[Unit]:
    """One transaction, committed at the end, rolled back by any exception.

    Args:
        engine: the ledger's.
        clock: dates what is written.
        lock_timeout_s: how long to wait for somebody else's lock.
        subject: what errors are about: an integration key or an attempt.
    """
    with translated(engine.url, subject) as phase, engine.connect() as connection:
        connection.execute(_WAIT_FOR_LOCKS, {"timeout": f"{round(lock_timeout_s * 1000)}ms"})
        unit = Unit(connection, clock)
        yield unit
        phase.settling = True
        unit.settle()
        phase.committing = True
        connection.commit()


def _values(notice: Notice) -> dict[str, object]:
    return {
        "event": notice.event,
        "severity": notice.severity,
        "key": notice.key,
        "about": notice.about,
        "facts": {name: _keepable(value) for name, value in notice.facts.items()},
    }


def _keepable(text: str) -> str:
    """Text without what PostgreSQL cannot keep in JSON: a strange answer of a vendor must not undo a change."""
    return text.replace("\0", "").encode(errors="replace").decode()
