"""Gates of a ledger in memory; the rules are those of `keyturn.domain.gate`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Decision, Gate, GateKind, GateState, Person, Policy, admit, outcome
from keyturn.domain.schedule import as_long_again
from keyturn.errors import GateClosedError
from tests.fakes.ledger_rows import Draft, Tables, as_json

_OPEN = (GateState.OPEN,)


def newest(tables: Tables, attempt: Attempt, kind: GateKind) -> Gate | None:
    """The newest gate of that kind for the attempt's present digest."""
    mine = (g for g in reversed(tables.gates.values()) if g.attempt_id == attempt.id)
    return next((g for g in mine if g.kind is kind and g.digest == attempt.digest), None)


def ask(
    draft: Draft, attempt: Attempt, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime
) -> Gate:
    """Open a gate; with an unknown requester one more approval is needed."""
    unknown = kind is GateKind.APPROVE and attempt.requester is None
    opened = Gate(
        id=draft.new_id(),
        attempt_id=attempt.id,
        key=attempt.key,
        kind=kind,
        digest=attempt.digest,
        requester=attempt.requester,
        needed=policy.approvals + unknown,
        groups=tuple(policy.groups),
        channel=policy.channel,
        state=GateState.OPEN,
        opened_at=draft.now(),
        rearm_at=rearm_at,
        question=as_json(question),
    )
    return _opened(draft, attempt, opened)


def ask_afresh(draft: Draft, attempt: Attempt, gate: Gate) -> Gate:
    """Expire an open gate nobody answered in time, and ask the same for as long again."""
    _retire(draft, attempt, gate, GateState.EXPIRED, "not answered in time")
    return _ask_alike(draft, attempt, gate, {})


def ask_again(
    draft: Draft, attempt: Attempt, kind: GateKind, reason: str, question: Mapping[str, object]
) -> Gate | None:
    """Make the newest gate void, for its answer was of no use, and ask the same with something added."""
    gate = newest(draft.tables, attempt, kind)
    if gate is None:
        return None
    _retire(draft, attempt, gate, GateState.VOID, reason)
    return _ask_alike(draft, attempt, gate, question)


def amend(draft: Draft, attempt: Attempt, gate_id: UUID, question: Mapping[str, object]) -> Gate:
    """Replace what an open gate says."""
    gate = _altered(draft, _open(draft, attempt, gate_id), question=as_json(question))
    draft.audit("gate.amended", attempt, _about(gate))
    return gate


def close(
    draft: Draft, attempt: Attempt, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]
) -> Gate:
    """Close an open gate without a decision."""
    values = {"state": state, "decided_at": draft.now(), "reason": reason, "answer": as_json(answer)}
    gate = _altered(draft, _open(draft, attempt, gate_id), **values)
    draft.audit("gate.closed", attempt, {**_about(gate), "state": state, "reason": reason})
    return gate


def decide(
    draft: Draft, attempt: Attempt, gate: Gate, decision: Decision, answer: Mapping[str, object], by: Person
) -> Gate:
    """Record one person's decision, and close the gate if it is the one that settles it."""
    admit(gate, by, decision.digest)
    decided = replace(gate, decisions=(*gate.decisions, decision), answer={**gate.answer, **as_json(answer)})
    state = outcome(decided)
    if state is not GateState.OPEN:
        reason = decision.note if state is GateState.REJECTED else ""
        decided = replace(decided, state=state, decided_at=decision.at, reason=reason)
    draft.tables.gates[gate.id] = decided
    said = {"approved": decision.approved, "note": decision.note, "groups": sorted(by.groups)}
    draft.audit("gate.decided", attempt, {**_about(decided), **said, "state": state}, by)
    return decided


def void(draft: Draft, attempt: Attempt, reason: str, states: Collection[GateState] = _OPEN) -> None:
    """Void the attempt's gates that are in one of the states."""
    for gate in [g for g in draft.tables.gates.values() if g.attempt_id == attempt.id and g.state in states]:
        _retire(draft, attempt, gate, GateState.VOID, reason)


def retire(draft: Draft, attempt: Attempt, gate: Gate, reason: str) -> None:
    """Make a gate void, whatever was answered there."""
    if gate.state is not GateState.VOID:
        _retire(draft, attempt, gate, GateState.VOID, reason)


def _open(draft: Draft, attempt: Attempt, gate_id: UUID) -> Gate:
    gate = draft.tables.gates.get(gate_id)
    if gate is None or gate.attempt_id != attempt.id or gate.state is not GateState.OPEN:
        raise GateClosedError(
            f"{attempt.key} gate {gate_id}", "is not open", "Look at `keyturn gates` for what is open."
        )
    return gate


def _retire(draft: Draft, attempt: Attempt, gate: Gate, state: GateState, reason: str) -> None:
    _altered(draft, gate, state=state, decided_at=gate.decided_at or draft.now(), reason=reason)
    draft.audit(f"gate.{state}", attempt, {**_about(gate), "reason": reason})


def _ask_alike(draft: Draft, attempt: Attempt, gate: Gate, added: Mapping[str, object]) -> Gate:
    opened = replace(
        gate,
        id=draft.new_id(),
        digest=attempt.digest,
        requester=attempt.requester,
        state=GateState.OPEN,
        opened_at=draft.now(),
        rearm_at=as_long_again(gate.opened_at, gate.rearm_at, draft.now()),
        decided_at=None,
        resumed_at=None,
        reason="",
        decisions=(),
        question=as_json({**gate.question, **added}),
        answer={},
    )
    return _opened(draft, attempt, opened)


def _opened(draft: Draft, attempt: Attempt, gate: Gate) -> Gate:
    same = (g for g in draft.tables.gates.values() if (g.attempt_id, g.kind) == (attempt.id, gate.kind))
    if any(g.state is GateState.OPEN for g in same):
        raise AssertionError("ux_gates_one_open: a second open gate of a kind")
    draft.tables.gates[gate.id] = gate
    draft.audit("gate.opened", attempt, {**_about(gate), "needed": gate.needed, "groups": list(gate.groups)})
    return gate


def _altered(draft: Draft, gate: Gate, **values: Any) -> Gate:
    changed = replace(draft.tables.gates[gate.id], **values)
    draft.tables.gates[gate.id] = changed
    return changed


def _about(gate: Gate) -> dict[str, object]:
    return {"gate": str(gate.id), "kind": gate.kind}
