"""`keyturn.ports.Observatory` on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.diagnosis import not_seen
from keyturn.domain.health import (
    UNSEEN_ROUNDS,
    Cause,
    Condition,
    Drift,
    Health,
    Observation,
    Outcome,
    Subject,
    Transition,
    Turn,
    is_blind,
    progress,
    severity_of,
)
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Notice
from keyturn.ledger import fleet, owners
from keyturn.ledger.healths import changes, condition_of, healths, outcomes, without_any
from keyturn.ledger.stale import mark_stale
from keyturn.ledger.tables import conditions, integrations, observations
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import Clock, Member, Observatory

_EVENTS = {Turn.RAISED: Event.DRIFT_RAISED, Turn.CLEARED: Event.DRIFT_CLEARED}


class PostgresObservatory(Observatory):
    """The observatory in the ledger.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for another round over the same integration.
        blind_after: what nobody has looked at for so long is not known to be well.
    """

    def __init__(
        self, engine: Engine, clock: Clock, lock_timeout_s: float, blind_after: timedelta | None = None
    ) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s
        self._blind_after = blind_after

    def observe(
        self,
        key: IntegrationKey,
        observations: Sequence[Observation],
        drifts: Sequence[Drift],
        unknown: Collection[Cause],
    ) -> Sequence[Transition]:
        """Keep a round, raise and clear, and owe people the notices, all or nothing."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, str(key)) as unit:
            # From here on, another round over the same integration waits. Attempts may be opened meanwhile.
            taken = update(integrations).where(integrations.c.key == str(key)).values(checked_at=unit.now())
            unit.connection.execute(taken)
            _keep(unit, key, observations)
            all_drifts = [*drifts, *_unseen(unit, key, observations)]
            changed, transitions = progress(
                _conditions(unit.connection, str(key)),
                all_drifts,
                frozenset(unknown) - {d.cause for d in all_drifts},
                unit.now(),
            )
            _write(unit, key, changed)
            for transition in transitions:
                unit.tell(_notice(key, transition))
        return transitions

    def health(self, key: IntegrationKey) -> Health:
        """How the watch left an integration."""
        return self._health([str(key)]).get(key, Health())

    def last_fine(self, key: IntegrationKey, subject: Subject) -> datetime | None:
        """When a subject was last seen in order."""
        mine = observations.c.key == str(key), observations.c.subject == subject, observations.c.outcome == Outcome.OK
        asked = select(observations.c.at).where(*mine).order_by(observations.c.id.desc()).limit(1)
        with transaction(self._engine, self._clock, self._lock_timeout_s, str(key)) as unit:
            found: datetime | None = unit.connection.execute(asked).scalar()
        return found

    def history(self, key: IntegrationKey, limit: int) -> Sequence[Observation]:
        """The looks that found something else than the look before."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, str(key)) as unit:
            return changes(unit.connection, str(key), limit)

    def fleet(self, keys: Collection[IntegrationKey] | None = None) -> Mapping[IntegrationKey, Health]:
        """All integrations, or these, in three statements."""
        return self._health(None if keys is None else [str(key) for key in keys])

    def members(self, keys: Collection[IntegrationKey] | None = None) -> Sequence[Member]:
        """All integrations, or these, and where they stand, in a constant number of statements."""
        names = None if keys is None else [str(key) for key in keys]
        with transaction(self._engine, self._clock, self._lock_timeout_s, "fleet") as unit:
            return fleet.members(unit.connection, names)

    def claim(self, now: datetime, older_than: datetime, limit: int) -> Sequence[IntegrationKey]:
        """Take integrations on by moving their `checked_at`; those that another worker is taking on are passed over."""
        checked, hastened = integrations.c.checked_at, integrations.c.hastened_at
        due = or_(hastened.is_not(None), checked.is_(None), checked <= older_than)
        order = hastened.asc().nulls_last(), checked.asc().nulls_first(), integrations.c.key
        first = select(integrations.c.key).where(due).order_by(*order).limit(limit)
        locked = first.with_for_update(skip_locked=True, key_share=True)
        taken = update(integrations).where(integrations.c.key.in_(locked)).values(checked_at=now, hastened_at=None)
        with transaction(self._engine, self._clock, self._lock_timeout_s, "integrations") as unit:
            keys = unit.connection.execute(taken.returning(integrations.c.key)).scalars().all()
        return sorted(map(IntegrationKey.parse, keys))

    def concerned(self, account_id: str, owner_id: str) -> Sequence[IntegrationKey]:
        """By the account's receipt, or by an open gate of its owner; each is looked up in an index."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, "integrations") as unit:
            return owners.concerned(unit.connection, account_id, owner_id)

    def hasten(self, key: IntegrationKey) -> None:
        """Mark it: whoever claims next takes those first. When it was looked at stays known."""
        mine = integrations.c.key == str(key), integrations.c.hastened_at.is_(None)
        with transaction(self._engine, self._clock, self._lock_timeout_s, str(key)) as unit:
            unit.connection.execute(update(integrations).where(*mine).values(hastened_at=unit.now()))

    def prune(self, before: datetime, limit: int) -> int:
        """Forget the oldest; rows that somebody else is forgetting are passed over."""
        oldest = select(observations.c.id).where(observations.c.at < before).order_by(observations.c.at).limit(limit)
        old = delete(observations).where(observations.c.id.in_(oldest.with_for_update(skip_locked=True)))
        with transaction(self._engine, self._clock, self._lock_timeout_s, "observations") as unit:
            gone = unit.connection.execute(old.returning(observations.c.key, observations.c.subject)).all()
            mark_stale(unit.connection, without_any(unit.connection, {(row.key, row.subject) for row in gone}))
        return len(gone)

    def _health(self, keys: Sequence[str] | None) -> Mapping[IntegrationKey, Health]:
        with transaction(self._engine, self._clock, self._lock_timeout_s, keys[0] if keys else "fleet") as unit:
            found, now = healths(unit.connection, keys), unit.now()
        return {
            key: replace(health, blind=is_blind(health.checked_at, now, self._blind_after))
            for key, health in found.items()
        }


def _keep(unit: Unit, key: IntegrationKey, seen: Sequence[Observation]) -> None:
    before = outcomes(unit.connection, str(key))
    rows = [
        {
            "key": str(key),
            "subject": o.subject,
            "outcome": o.outcome,
            "cause": o.hint or "",
            "evidence": o.evidence,
            "latency_ms": o.latency_ms,
            "at": o.at,
        }
        for o in seen
    ]
    if rows:
        unit.connection.execute(insert(observations), rows)
    if any(before.get(o.subject) is not o.outcome for o in seen):
        # Not by a trigger, as for everything else: nearly every round finds what the one before has found.
        mark_stale(unit.connection, [str(key)])


def _unseen(unit: Unit, key: IntegrationKey, seen: Sequence[Observation]) -> list[Drift]:
    """NOT_SEEN, if a subject could not be looked at for so many rounds in a row, this one being the last."""
    lost = {o.subject: o.evidence for o in seen if o.hint is Cause.NOT_SEEN}
    for_long = [subject for subject in lost if _is_lost_for_long(unit.connection, key, subject)]
    return [not_seen(for_long, lost[for_long[0]], str(key))] if for_long else []


def _is_lost_for_long(connection: Connection, key: IntegrationKey, subject: Subject) -> bool:
    mine = observations.c.key == str(key), observations.c.subject == subject
    asked = select(observations.c.cause).where(*mine).order_by(observations.c.id.desc()).limit(UNSEEN_ROUNDS)
    return list(connection.execute(asked).scalars()) == [Cause.NOT_SEEN] * UNSEEN_ROUNDS


def _conditions(connection: Connection, key: str) -> list[Condition]:
    return [condition_of(row) for row in connection.execute(select(conditions).where(conditions.c.key == key))]


def _write(unit: Unit, key: IntegrationKey, changed: Sequence[Condition]) -> None:
    for condition in changed:
        values = {
            "raised": condition.raised,
            "against": condition.against,
            "since": condition.since,
            "evidence": condition.evidence,
            "remedy": condition.remedy,
        }
        written = upsert(conditions).values(key=str(key), cause=condition.cause, **values)
        unit.connection.execute(written.on_conflict_do_update(index_elements=["key", "cause"], set_=values))


def _notice(key: IntegrationKey, transition: Transition) -> Notice:
    condition, raised = transition.condition, transition.turn is Turn.RAISED
    facts = {"cause": condition.cause.value, "evidence": condition.evidence}
    about = f"drift/{key}/{condition.cause}/{condition.since.isoformat()}/{transition.turn}"
    return Notice(
        _EVENTS[transition.turn],
        severity_of(condition.cause),
        str(key),
        about,
        facts | ({"remedy": condition.remedy} if raised else {}),
    )
