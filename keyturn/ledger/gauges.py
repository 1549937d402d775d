"""`keyturn.ports.Gauges` on PostgreSQL: a handful of statements, none of which touches observations.

What is read off the standings is as fresh as the pictures: whoever reads those brings them up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, and_, func, select, true

from keyturn.domain.attempt import AttemptKind, AttemptState, Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.domain.gauges import CallOutcome, Readings
from keyturn.domain.health import Cause
from keyturn.domain.rotation import end_of_click
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.ledger.fleet_tables import NEVER, standings
from keyturn.ledger.tables import attempts, conditions, gates, integrations, notices, receipts, vendor_calls
from keyturn.ledger.unit import transaction
from keyturn.ports import Clock, Gauges

_TURNING = attempts.c.state == AttemptState.ACTIVE, attempts.c.kind == AttemptKind.ROTATION


class PostgresGauges(Gauges):
    """Gauges in the ledger.

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: not needed to read, but every transaction has one.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s

    def read(self) -> Readings:
        """Count everything in one transaction."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, "gauges") as unit:
            connection = unit.connection
            oldest_check, unchecked = _checks(connection)
            owed, failing, given_up = _notices(connection)
            return Readings(
                unit.now(),
                _gates(connection),
                _raised(connection),
                _layers(connection),
                _graces(connection),
                _oldest_secret(connection),
                oldest_check,
                unchecked,
                owed,
                failing,
                given_up,
                _calls(connection),
            )


def _gates(connection: Connection) -> Mapping[GateKind, tuple[int, datetime]]:
    open_ones = gates.c.state == GateState.OPEN
    asked = select(gates.c.kind, func.count(), func.min(gates.c.opened_at)).where(open_ones).group_by(gates.c.kind)
    return {GateKind(kind): (count, oldest) for kind, count, oldest in connection.execute(asked)}


def _raised(connection: Connection) -> Mapping[Cause, datetime]:
    asked = select(conditions.c.cause, func.min(conditions.c.since)).where(conditions.c.raised)
    return {Cause(cause): since for cause, since in connection.execute(asked.group_by(conditions.c.cause))}


def _layers(connection: Connection) -> Mapping[tuple[Layer, LayerStatus], int]:
    said = func.jsonb_each_text(standings.c.verdict).table_valued("key", "value").render_derived("said")
    layer, status = said.c.key, said.c.value
    asked = select(layer, status, func.count()).select_from(standings.join(said, true())).group_by(layer, status)
    return {(Layer(name), LayerStatus(says)): count for name, says, count in connection.execute(asked)}


def _oldest_secret(connection: Connection) -> datetime | None:
    turned = standings.c.turned_at
    found: datetime | None = connection.execute(select(func.min(turned)).where(turned < NEVER)).scalar_one()
    return found


def _graces(connection: Connection) -> Mapping[bool, datetime]:
    """The graces of the rotations under way. As in the alarms, those whose click nobody has answered for count, too."""
    ends: dict[bool, datetime] = {}
    for verified, end in [*_answered(connection), *_unanswered(connection)]:
        ends[verified] = min(end, ends.get(verified, end))
    return ends


def _answered(connection: Connection) -> Iterator[tuple[bool, datetime]]:
    """By the receipt of the click."""
    turned, verified = receipts.alias("turned"), receipts.alias("verified")
    clicked = _receipt_of(turned, Stage.GONG_ROTATION)
    found = attempts.join(turned, clicked).outerjoin(verified, _receipt_of(verified, Stage.VERIFY))
    ends = turned.c.body["grace_ends_earliest"].astext
    asked = select(ends.label("ends"), verified.c.stage.is_not(None).label("verified")).select_from(found)
    for row in connection.execute(asked.where(*_TURNING)):
        yield row.verified, datetime.fromisoformat(row.ends)


def _receipt_of(of: FromClause, stage: Stage) -> ColumnElement[bool]:
    return and_(of.c.attempt_id == attempts.c.id, of.c.digest == attempts.c.digest, of.c.stage == stage)


def _unanswered(connection: Connection) -> Iterator[tuple[bool, datetime]]:
    """By the gate that still asks for the new secret, once somebody has said that Gong was clicked."""
    mine = and_(gates.c.attempt_id == attempts.c.id, gates.c.state == GateState.OPEN)
    asked = select(gates.c.question, gates.c.opened_at).select_from(attempts.join(gates, mine)).where(*_TURNING)
    clicked = gates.c.kind == GateKind.GONG_ROTATION, gates.c.question.has_key("clicked_since")
    for row in connection.execute(asked.where(*clicked)):
        if end := end_of_click(row.question, row.opened_at):
            yield False, end


def _checks(connection: Connection) -> tuple[datetime | None, int]:
    asked = select(func.min(integrations.c.checked_at), func.count() - func.count(integrations.c.checked_at))
    oldest, unchecked = connection.execute(asked).one()
    return oldest, unchecked


def _notices(connection: Connection) -> tuple[int, int, int]:
    failed = notices.c.failure != ""
    owed = select(func.count(), func.count().filter(failed)).where(notices.c.settled_at.is_(None))
    given_up = select(func.count()).where(notices.c.settled_at.is_not(None), failed)
    return *connection.execute(owed).one(), connection.execute(given_up).scalar_one()


def _calls(connection: Connection) -> Mapping[tuple[str, CallOutcome], int]:
    asked = select(vendor_calls.c.vendor, vendor_calls.c.outcome, vendor_calls.c.count)
    return {(vendor, CallOutcome(outcome)): count for vendor, outcome, count in connection.execute(asked)}
