"""Gates: asked, amended, closed, asked afresh. Each function is part of an open transaction that holds the attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from keyturn.domain.attempt import Attempt, AttemptState
from keyturn.domain.gate import Channel, Decision, Gate, GateKind, GateState, Person, Policy, admit, outcome
from keyturn.domain.schedule import as_long_again
from keyturn.errors import GateClosedError
from keyturn.ledger import telling
from keyturn.ledger.rows import attempt_of, decision_of, gate_of
from keyturn.ledger.tables import attempts, decisions, gates
from keyturn.ledger.unit import SYSTEM, Unit

_WITH_DECISIONS = (
    select(*gates.c, *(c.label(f"d_{c.name}") for c in decisions.c))
    .select_from(gates.outerjoin(decisions))
    .order_by(gates.c.seq, decisions.c.seq)
)


def find(connection: Connection, *where: ColumnElement[bool]) -> list[Gate]:
    """The gates for which all conditions hold, with their decisions, oldest first."""
    rows = connection.execute(_WITH_DECISIONS.where(*where)).all()
    grouped = (list(same) for _, same in groupby(rows, key=lambda row: row.seq))
    return [gate_of(same[0], (decision_of(row) for row in same if row.d_seq is not None)) for same in grouped]


def newest(connection: Connection, attempt: Attempt, kind: GateKind) -> Gate | None:
    """The newest gate of that kind for the attempt's present digest."""
    mine = (gates.c.attempt_id == attempt.id, gates.c.kind == kind, gates.c.digest == attempt.digest)
    last = select(func.max(gates.c.seq)).where(*mine).scalar_subquery()
    return next(iter(find(connection, gates.c.seq == last)), None)


def ask(
    unit: Unit, attempt: Attempt, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime
) -> Gate:
    """Open a gate. With an unknown requester one more approval is needed: one of them is not the requester's then."""
    unknown = kind is GateKind.APPROVE and attempt.requester is None
    return _insert(
        unit,
        attempt,
        {
            "kind": kind,
            "needed": policy.approvals + unknown,
            "groups": list(policy.groups),
            "channel": policy.channel,
            "rearm_at": rearm_at,
            "question": dict(question),
        },
    )


def ask_afresh(unit: Unit, attempt: Attempt, gate: Gate, now: datetime) -> Gate:
    """Expire an open gate nobody answered in time, and ask the same for as long again. Decisions so far are gone."""
    _retire(unit, attempt, gate, GateState.EXPIRED, "not answered in time")
    return _ask_alike(unit, attempt, gate, now, {}, afresh=True)


def amend(unit: Unit, attempt: Attempt, gate_id: UUID, question: Mapping[str, object], by: Person = SYSTEM) -> Gate:
    """Replace what an open gate says.

    Raises:
        GateClosedError: it is not open.
    """
    gate = _alter(unit, _open(unit, attempt, gate_id), {"question": dict(question)})
    unit.audit("gate.amended", attempt, _about(gate), by)
    return gate


def close(
    unit: Unit, attempt: Attempt, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]
) -> Gate:
    """Close an open gate without a decision.

    Raises:
        GateClosedError: it is not open any more.
    """
    values = {"state": state, "decided_at": unit.now(), "reason": reason, "answer": dict(answer)}
    gate = _alter(unit, _open(unit, attempt, gate_id), values)
    unit.audit("gate.closed", attempt, {**_about(gate), "state": state, "reason": reason})
    return gate


def ask_again(unit: Unit, attempt: Attempt, kind: GateKind, reason: str, question: Mapping[str, object]) -> Gate | None:
    """Make the newest gate void, for its answer was of no use, and ask the same with something added.

    Returns:
        The new gate, or `None` when there was none to ask again.
    """
    gate = newest(unit.connection, attempt, kind)
    if gate is None:
        return None
    _retire(unit, attempt, gate, GateState.VOID, reason)
    return _ask_alike(unit, attempt, gate, unit.now(), question)


def decide(
    unit: Unit, attempt: Attempt, gate: Gate, decision: Decision, answer: Mapping[str, object], by: Person
) -> Gate:
    """Record one person's decision, and close the gate if it is the one that settles it.

    Raises:
        RefusedError: the decision does not count (`keyturn.domain.gate.admit`).
    """
    admit(gate, by, decision.digest)
    unit.connection.execute(insert(decisions).values(gate_id=gate.id, **_columns(decision)))
    state = outcome(replace(gate, decisions=(*gate.decisions, decision)))
    values: dict[str, object] = {"answer": {**gate.answer, **answer}}
    if state is not GateState.OPEN:
        reason = decision.note if state is GateState.REJECTED else ""
        values |= {"state": state, "decided_at": decision.at, "reason": reason}
    after = _alter(unit, gate, values)
    said = {"approved": decision.approved, "note": decision.note, "groups": sorted(by.groups)}
    unit.audit("gate.decided", attempt, {**_about(after), **said, "state": state}, by)
    return after


def void(unit: Unit, attempt: Attempt, reason: str, states: Sequence[GateState] = (GateState.OPEN,)) -> None:
    """Void the attempt's gates that are in one of the states; nothing is owed for them."""
    mine = (gates.c.attempt_id == attempt.id, gates.c.state.in_(states))
    for gate in find(unit.connection, *mine):
        _retire(unit, attempt, gate, GateState.VOID, reason)


def rearm(unit: Unit, now: datetime) -> list[Gate]:
    """Ask every open gate past its `rearm_at` afresh. Attempts somebody holds are left for the next time."""
    # A form in Prefect's pages answers for the gate it was made for: asked afresh, its answer would count for nothing.
    due = (gates.c.state == GateState.OPEN, gates.c.rearm_at <= now, gates.c.channel != Channel.PREFECT)
    with_due = attempts.c.id.in_(select(gates.c.attempt_id).where(*due))
    held = select(attempts).where(attempts.c.state == AttemptState.ACTIVE, with_due)
    rows = unit.connection.execute(held.order_by(attempts.c.seq).with_for_update(skip_locked=True)).all()
    locked = {row.id: attempt_of(row) for row in rows}
    overdue = find(unit.connection, *due, gates.c.attempt_id.in_(locked))
    return [ask_afresh(unit, locked[gate.attempt_id], gate, now) for gate in overdue]


def retire(unit: Unit, attempt: Attempt, gate: Gate, reason: str) -> None:
    """Make a gate void, whatever was answered there: what it was about has been undone."""
    if gate.state is not GateState.VOID:
        _retire(unit, attempt, gate, GateState.VOID, reason)


def _open(unit: Unit, attempt: Attempt, gate_id: UUID) -> Gate:
    mine = (gates.c.id == gate_id, gates.c.attempt_id == attempt.id, gates.c.state == GateState.OPEN)
    found = find(unit.connection, *mine)
    if not found:
        raise GateClosedError(
            f"{attempt.key} gate {gate_id}", "is not open", "Look at `keyturn gates` for what is open."
        )
    return found[0]


def _retire(unit: Unit, attempt: Attempt, gate: Gate, state: GateState, reason: str) -> None:
    _alter(unit, gate, {"state": state, "decided_at": gate.decided_at or unit.now(), "reason": reason})
    unit.audit(f"gate.{state}", attempt, {**_about(gate), "reason": reason})


def _ask_alike(
    unit: Unit, attempt: Attempt, gate: Gate, now: datetime, added: Mapping[str, object], *, afresh: bool = False
) -> Gate:
    return _insert(
        unit,
        attempt,
        {
            "kind": gate.kind,
            "needed": gate.needed,
            "groups": list(gate.groups),
            "channel": gate.channel,
            "opened_at": now,
            "rearm_at": as_long_again(gate.opened_at, gate.rearm_at, now),
            "question": {**gate.question, **added},
        },
        afresh=afresh,
    )


def _insert(unit: Unit, attempt: Attempt, asked: Mapping[str, object], *, afresh: bool = False) -> Gate:
    values = {
        "attempt_id": attempt.id,
        "key": str(attempt.key),
        "digest": attempt.digest,
        "requester_id": attempt.requester,
        "state": GateState.OPEN,
        "opened_at": unit.now(),
        **asked,
    }
    gate = gate_of(unit.connection.execute(insert(gates).values(values).returning(gates)).one(), ())
    unit.audit("gate.opened", attempt, {**_about(gate), "needed": gate.needed, "groups": list(gate.groups)})
    telling.of_gate(unit, attempt, gate, afresh=afresh)
    return gate


def _alter(unit: Unit, gate: Gate, values: Mapping[str, object]) -> Gate:
    unit.connection.execute(update(gates).where(gates.c.id == gate.id).values(**values))
    return find(unit.connection, gates.c.id == gate.id)[0]


def _columns(decision: Decision) -> dict[str, object]:
    return {
        "person_id": decision.person_id,
        "person_name": decision.person_name,
        "signed_in": decision.signed_in,
        "approved": decision.approved,
        "digest": decision.digest,
        "note": decision.note,
        "at": decision.at,
    }


def _about(gate: Gate) -> dict[str, object]:
    return {"gate": str(gate.id), "kind": gate.kind}
