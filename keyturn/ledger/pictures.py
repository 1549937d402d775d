"""The pictures of the fleet: counted by one for everybody, and kept. Each function is part of an open transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, literal, not_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.attempt import Stage
from keyturn.domain.fleet import AGE_BOUNDS, MOST_GRACES, FleetHealth, FleetState, Pictures, StageTimes
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.fleet_tables import NEVER, snapshots, standings
from keyturn.ledger.stage_times import stage_times
from keyturn.ledger.tables import integrations
from keyturn.ledger.unit import Unit

_LOCK = 0x6B747069  # any number, the same for every keyturn
_NAME = "pictures"
_AS_NEW = timedelta(seconds=15)
_DAYS = timedelta(days=30)
_Word = TypeVar("_Word", bound=StrEnum)


def last(unit: Unit) -> Pictures | None:
    """What was counted last; `None` when nothing ever was."""
    row = unit.connection.execute(select(snapshots).where(snapshots.c.name == _NAME)).one_or_none()
    return _pictures_of(row.at, row.body, _history(unit.connection, row.at)) if row else None


def is_new(known: Pictures, now: datetime) -> bool:
    """Whether it need not be counted again; one from the future is of a clock that was put back."""
    return timedelta(0) <= now - known.at < _AS_NEW


def count(unit: Unit, known: Pictures | None, blind_after: timedelta | None) -> Pictures:
    """Count, unless somebody else is counting; who has nothing to show meanwhile waits for them.

    Args:
        unit: an open transaction.
        known: what was counted last.
        blind_after: what nobody has looked at for so long counts as unknown, not as well.
    """
    if not unit.connection.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
        if known is not None:
            return known
        unit.connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    again = last(unit)
    return again if again is not None and is_new(again, unit.now()) else _counted(unit, blind_after)


def _counted(unit: Unit, blind_after: timedelta | None) -> Pictures:
    now, connection = unit.now(), unit.connection
    body: dict[str, Any] = {
        **_totals(connection, now, blind_after),
        "causes": _spread(connection, standings.c.causes),
        "waiting": _spread(connection, standings.c.groups),
        "graces": _graces(connection, now),
        "times": [[t.stage, t.human_s, t.machine_s, t.count] for t in stage_times(connection, now)],
    }
    _keep(connection, _NAME, now, body)
    _keep_day(connection, now, body["states"])
    return _pictures_of(now, body, _history(connection, now))


def _totals(connection: Connection, now: datetime, blind_after: timedelta | None) -> dict[str, Any]:
    """What one look at every row tells."""
    bounds = [b for b in AGE_BOUNDS if b]
    turned = standings.c.turned_at
    younger = [func.count().filter(turned >= now - timedelta(days=b), turned < NEVER) for b in bounds]
    counts = func.count(), func.count().filter(standings.c.due_at < now), _aged(), *younger
    health = _health(now, blind_after).label("shown")
    looked = standings.outerjoin(integrations, integrations.c.key == standings.c.key)
    asked = select(standings.c.state, health, *counts).select_from(looked)
    rows = connection.execute(asked.group_by(standings.c.state, health)).all()
    overdue, aged, *ages = (sum(row[n] for row in rows) for n in range(3, 5 + len(bounds)))
    upto = [0, *ages, aged]
    return {
        "states": {s: sum(row[2] for row in rows if row.state == s) for s in FleetState},
        "healths": {h: sum(row[2] for row in rows if row.shown == h) for h in FleetHealth},
        "overdue": overdue,
        "ages": {str(bound): upto[n + 1] - upto[n] for n, bound in enumerate(AGE_BOUNDS)},
    }


def _health(now: datetime, blind_after: timedelta | None) -> ColumnElement[str]:
    """As `standings.row_of` shows it."""
    if blind_after is None:
        return standings.c.health
    seen = func.coalesce(integrations.c.checked_at > now - blind_after, False)
    blind = and_(standings.c.health == FleetHealth.OK, not_(seen))
    return case((blind, literal(FleetHealth.UNKNOWN.value)), else_=standings.c.health)


def _aged() -> ColumnElement[int]:
    return func.count().filter(standings.c.turned_at < NEVER)


def _spread(connection: Connection, lists: ColumnElement[list[str]]) -> dict[str, int]:
    """How many rows have each of the words in a column."""
    word = select(func.unnest(lists).label("word")).subquery().c.word
    asked = select(word, func.count().label("rows")).group_by(word).order_by(word)
    return {row.word: row.rows for row in connection.execute(asked)}


def _graces(connection: Connection, now: datetime) -> list[list[str]]:
    asked = select(standings.c.key, standings.c.grace_ends_at).where(standings.c.grace_ends_at > now)
    first = asked.order_by(standings.c.grace_ends_at, standings.c.key).limit(MOST_GRACES)
    return [[row.key, row.grace_ends_at.isoformat()] for row in connection.execute(first)]


def _keep(connection: Connection, name: str, at: datetime, body: Mapping[str, Any]) -> None:
    kept = upsert(snapshots).values(name=name, at=at, body=body)
    connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"at": at, "body": body}))


def _keep_day(connection: Connection, now: datetime, states: Mapping[str, int]) -> None:
    """The first count of a day stands for it."""
    day = upsert(snapshots).values(name=f"{now:%Y-%m-%d}", at=now, body=states)
    connection.execute(day.on_conflict_do_nothing())
    connection.execute(delete(snapshots).where(snapshots.c.at <= now - _DAYS, snapshots.c.name != _NAME))


def _history(connection: Connection, now: datetime) -> list[tuple[datetime, Mapping[FleetState, int]]]:
    days = select(snapshots).where(snapshots.c.name != _NAME, snapshots.c.at > now - _DAYS).order_by(snapshots.c.at)
    return [(row.at, _each(FleetState, row.body)) for row in connection.execute(days)]


def _pictures_of(
    at: datetime, body: Mapping[str, Any], history: list[tuple[datetime, Mapping[FleetState, int]]]
) -> Pictures:
    return Pictures(
        at=at,
        total=sum(body["states"].values()),
        states=_each(FleetState, body["states"]),
        healths=_each(FleetHealth, body["healths"]),
        causes={cause: n for cause, n in _each(Cause, body["causes"]).items() if n},
        ages={bound: body["ages"][str(bound)] for bound in AGE_BOUNDS},
        overdue=body["overdue"],
        waiting=dict(sorted(body["waiting"].items())),
        history=tuple(history),
        times=tuple(StageTimes(Stage(stage), *said) for stage, *said in body["times"]),
        graces=tuple((IntegrationKey.parse(key), datetime.fromisoformat(ends)) for key, ends in body["graces"]),
    )


def _each(words: type[_Word], counts: Mapping[str, int]) -> dict[_Word, int]:
    """A count for each word, in their order, which JSON does not keep."""
    return {word: counts.get(word, 0) for word in words}
