"""What the ledger's own changes tell people. Each notice is written in the transaction of the change it is about."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.domain.attempt import Attempt, AttemptState, Halt
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.notice import SEVERITIES, Event, Notice
from keyturn.ledger.unit import Unit

_ENDS = {
    AttemptState.COMPLETED: Event.ATTEMPT_COMPLETED,
    AttemptState.REJECTED: Event.ATTEMPT_REJECTED,
    AttemptState.REFUSED: Event.ATTEMPT_REFUSED,
}
_HALTS = {Halt.ROLLED_BACK: Event.ROTATION_ROLLED_BACK, Halt.ORPHANED: Event.ROTATION_ORPHANED}
_ALERTS = {"alert.wrapping_token_used": Event.WRAPPING_TOKEN_USED}


def of_gate(unit: Unit, attempt: Attempt, gate: Gate, *, afresh: bool) -> None:
    """A question was asked, or asked afresh because nobody answered; not told where nobody is asked."""
    if gate.kind is GateKind.GRACE:
        return
    event = Event.GATE_REARMED if afresh else Event.GATE_OPENED
    asked = {"kind": gate.kind.value, "groups": ", ".join(gate.groups), "digest": gate.digest[:12]}
    _tell(unit, attempt, event, f"gate/{gate.id}/{event}", asked)


def of_end(unit: Unit, attempt: Attempt) -> None:
    """An attempt has ended; not told when a person abandoned it. Its reason stays out: it names people."""
    if event := _ENDS.get(attempt.state):
        facts = {"attempt of": attempt.kind.value, "digest": attempt.digest[:12]}
        _tell(unit, attempt, event, f"attempt/{attempt.id}/{event}", facts)


def of_halt(unit: Unit, attempt: Attempt) -> None:
    """A rotation has halted; if it goes on and halts again, that is told again."""
    if event := _HALTS.get(attempt.halt):
        about = f"attempt/{attempt.id}/{event}/{attempt.fence}"
        _tell(unit, attempt, event, about, {"digest": attempt.digest[:12]})


def of_alert(unit: Unit, attempt: Attempt, audited: str, detail: Mapping[str, object]) -> None:
    """Something went into the audit trail that is an alert: once a day for each gate."""
    if event := _ALERTS.get(audited):
        about = f"gate/{detail.get('gate', attempt.id)}/{event}/{unit.now():%Y-%m-%d}"
        _tell(unit, attempt, event, about, {"kind": str(detail.get("kind", "")), "digest": attempt.digest[:12]})


def _tell(unit: Unit, attempt: Attempt, event: Event, about: str, facts: Mapping[str, str]) -> None:
    page = {"attempt": str(attempt.id), "run": str(attempt.flow_run_id or "")}
    unit.tell(Notice(event, SEVERITIES[event][0], str(attempt.key), about, {**page, **facts}))
