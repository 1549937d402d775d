"""`keyturn.ports.Visits` on PostgreSQL: what the console's replicas remember together.

Every rule that two requests could break by coming at the same moment is one statement, so that PostgreSQL decides it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Engine, Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.gate import Person
from keyturn.ledger.console_tables import codes, sessions, sightings, ticks, tries
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import Clock, Session, Visits

_GRAIN_S = 30.0
_MOST_TRIES = 1000  # remembered in one bucket: no limit is as high
_MOMENTS: ARRAY[datetime] = ARRAY(DateTime(timezone=True))


class PostgresVisits(Visits):
    """Visits in the ledger.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for another request about the same.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s

    def begin(self, token: str, person: Person, ends_at: datetime) -> None:
        """Begin a session, and say so in the trail."""
        with self._transaction() as unit:
            now = unit.now()
            kept = {"token": _hashed(token), "began_at": now, "seen_at": now, "ends_at": ends_at}
            unit.connection.execute(insert(sessions).values(**kept, **_columns(person)))
            unit.note("console.signed_in", person, {"groups": sorted(person.groups)})

    def visit(self, token: str, idle_s: float, *, counts: bool = True) -> Session | None:
        """The session, in one statement. Its use is written down every half minute only: most pages write nothing."""
        now = self._clock.now()
        here = (
            sessions.c.token == _hashed(token),
            sessions.c.ended_at.is_(None),
            sessions.c.ends_at > now,
            sessions.c.seen_at > now - timedelta(seconds=idle_s),
        )
        grain = timedelta(seconds=min(_GRAIN_S, idle_s / 4))
        seen = update(sessions).where(*here, sessions.c.seen_at <= now - grain).values(seen_at=now)
        asked = select(sessions).where(*here)
        if counts:
            asked = asked.add_cte(seen.returning(sessions.c.token).cte("seen"))
        with self._transaction() as unit:
            row = unit.connection.execute(asked).one_or_none()
        return Session(_person_of(row), row.began_at, row.ends_at) if row else None

    def end(self, token: str) -> Person | None:
        """End a session, and say so in the trail."""
        mine = sessions.c.token == _hashed(token)
        with self._transaction() as unit:
            people = _end(unit, mine)
            if people:
                unit.note("console.signed_out", people[0], {})
        return people[0] if people else None

    def end_all(self, who: str, by: Person) -> int:
        """End every session of a person, use up their codes, and say so in the trail once for each id."""
        with self._transaction() as unit:
            offered = (codes.c.person_id == who) | (codes.c.person_name == who), codes.c.used_at.is_(None)
            unit.connection.execute(update(codes).where(*offered).values(used_at=unit.now()))
            people = _end(unit, (sessions.c.person_id == who) | (sessions.c.person_name == who))
            for person_id, count in sorted(Counter(person.id for person in people).items()):
                unit.note("console.signed_out", by, {"person": person_id, "sessions": count})
        return len(people)

    def offer(self, code: str, person: Person, ends_at: datetime) -> None:
        """Keep the hash of a one-time code."""
        kept = insert(codes).values(code=_hashed(code), ends_at=ends_at, **_columns(person))
        with self._transaction() as unit:
            unit.connection.execute(kept)

    def redeem(self, code: str) -> Person | None:
        """Take a code, once: whoever comes second finds it used."""
        now = self._clock.now()
        good = codes.c.code == _hashed(code), codes.c.used_at.is_(None), codes.c.ends_at > now
        with self._transaction() as unit:
            row = unit.connection.execute(update(codes).where(*good).values(used_at=now).returning(codes)).one_or_none()
        return _person_of(row) if row else None

    def tries(self, bucket: str, window_s: float) -> int:
        """Note a try, and count; there are never more than 1,000 in a bucket."""
        now, window = self._clock.now(), timedelta(seconds=window_s)
        added = upsert(tries).values(bucket=bucket, at=[now], ends_at=now + window)
        tried = func.unnest(tries.c.at.op("||")(added.excluded.at)).column_valued("tried")
        recent = select(tried).where(tried > now - window).order_by(tried.desc()).limit(_MOST_TRIES).subquery()
        kept = select(func.array_agg(recent.c[0], type_=_MOMENTS)).scalar_subquery()
        noted = added.on_conflict_do_update(index_elements=["bucket"], set_={"at": kept, "ends_at": now + window})
        with self._transaction() as unit:
            count: int = unit.connection.execute(noted.returning(func.cardinality(tries.c.at))).scalar_one()
        return count

    def first(self, about: str, window_s: float) -> bool:
        """Whether it is new, or so old that it counts as new; of two at once one waits, and is not the first."""
        now = self._clock.now()
        seen = upsert(sightings).values(about=about, ends_at=now + timedelta(seconds=window_s))
        anew = seen.on_conflict_do_update(
            index_elements=["about"], set_={"ends_at": seen.excluded.ends_at}, where=sightings.c.ends_at <= now
        )
        with self._transaction() as unit:
            return unit.connection.execute(anew.returning(sightings.c.about)).first() is not None

    def seen(self, about: str) -> bool:
        """Whether it was seen, and not so long ago that it counts as new."""
        asked = select(sightings.c.about).where(sightings.c.about == about, sightings.c.ends_at > self._clock.now())
        with self._transaction() as unit:
            return unit.connection.execute(asked).first() is not None

    def ticked(self, gate_id: UUID, person_id: str) -> frozenset[int]:
        """The steps that are ticked off."""
        asked = select(ticks.c.step).where(ticks.c.gate_id == gate_id, ticks.c.person_id == person_id)
        with self._transaction() as unit:
            return frozenset(unit.connection.execute(asked).scalars())

    def tick(self, gate_id: UUID, person_id: str, step: int, *, done: bool) -> None:
        """Tick a step off, or take that back; the same again changes nothing."""
        with self._transaction() as unit:
            if done:
                kept = {"gate_id": gate_id, "person_id": person_id, "step": step, "at": unit.now()}
                unit.connection.execute(upsert(ticks).values(kept).on_conflict_do_nothing())
            else:
                mine = ticks.c.gate_id == gate_id, ticks.c.person_id == person_id, ticks.c.step == step
                unit.connection.execute(delete(ticks).where(*mine))

    def prune(self) -> None:
        """Forget what is over. Ticks stay: they are few, and belong to a gate that stays too."""
        now = self._clock.now()
        with self._transaction() as unit:
            over = (sessions.c.ends_at <= now) | sessions.c.ended_at.is_not(None)
            unit.connection.execute(delete(sessions).where(over))
            for table in (codes, tries, sightings):
                unit.connection.execute(delete(table).where(table.c.ends_at <= now))

    def _transaction(self) -> AbstractContextManager[Unit]:
        return transaction(self._engine, self._clock, self._lock_timeout_s, "console")


def _hashed(token: str) -> str:
    # Without salt or stretching: tokens and codes are random, not chosen by people, so there is nothing to guess from.
    return hashlib.sha256(token.encode()).hexdigest()


def _end(unit: Unit, whose: ColumnElement[bool]) -> list[Person]:
    ended = update(sessions).where(whose, sessions.c.ended_at.is_(None)).values(ended_at=unit.now())
    return [_person_of(row) for row in unit.connection.execute(ended.returning(sessions))]


def _columns(person: Person) -> dict[str, object]:
    return {
        "person_id": person.id,
        "person_name": person.name,
        "groups": sorted(person.groups),
        "signed_in": person.signed_in,
    }


def _person_of(row: Row[Any]) -> Person:
    return Person(row.person_id, row.person_name, frozenset(row.groups), row.signed_in)
