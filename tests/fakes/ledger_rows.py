"""The rows of a ledger in memory, and transactions on them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.domain.attempt import Attempt, Receipt, Stage
from keyturn.domain.gate import Gate, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import UnavailableError
from keyturn.ports import AuditEntry, Clock

SYSTEM = Person("system", "system", frozenset(), "")
NOBODY = Person("unknown", "unknown", frozenset(), "not signed in")

ReceiptKey = tuple[UUID, Stage, str]


@dataclass
class Tables:
    """What can be changed and taken back. Values are immutable, so copying a table copies no rows."""

    manifests: dict[str, SealedManifest] = field(default_factory=dict)
    integrations: dict[IntegrationKey, str] = field(default_factory=dict)
    attempts: dict[UUID, Attempt] = field(default_factory=dict)
    receipts: dict[ReceiptKey, Receipt] = field(default_factory=dict)
    gates: dict[UUID, Gate] = field(default_factory=dict)

    def copy(self) -> Tables:
        """The same rows in tables of their own."""
        return Tables(*(dict(table) for table in self._all()))

    def take_over(self, before: Tables, after: Tables) -> None:
        """Change what a transaction has changed, and nothing else: others may have committed in the meantime."""
        for mine, old, new in zip(self._all(), before._all(), after._all(), strict=True):
            mine.update({key: row for key, row in new.items() if old.get(key) is not row})
            for gone in old.keys() - new.keys():
                mine.pop(gone, None)

    def _all(self) -> list[dict[Any, Any]]:
        return [getattr(self, each.name) for each in fields(self)]


@dataclass
class Rows:
    """A database: what is committed, who holds what, and which executions are alive."""

    tables: Tables = field(default_factory=Tables)
    trail: list[AuditEntry] = field(default_factory=list)
    locks: dict[Hashable, Draft] = field(default_factory=dict)
    alive: set[tuple[UUID, int]] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_id(self) -> UUID:
        """An identifier; the same ones in the same order whenever a test runs."""
        return UUID(int=next(self._numbers), version=4)

    def cut(self) -> None:
        """End every open transaction, as PostgreSQL does with those that have stood still for too long."""
        for draft in self.locks.values():
            draft.is_cut = True
        self.locks.clear()

    def uncommitted(self, gate_id: UUID) -> bool:
        """Whether an open transaction has changed that gate."""
        committed = self.tables.gates.get(gate_id)
        return any(draft.tables.gates.get(gate_id) is not committed for draft in self.locks.values())


class Draft:
    """An open transaction. It sees what was committed before it began, and its own changes."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self._before = rows.tables.copy()
        self._tables = self._before.copy()
        self._entries: list[AuditEntry] = []
        self.is_cut = False

    @property
    def tables(self) -> Tables:
        """The tables, as long as the server keeps the transaction open."""
        if self.is_cut:
            raise UnavailableError("ledger", "ended a transaction that had stood still for too long", "Try again.")
        return self._tables

    def now(self) -> datetime:
        """The present."""
        return self._clock.now()

    def new_id(self) -> UUID:
        """An identifier for a new row."""
        return self._rows.new_id()

    def lock(self, what: Hashable, subject: str) -> None:
        """Hold something until the end; nobody waits here for somebody else."""
        if self._rows.locks.setdefault(what, self) is not self:
            raise held(subject)

    def alter(self, attempt: Attempt, **values: Any) -> Attempt:
        """Change columns of a locked attempt."""
        changed = replace(self.tables.attempts[attempt.id], **values)
        self.tables.attempts[attempt.id] = changed
        return changed

    def audit(self, event: str, attempt: Attempt, detail: Mapping[str, object], by: Person = SYSTEM) -> None:
        """Collect an entry; it is written at the end."""
        named = {"name": by.name, **detail} if by not in (SYSTEM, NOBODY) else dict(detail)
        key, told = str(attempt.key), as_json(named)
        self._entries.append(AuditEntry(self.now(), key, attempt.id, by.id, by.signed_in, event, attempt.digest, told))

    def commit(self) -> None:
        """Keep everything."""
        self._rows.tables.take_over(self._before, self.tables)
        self._rows.trail += self._entries

    def release(self) -> None:
        """Let go of what is held."""
        self._rows.locks = {what: holder for what, holder in self._rows.locks.items() if holder is not self}


@contextmanager
def transaction(rows: Rows, clock: Clock) -> Iterator[Draft]:
    """One transaction, committed at the end, forgotten with any exception."""
    draft = Draft(rows, clock)
    try:
        yield draft
        draft.commit()
    finally:
        draft.release()


def as_json(value: Mapping[str, object]) -> dict[str, Any]:
    """What comes back from a column of JSON: enumerations as texts, tuples as lists, and nothing that is no JSON."""
    given: dict[str, Any] = json.loads(json.dumps(dict(value)))
    return given


def held(subject: str) -> UnavailableError:
    """The error for something that another transaction holds."""
    return UnavailableError(
        subject,
        "another execution of the attempt is in the middle of a step",
        "Nothing was changed; try again in a moment.",
    )
