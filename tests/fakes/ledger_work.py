"""What can be done in a ledger in memory while an attempt is held: by an execution, and by a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from keyturn.domain.attempt import Attempt, Execution, Receipt, Stage, Terms, Wish
from keyturn.domain.gate import Decision, Gate, GateKind, GateState, Person, Policy
from keyturn.domain.trail import sha256_of
from tests.fakes import ledger_attempts as attempts
from tests.fakes import ledger_gates as gates
from tests.fakes.ledger_rows import Draft, as_json

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


class FakeWork:
    """Implements `keyturn.ports.Work`."""

    def __init__(self, draft: Draft, attempt: Attempt, execution: Execution) -> None:
        self._draft, self._attempt, self._execution = draft, attempt, execution

    @property
    def attempt(self) -> Attempt:
        """The attempt as it is now."""
        return self._attempt

    def receipt(self, stage: Stage) -> Receipt | None:
        """The stage's receipt for the execution's digest."""
        return self._draft.tables.receipts.get((self._attempt.id, stage, self._attempt.digest))

    def write_receipt(self, stage: Stage, body: Mapping[str, object]) -> Receipt:
        """Prove the stage done; the first receipt stands."""
        if before := self.receipt(stage):
            return before
        if self._attempt.restarts:
            self._attempt = self._draft.alter(self._attempt, restarts=0)
        receipt = Receipt(stage, as_json(body), self._draft.now())
        self._draft.tables.receipts[self._attempt.id, stage, self._attempt.digest] = receipt
        self.audit("receipt.written", {"stage": stage, "sha256": sha256_of(body)})
        return receipt

    def withdraw(self, stage: Stage, reason: str, question: Mapping[str, object]) -> None:
        """Take the stage's receipt back, and ask the person it rested on afresh."""
        self._take_back(stage, reason)
        if kind := _RESTS_ON.get(stage):
            gates.ask_again(self._draft, self._attempt, kind, reason, question)

    def rewind(self, stages: Sequence[Stage], reason: str) -> None:
        """Take receipts back, and make void what was asked for these stages."""
        for stage in stages:
            if self.receipt(stage) is not None:
                self._take_back(stage, reason)
            if (kind := _RESTS_ON.get(stage)) and (gate := self.gate(kind)):
                gates.retire(self._draft, self._attempt, gate, reason)

    def want(self, wish: Wish, reason: str) -> None:
        """Note what the next execution has to do first."""
        self._attempt = attempts.want(self._draft, self._attempt, wish)
        self.audit("rotation.wished", {"wish": wish, "reason": reason})

    def change_terms(self, terms: Terms) -> None:
        """Give the rotation other terms; a wish that led to them is fulfilled."""
        self._attempt = self._draft.alter(self._attempt, terms=terms, wish=Wish.NONE)
        self.audit("rotation.terms_changed", asdict(terms))

    def gate(self, kind: GateKind) -> Gate | None:
        """The newest gate of that kind for the execution's digest."""
        return gates.newest(self._draft.tables, self._attempt, kind)

    def open_gate(self, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime) -> Gate:
        """Ask, unless it is being asked already."""
        before = self.gate(kind)
        if before and before.state is GateState.OPEN:
            return before
        return gates.ask(self._draft, self._attempt, kind, policy, question, rearm_at)

    def amend_gate(self, gate_id: UUID, question: Mapping[str, object]) -> Gate:
        """Replace what an open gate says."""
        return gates.amend(self._draft, self._attempt, gate_id, question)

    def close_gate(self, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]) -> Gate:
        """Close an open gate without a decision."""
        return gates.close(self._draft, self._attempt, gate_id, state, reason, answer)

    def audit(self, event: str, detail: Mapping[str, object]) -> None:
        """Add to the trail, with the execution's number."""
        self._draft.audit(event, self._attempt, {"fence": self._execution.fence, **detail})

    def _take_back(self, stage: Stage, reason: str) -> None:
        self._draft.tables.receipts.pop((self._attempt.id, stage, self._attempt.digest), None)
        self.audit("receipt.withdrawn", {"stage": stage, "reason": reason})


class FakeDeciding:
    """Implements `keyturn.ports.Deciding`. `note` writes to the trail whatever becomes of the transaction."""

    def __init__(self, draft: Draft, attempt: Attempt, gate: Gate, note: Note) -> None:
        self._draft, self._attempt, self._gate, self._note = draft, attempt, gate, note

    @property
    def gate(self) -> Gate:
        """The gate as it is now."""
        return self._gate

    def decide(self, person: Person, *, approved: bool, digest: str, note: str, answer: Mapping[str, object]) -> Gate:
        """Record the decision."""
        decision = Decision(person.id, person.name, person.signed_in, approved, digest, note, self._draft.now())
        self._gate = gates.decide(self._draft, self._attempt, self._gate, decision, answer, person)
        return self._gate

    def amend(self, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says."""
        self._gate = gates.amend(self._draft, self._attempt, self._gate.id, question)
        return self._gate

    def audit(self, person: Person, event: str, detail: Mapping[str, object]) -> None:
        """Add to the trail at once."""
        self._note(person, event, {"gate": str(self._gate.id), "kind": self._gate.kind, **detail})
