"""The audit trail in PostgreSQL: added to by one writer at a time, read row by row."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, Text, cast, func, insert, select

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import GENESIS, AuditEntry, Chained, Head, Inspection, chain, follow, text_of
from keyturn.ledger.faults import translated
from keyturn.ledger.tables import audit
from keyturn.ports import Trail

_LOCK = 0x6B747472  # any number, the same for every keyturn
_STANDSTILL_MS = 15_000
_PATIENCE_MS = 30_000  # for the trail, where nobody has said how long to wait for others
_BATCH = 1000
_SAID = ("key", "actor", "signed_in", "event", "digest")
_ALONE = select(
    func.set_config("idle_in_transaction_session_timeout", str(_STANDSTILL_MS), True),
    func.pg_advisory_xact_lock(_LOCK),
)
# "BC" spells the era, without which a moment and the one as long before our era would be the same text. What is in our
# era goes without, as it was hashed from the beginning.
_AT = func.to_char(func.timezone("UTC", audit.c.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"BC')
_HEAD = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
# All as text, spelled by PostgreSQL: what somebody put there by force may be no moment and no number of Python's.
_ROWS = select(
    audit.c.seq,
    audit.c.prev,
    audit.c.hash,
    func.replace(_AT, "AD", "").label("at"),
    cast(audit.c.attempt_id, Text).label("attempt_id"),
    *(audit.c[name] for name in _SAID),
    cast(audit.c.detail, Text).label("detail"),
).order_by(audit.c.seq)


def append(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Add to the trail; to be the last thing before the commit, for all other writers wait until then.

    For the same reason PostgreSQL is told to end this transaction soon if its process freezes from here on.
    """
    connection.execute(_ALONE)
    head = _head(connection)  # a statement of its own: only then it sees what the writer before has committed
    pairs = zip(entries, chain(head, entries), strict=True)
    connection.execute(insert(audit), [_columns(entry, row) for entry, row in pairs])


class PostgresTrail(Trail):
    """Implements `keyturn.ports.Trail`. Reads a thousand rows at a time, all from one moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(self, key: IntegrationKey | None = None) -> Iterator[Chained]:
        """All rows, or those about one integration, oldest first."""
        return self._rows(_ROWS if key is None else _ROWS.where(audit.c.key == str(key)))

    def latest(
        self, key: IntegrationKey, limit: int, *, before_seq: int | None = None, attempt_id: UUID | None = None
    ) -> Sequence[Chained]:
        """The newest rows about one integration, read backwards from its end by the index on key and number."""
        asked = _ROWS.where(audit.c.key == str(key)).order_by(None).order_by(audit.c.seq.desc()).limit(limit)
        if before_seq is not None:
            asked = asked.where(audit.c.seq < before_seq)
        if attempt_id is not None:
            asked = asked.where(audit.c.attempt_id == attempt_id)
        return list(self._rows(asked))

    def head(self) -> Head:
        """The last row."""
        with translated(self._engine.url, "audit trail"), self._engine.connect() as connection:
            return _head(connection)

    def verify(self, known: Head, *, whole: bool = True) -> Inspection:
        """Follow the chain, from the first row or from the known head on."""
        part = not whole and known != GENESIS
        asked = _ROWS.where(audit.c.seq >= known.seq) if part else _ROWS
        with closing(self._rows(asked)) as rows:  # not read to its end when there is a fault
            return follow(rows, Head(known.seq - 1, "") if part else GENESIS, known)

    def add(self, entry: AuditEntry) -> None:
        """One more row, in a transaction of its own."""
        with translated(self._engine.url, "audit trail") as phase, self._engine.begin() as connection:
            phase.settling = True
            connection.execute(select(func.set_config("lock_timeout", str(_PATIENCE_MS), True)))
            append(connection, [entry])
            phase.committing = True

    def _rows(self, asked: Any) -> Generator[Chained, None, None]:  # noqa: ANN401  a select of the columns of _ROWS
        with (
            translated(self._engine.url, "audit trail"),
            self._engine.connect().execution_options(yield_per=_BATCH) as connection,
            connection.execute(asked) as found,
        ):
            yield from map(_chained, found)


def _head(connection: Connection) -> Head:
    row = connection.execute(_HEAD).one_or_none()
    return Head(row.seq, row.hash) if row else GENESIS


def _columns(entry: AuditEntry, row: Chained) -> dict[str, object]:
    said = {name: getattr(entry, name) for name in _SAID}
    written = {"at": entry.at, "attempt_id": entry.attempt_id, "detail": dict(entry.detail)}
    return {"seq": row.seq, "prev": row.prev, "hash": row.hash, **said, **written}


def _chained(row: Row[Any]) -> Chained:
    said = {name: getattr(row, name) for name in ("attempt_id", *_SAID)}
    return Chained(row.seq, row.prev, row.hash, text_of(row.at, said, row.detail))
