"""What can be done while an attempt's row is locked: by an execution (`Work`), and by a person (`Deciding`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select

from keyturn.domain.attempt import Attempt, Execution, Receipt, Stage, Terms, Wish
from keyturn.domain.gate import Decision, Gate, GateKind, GateState, Person, Policy
from keyturn.domain.trail import sha256_of
from keyturn.ledger import attempts, gates, halts
from keyturn.ledger.rows import receipt_of
from keyturn.ledger.tables import receipts
from keyturn.ledger.unit import Unit
from keyturn.ports import Deciding, Work

_RESTS_ON = {
    Stage.APPROVE: GateKind.APPROVE,
    Stage.GONG_ADMIN: GateKind.GONG_ADMIN,
    Stage.CREATE_PROFILE: GateKind.STACKONE_FORM,
    Stage.LINK_ACCOUNT: GateKind.CONSENT,
    Stage.GONG_ROTATION: GateKind.GONG_ROTATION,
    Stage.APPLY: GateKind.STACKONE_FORM,
    Stage.VERIFY: GateKind.PROOF,
    Stage.ROLL_BACK: GateKind.STACKONE_FORM,
    Stage.RETIRE: GateKind.GRACE,
}

Note = Callable[[Person, str, Mapping[str, object]], None]


class HeldWork(Work):
    """`keyturn.ports.Work` on an open transaction."""

    def __init__(self, unit: Unit, attempt: Attempt, execution: Execution) -> None:
        self._unit, self._attempt, self._execution = unit, attempt, execution

    @property
    def attempt(self) -> Attempt:
        """The attempt as it is now."""
        return self._attempt

    def receipt(self, stage: Stage) -> Receipt | None:
        """The stage's receipt for the execution's digest."""
        mine = receipts.c.attempt_id == self._attempt.id, receipts.c.digest == self._attempt.digest
        asked = select(receipts).where(*mine, receipts.c.stage == stage)
        row = self._unit.connection.execute(asked).one_or_none()
        return receipt_of(row) if row else None

    def write_receipt(self, stage: Stage, body: Mapping[str, object]) -> Receipt:
        """Prove the stage done; the first receipt stands."""
        if before := self.receipt(stage):
            return before
        values = {
            "attempt_id": self._attempt.id,
            "stage": stage,
            "digest": self._attempt.digest,
            "fence": self._execution.fence,
            "body": dict(body),
            "at": self._unit.now(),
        }
        row = self._unit.connection.execute(insert(receipts).values(values).returning(receipts)).one()
        if self._attempt.restarts:
            self._attempt = attempts.alter(self._unit, self._attempt, {"restarts": 0})
        # Of what was to be written, not of the row that came back: whoever owns the tables can change it on its way.
        self.audit("receipt.written", {"stage": stage, "sha256": sha256_of(body)})
        return receipt_of(row)

    def withdraw(self, stage: Stage, reason: str, question: Mapping[str, object]) -> None:
        """Take the stage's receipt back, and ask the person it rested on afresh."""
        self._take_back(stage, reason)
        if kind := _RESTS_ON.get(stage):
            gates.ask_again(self._unit, self._attempt, kind, reason, question)

    def rewind(self, stages: Sequence[Stage], reason: str) -> None:
        """Take receipts back, and make void what was asked for these stages, answered or not."""
        for stage in stages:
            if self.receipt(stage) is not None:
                self._take_back(stage, reason)
            if (kind := _RESTS_ON.get(stage)) and (gate := self.gate(kind)):
                gates.retire(self._unit, self._attempt, gate, reason)

    def want(self, wish: Wish, reason: str) -> None:
        """Note what the next execution has to do first."""
        self._attempt = halts.want(self._unit, self._attempt, wish)
        self.audit("rotation.wished", {"wish": wish, "reason": reason})

    def change_terms(self, terms: Terms) -> None:
        """Give the rotation other terms."""
        values = {"terms": asdict(terms), "wish": Wish.NONE}
        self._attempt = attempts.alter(self._unit, self._attempt, values)
        self.audit("rotation.terms_changed", asdict(terms))

    def gate(self, kind: GateKind) -> Gate | None:
        """The newest gate of that kind for the execution's digest."""
        return gates.newest(self._unit.connection, self._attempt, kind)

    def open_gate(self, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime) -> Gate:
        """Ask, unless it is being asked already."""
        before = self.gate(kind)
        if before and before.state is GateState.OPEN:
            return before
        return gates.ask(self._unit, self._attempt, kind, policy, question, rearm_at)

    def amend_gate(self, gate_id: UUID, question: Mapping[str, object]) -> Gate:
        """Replace what an open gate says.

        Raises:
            GateClosedError: it is not open.
        """
        return gates.amend(self._unit, self._attempt, gate_id, question)

    def close_gate(self, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]) -> Gate:
        """Close an open gate without a decision.

        Raises:
            GateClosedError: it is not open.
        """
        return gates.close(self._unit, self._attempt, gate_id, state, reason, answer)

    def audit(self, event: str, detail: Mapping[str, object]) -> None:
        """Add to the trail, with the execution's number."""
        self._unit.audit(event, self._attempt, {"fence": self._execution.fence, **detail})

    def _take_back(self, stage: Stage, reason: str) -> None:
        mine = receipts.c.attempt_id == self._attempt.id, receipts.c.digest == self._attempt.digest
        self._unit.connection.execute(delete(receipts).where(*mine, receipts.c.stage == stage))
        self.audit("receipt.withdrawn", {"stage": stage, "reason": reason})


class HeldGate(Deciding):
    """`keyturn.ports.Deciding` on an open transaction.

    Args:
        note: writes to the audit trail in a transaction of its own.
    """

    def __init__(self, unit: Unit, attempt: Attempt, gate: Gate, note: Note) -> None:
        self._unit, self._attempt, self._gate, self._note = unit, attempt, gate, note

    @property
    def gate(self) -> Gate:
        """The gate as it is now."""
        return self._gate

    def decide(self, person: Person, *, approved: bool, digest: str, note: str, answer: Mapping[str, object]) -> Gate:
        """Record the decision.

        Raises:
            RefusedError: it does not count.
        """
        decision = Decision(person.id, person.name, person.signed_in, approved, digest, note, self._unit.now())
        self._gate = gates.decide(self._unit, self._attempt, self._gate, decision, answer, person)
        return self._gate

    def amend(self, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says.

        Raises:
            GateClosedError: it has been decided meanwhile.
        """
        self._gate = gates.amend(self._unit, self._attempt, self._gate.id, question)
        return self._gate

    def audit(self, person: Person, event: str, detail: Mapping[str, object]) -> None:
        """Add to the trail at once, whatever becomes of the decision."""
        self._note(person, event, {"gate": str(self._gate.id), "kind": self._gate.kind, **detail})
