"""Where integrations stand, made anew from the ledger's other tables for those that have changed.

Each function is part of an open transaction. What a row says is read off with the same rules as everywhere else; this
module only puts it together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert as upsert

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Stage, stages_of
from keyturn.domain.fleet import FleetHealth, FleetRow, FleetState, Waiting, said_of
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.health import Cause, Health, Outcome, is_blind, severity_of
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Severity
from keyturn.domain.rotation import end_of_click
from keyturn.domain.schedule import due_at
from keyturn.errors import ConfigurationError
from keyturn.ledger.fleet import among, members, newest_attempts
from keyturn.ledger.fleet_tables import NEVER, standings
from keyturn.ledger.healths import healths
from keyturn.ledger.searching import parts_of, tags_of
from keyturn.ledger.stale import take_stale
from keyturn.ledger.tables import attempts, receipts
from keyturn.ports import Member

BATCH = 500
"""How many integrations are listed anew in one transaction."""

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ConfigurationError)
"""What comes of a row with a word that only a newer keyturn knows. No error of the database is one of these."""

_LOCK = 0x6B746673  # any number, the same for every keyturn
_URGENT = tuple(reversed(Severity))


def refresh(connection: Connection, left_out: Callable[[str], None]) -> int:
    """Make a batch anew, one process at a time; gives how many, less than `BATCH` when it was the last.

    Were there two, the one that read first could write last.

    Args:
        connection: of an open transaction.
        left_out: hears of each integration that cannot be read; what was listed of it stays.
    """
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    taken = take_stale(connection, BATCH)
    if taken:
        _write(connection, taken, left_out)
    return len(taken)


def derived(connection: Connection, keys: Sequence[str]) -> list[FleetRow]:
    """What the ledger's other tables say of integrations, those that are not known left out."""
    found = healths(connection, keys)
    verdicts, graces = _verdicts(connection, keys), _graces(connection, keys)
    return [
        _row(member, found.get(member.key, Health()), verdicts.get(str(member.key), {}), graces.get(str(member.key)))
        for member in members(connection, keys)
    ]


def row_of(row: Row[Any], now: datetime, blind_after: timedelta | None) -> FleetRow:
    """A row of `standings`, with the `checked_at` that it was joined to; a grace that is over is none.

    Args:
        row: what is kept.
        now: the present.
        blind_after: what nobody has looked at for so long is not known to be well, whatever was found last.
    """
    health = FleetHealth(row.health)
    if health is FleetHealth.OK and is_blind(row.checked_at, now, blind_after):
        health = FleetHealth.UNKNOWN
    return FleetRow(
        key=IntegrationKey.parse(row.key),
        state=FleetState(row.state),
        health=health,
        says=row.says,
        attempt_id=row.attempt_id,
        kind=AttemptKind(row.kind) if row.kind else None,
        stage=Stage(row.stage) if row.stage else None,
        done=row.done,
        total=row.total,
        reason=row.reason,
        causes=tuple(map(Cause, row.causes)),
        waiting=tuple(map(_waiting_of, row.waiting)),
        turned_at=_moment(row.turned_at),
        due_at=_moment(row.due_at),
        grace_ends_at=row.grace_ends_at if row.grace_ends_at and row.grace_ends_at > now else None,
        verdict=row.verdict,
        checked_at=row.checked_at,
    )


def _write(connection: Connection, keys: Sequence[str], left_out: Callable[[str], None]) -> None:
    keys, found = _readable(connection, keys, left_out)
    rows = [_columns(row) for row in found]
    if rows:
        made = upsert(standings)
        values = {c.name: made.excluded[c.name] for c in standings.c if c.name != "key"}
        changed = literal_column("standings.*").op("IS DISTINCT FROM")(literal_column("excluded.*"))
        connection.execute(made.on_conflict_do_update(index_elements=["key"], set_=values, where=changed), rows)
    if gone := set(keys) - {str(row["key"]) for row in rows}:
        connection.execute(delete(standings).where(standings.c.key.in_(gone)))


def _readable(
    connection: Connection, keys: Sequence[str], left_out: Callable[[str], None]
) -> tuple[Sequence[str], list[FleetRow]]:
    """What can be read of them; one that a newer keyturn has written to must not hide all others."""
    try:
        return keys, derived(connection, keys)
    except UNREADABLE:
        pass
    good, rows = [], []
    for key in keys:
        try:
            rows += derived(connection, [key])
            good.append(key)
        except UNREADABLE:
            left_out(key)
    return good, rows


def _row(member: Member, health: Health, verdict: Mapping[str, str], grace_ends_at: datetime | None) -> FleetRow:
    attempt, turned = member.attempt, member.turned_at
    stages = stages_of(attempt.kind) if attempt else ()
    left = [s for s in stages if s not in member.done]
    return FleetRow(
        key=member.key,
        state=_state(member),
        health=_health(health),
        says=said_of(attempt, member.done, member.gates),
        attempt_id=attempt.id if attempt else None,
        kind=attempt.kind if attempt else None,
        stage=left[0] if left else None,
        done=len(stages) - len(left),
        total=len(stages),
        reason=attempt.reason if attempt else "",
        causes=_causes(health),
        waiting=tuple(Waiting(g.id, g.kind, g.groups, g.opened_at) for g in member.gates),
        turned_at=turned,
        due_at=due_at(member.key, member.rotation, turned) if turned and member.rotation else None,
        grace_ends_at=grace_ends_at or _grace_unanswered(member.gates),
        verdict=verdict,
        checked_at=health.checked_at,
    )


def _state(member: Member) -> FleetState:
    attempt = member.attempt
    if attempt is not None and attempt.state is AttemptState.ACTIVE:
        return _state_of_active(attempt, asked=any(g.groups for g in member.gates))
    return FleetState.LIVE if member.rotation else FleetState.ENDED


def _state_of_active(attempt: Attempt, *, asked: bool) -> FleetState:
    if attempt.halt is not Halt.NONE:
        return FleetState.HALTED
    return FleetState.WAITING if asked else FleetState.MOVING


def _health(health: Health) -> FleetHealth:
    if health.raised:
        return FleetHealth.RAISED  # also when all observations were so old that they are forgotten
    if not health.observations:
        return FleetHealth.NEVER
    fine = all(o.outcome is Outcome.OK for o in health.observations)
    return FleetHealth.OK if fine else FleetHealth.UNKNOWN


def _causes(health: Health) -> tuple[Cause, ...]:
    """The most severe first, of these the oldest."""
    raised = sorted(health.raised, key=lambda c: (_URGENT.index(severity_of(c.cause)), c.since, c.cause))
    return tuple(c.cause for c in raised)


def _rank(row: FleetRow) -> int:
    """How urgent it is, 0 the most."""
    if row.state is FleetState.HALTED:
        return 0
    if row.causes:
        return 1 + _URGENT.index(severity_of(row.causes[0]))
    return 1 + len(_URGENT) + (row.state is not FleetState.WAITING)


def _grace_unanswered(asked: Sequence[Gate]) -> datetime | None:
    """The end of a grace that runs while the new secret is asked for again: after the click the first was refused."""
    ends = (end_of_click(g.question, g.opened_at) for g in asked if g.kind is GateKind.GONG_ROTATION)
    return next((end for end in ends if end), None)


def _verdicts(connection: Connection, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """How the last test of each connection went, layer by layer."""
    tested = and_(receipts.c.attempt_id == attempts.c.id, receipts.c.stage == Stage.TEST_CONNECTION)
    asked = select(attempts.c.key, receipts.c.body).join(receipts, tested).where(receipts.c.digest == attempts.c.digest)
    newest = asked.distinct(attempts.c.key).order_by(attempts.c.key, receipts.c.at.desc(), attempts.c.seq.desc())
    rows = connection.execute(among(newest, attempts.c.key, keys))
    return {row.key: {name: said["status"] for name, said in sorted(row.body.items())} for row in rows}


def _graces(connection: Connection, keys: Sequence[str]) -> dict[str, datetime]:
    """Until when each older secret works at least, after the click of the newest attempt."""
    newest = newest_attempts(keys).subquery()
    same = and_(receipts.c.attempt_id == newest.c.id, receipts.c.digest == newest.c.digest)
    ends = receipts.c.body["grace_ends_earliest"].astext.label("ends")
    asked = select(newest.c.key, ends).join(receipts, same).where(receipts.c.stage == Stage.GONG_ROTATION)
    return {row.key: datetime.fromisoformat(row.ends) for row in connection.execute(asked) if row.ends}


def _columns(row: FleetRow) -> dict[str, object]:
    asked = [w for w in row.waiting if w.groups]
    return {
        "key": str(row.key),
        "state": row.state,
        "health": row.health,
        "says": row.says,
        "attempt_id": row.attempt_id,
        "kind": row.kind,
        "stage": row.stage,
        "done": row.done,
        "total": row.total,
        "reason": row.reason,
        "causes": list(row.causes),
        "waiting": [_waiting_as(w) for w in row.waiting],
        "groups": sorted({group for w in asked for group in w.groups}),
        "since": min((w.since for w in asked), default=NEVER),
        "rank": _rank(row),
        "turned_at": row.turned_at or NEVER,
        "due_at": row.due_at or NEVER,
        "grace_ends_at": row.grace_ends_at,
        "verdict": dict(row.verdict),
        "tags": tags_of(row),
        "parts": parts_of(str(row.key)),
    }


def _waiting_as(waiting: Waiting) -> dict[str, object]:
    return {
        "gate": str(waiting.gate_id),
        "kind": waiting.kind,
        "groups": list(waiting.groups),
        "since": waiting.since.isoformat(),
    }


def _waiting_of(body: Mapping[str, Any]) -> Waiting:
    since = datetime.fromisoformat(body["since"])
    return Waiting(UUID(body["gate"]), GateKind(body["kind"]), tuple(body["groups"]), since)


def _moment(moment: datetime) -> datetime | None:
    return moment if moment < NEVER else None
