"""The audit trail as a chain: each row is sealed by a hash over its place, the row before it, and all that it says.

A chain shows which row was changed, taken out or put in. It cannot show that its end was cut off, or that everything
was written anew from some row on. So its head is kept outside of the ledger as well (`keyturn.ports.Anchor`), and what
came after the head that was kept last rests on the database's own rights until it is kept again.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from uuid import UUID

from keyturn.errors import RefusedError

_NEARBY = 1000  # how far from its place a row is looked for that was written under another number


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, signed in how, about which digest."""

    at: datetime
    key: str
    attempt_id: UUID | None
    actor: str
    signed_in: str
    event: str
    digest: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a trail: its number, counted from 1 without gaps, and its hash in hex."""

    seq: int
    hash: str


GENESIS = Head(0, "0" * 64)
"""What the first row comes after: the head of an empty trail."""


@dataclass(frozen=True, slots=True)
class Chained:
    """A row in its place.

    Attributes:
        prev: the hash of the row before.
        text: all that the row says, in its one spelling (`text_of`).
    """

    seq: int
    prev: str
    hash: str
    text: str

    @property
    def intact(self) -> bool:
        """Whether its hash is the one of what it says, in this place."""
        return self.written_as(self.seq)

    @property
    def event(self) -> str:
        """What was done, whatever else it says."""
        event: str = json.loads(self.text)["event"]
        return event

    @property
    def entry(self) -> AuditEntry:
        """What it says.

        Raises:
            RefusedError: it holds something that keyturn never writes.
        """
        try:
            said = json.loads(self.text)
            at, attempt_id = datetime.fromisoformat(said.pop("at")), said.pop("attempt_id")
            return AuditEntry(at=at, attempt_id=UUID(attempt_id) if attempt_id else None, **said)
        except (ValueError, TypeError, AttributeError):
            problem = "holds something that keyturn never writes"
        raise RefusedError(f"audit trail row {self.seq}", problem, "Run `keyturn audit verify`.")

    def written_as(self, seq: int) -> bool:
        """Whether its hash would be right in another place."""
        return self.hash == _hash(seq, self.prev, self.text)


class FaultKind(StrEnum):
    """What is wrong with a trail."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REWRITTEN = "rewritten"  # consistent in itself, and not the trail whose head was kept elsewhere


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong with a trail.

    Attributes:
        seq: the row that was changed, is missing or was put in; for REWRITTEN the last one it may have begun at.
        says: a clause for people.
    """

    kind: FaultKind
    seq: int
    says: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What following a trail came to.

    Attributes:
        head: the last row up to which everything fits.
        rows: how many were looked at without a fault.
    """

    head: Head
    rows: int
    fault: Fault | None = None


def text_of(at: str, said: Mapping[str, str | None], detail: str) -> str:
    """What a row says, spelled in one way: JSON in ASCII, names sorted, no spaces, numbers as decimals.

    The ledger keeps `detail` as JSONB, which sorts names anew and spells numbers out. Both sides come through here, so
    that what was written and what is read have the same hash. A number's digits count as they are: 1.0 is not 1.

    Args:
        at: the moment in ISO 8601, in UTC to the microsecond, as `spelled` gives it.
        said: `key`, `attempt_id`, `actor`, `signed_in`, `event` and `digest`.
        detail: JSON.
    """
    fields = {name: json.dumps(value) for name, value in {**said, "at": at}.items()} | {"detail": _canonical(detail)}
    return _object(fields)


def sha256_of(body: Mapping[str, object]) -> str:
    """The SHA-256 of plain JSON, in hex, by the same spelling: it outlives a stay in JSONB as well.

    With numbers such as people write, that is JSON as any program can make it: ASCII, names sorted, no spaces.
    """
    return hashlib.sha256(_canonical(json.dumps(dict(body))).encode()).hexdigest()


def spelled(moment: datetime) -> str:
    """A moment as the trail's hashes spell it, e.g. `2026-03-02T09:00:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def chain(head: Head, entries: Iterable[AuditEntry]) -> list[Chained]:
    """Entries as the next rows after a head."""
    rows: list[Chained] = []
    for entry in entries:
        rows.append(seal(head, _text(entry)))
        head = Head(rows[-1].seq, rows[-1].hash)
    return rows


def seal(head: Head, text: str) -> Chained:
    """The next row after a head, by what it says."""
    seq = head.seq + 1
    return Chained(seq, head.hash, _hash(seq, head.hash, text), text)


def follow(rows: Iterable[Chained], start: Head = GENESIS, known: Head = GENESIS) -> Inspection:
    """Follow a trail row by row up to its end or its first fault, however long it is.

    Args:
        rows: those after `start`, by their numbers.
        start: where to begin; without a hash the first row's `prev` is taken as it is.
        known: a head that was kept elsewhere, and must be one of the rows.
    """
    left, head, recent = iter(rows), start, deque[str](maxlen=_NEARBY)
    for row in left:
        fault = _out_of_line(row, head, left, recent) or _disowned(row, known)
        if fault:
            return Inspection(head, head.seq - start.seq, fault)
        head = Head(row.seq, row.hash)
        recent.append(row.hash)
    return Inspection(head, head.seq - start.seq, _cut_off(head, known))


def _out_of_line(row: Chained, head: Head, left: Iterator[Chained], recent: Container[str]) -> Fault | None:
    expected = head.seq + 1
    if row.seq < expected:
        return Fault(FaultKind.INSERTED, row.seq, f"there is one row too many with the number {row.seq}")
    if row.seq > expected:
        return _missing(expected, row.seq - 1)
    if not row.intact:
        return _explained(row, [_origin(after) for after in islice(left, 2)], copied=row.hash in recent)
    if head.hash and row.prev != head.hash:
        return _replaced(head, row)
    return None


def _explained(row: Chained, after: Sequence[int | None], *, copied: bool) -> Fault:
    """Tell a changed row from one that stands where another one was.

    A row's hash still tells the number it was written under, and so do those of the two rows `after` it.
    """
    place, origin = row.seq, _origin(row)
    if origin is not None and origin < place and not copied:
        says = f"a row was put in as row {origin}: what was written under that number is row {place} now"
        return Fault(FaultKind.INSERTED, origin, says)
    pushed_on, stranger = after[:1] == [place], origin is None or copied
    if (pushed_on and (stranger or after[1:] == [place + 1])) or (copied and not after):
        return Fault(FaultKind.INSERTED, place, f"row {place} was put in; what stood there was pushed on, if anything")
    if stranger:
        return Fault(FaultKind.CHANGED, place, f"row {place} was changed after it was written")
    says = f"row {place} is missing; in its place stands what was written as row {origin}"
    return Fault(FaultKind.MISSING, place, says)


def _origin(row: Chained) -> int | None:
    """The number under which a row was written, as far as it is near."""
    near = (row.seq + sign * far for far in range(_NEARBY) for sign in (1, -1))
    return next((seq for seq in near if row.written_as(seq)), None)


def _replaced(head: Head, row: Chained) -> Fault:
    if head.seq == 0:
        return Fault(FaultKind.CHANGED, row.seq, f"row {row.seq} was not written as the first one")
    says = f"row {head.seq} is not the one that row {row.seq} was written after"
    return Fault(FaultKind.CHANGED, head.seq, says)


def _missing(first: int, last: int) -> Fault:
    says = f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
    return Fault(FaultKind.MISSING, first, says)


def _disowned(row: Chained, known: Head) -> Fault | None:
    if row.seq != known.seq or row.hash == known.hash:
        return None
    says = f"the trail was written anew from row {row.seq} or an earlier one on: the head kept elsewhere is another"
    return Fault(FaultKind.REWRITTEN, row.seq, says)


def _cut_off(head: Head, known: Head) -> Fault | None:
    return _missing(head.seq + 1, known.seq) if head.seq < known.seq else None


def _text(entry: AuditEntry) -> str:
    said = {
        "key": entry.key,
        "attempt_id": str(entry.attempt_id) if entry.attempt_id else None,
        "actor": entry.actor,
        "signed_in": entry.signed_in,
        "event": entry.event,
        "digest": entry.digest,
    }
    return text_of(spelled(entry.at), said, json.dumps(dict(entry.detail)))


def _hash(seq: int, prev: str, text: str) -> str:
    return hashlib.sha256(f"{seq}\n{prev}\n{text}".encode()).hexdigest()


def _canonical(text: str) -> str:
    try:
        return _spelled(json.loads(text, parse_float=Decimal, parse_int=Decimal))
    except RecursionError:  # nested deeper than anything keyturn writes: a text, which no hash of ours is about
        return json.dumps(text)


def _spelled(value: object) -> str:
    if isinstance(value, Mapping):
        return _object({name: _spelled(inner) for name, inner in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_spelled, value))}]"
    return _number(value) if isinstance(value, Decimal) else json.dumps(value)


def _object(fields: Mapping[str, str]) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{fields[name]}' for name in sorted(fields))}}}"


def _number(value: Decimal) -> str:
    # PostgreSQL knows neither exponents in what it prints nor a negative zero.
    return format(value or value.copy_abs(), "f")
