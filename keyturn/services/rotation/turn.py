"""Stage `gong_rotation`: a person clicks *Rotate secret* in Gong and hands the new secret in.

Nothing can take that click back. A secret that was lost between the click and the hand-in can only be replaced by a
second click, which kills the one in use at once: that is asked for and approved by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from keyturn.domain.attempt import Execution, Halt, Receipt, Stage, Wish
from keyturn.domain.credential import ProbeOutcome
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.rotation import Grace, grace_hours
from keyturn.errors import StageFailedError
from keyturn.ports import Clock, Ledger, SecretStore, Work
from keyturn.services.asking import answered, end_if_rejected, standing_gate
from keyturn.services.rotation.terms import emergency_hours, grace_after, grace_as, grace_of, last_turn, old_ref
from keyturn.services.stage import rearm_at, receipt_of
from keyturn.services.turned_back import LOOK, clicked_already, fingerprints_of, foreign

_SECOND = (
    "The new secret was lost before it was handed in. A second rotation in Gong KILLS THE SECRET IN USE AT ONCE: what "
    "refreshes before the newest one is applied fails, and there is no way back."
)
_DEAD = (GateState.VOID, GateState.EXPIRED)
_SHOWN = ("refused_fingerprint", "refused_because", "clicked_since", "told_hours")
_DECLINED = "it was said to be lost, and a second rotation was declined"


@dataclass(frozen=True, slots=True)
class Turning:
    """Asks for the click, and takes what it gave."""

    ledger: Ledger
    secrets: SecretStore
    clock: Clock

    def ask(self, execution: Execution) -> Receipt | Gate:
        """Ask Gong's admin to rotate the secret and to hand the new one in.

        Returns:
            The receipt, or the gate while it is open: the click, or the approval of a second one.

        Raises:
            StageFailedError: somebody said no.
        """
        sealed = self.ledger.manifest(execution.digest)
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.GONG_ROTATION):
                return receipt
            turned_back = self._turned_back(work, execution)
            if not turned_back:
                result = self._adopted(work, execution) or self._asked(work, execution, sealed)
        if turned_back:  # its gate is void from now on, so that nobody clicks
            self.ledger.halt(execution, Halt.ORPHANED, turned_back)
            raise StageFailedError(str(execution.key), turned_back, LOOK)
        return self._unless_rejected(execution, result) if isinstance(result, Gate) else result

    def _turned_back(self, work: Work, execution: Execution) -> str:
        """Why nobody may be asked to click, a clause: the ledger is not of the same moment as Vault."""
        pointer = self.secrets.pointer(execution.key)
        heard = fingerprints_of(self.ledger.gates(key=execution.key, only_open=False))
        preflight, old = receipt_of(work, Stage.PREFLIGHT, execution), old_ref(work, execution)
        return foreign(pointer, execution) or clicked_already(pointer, preflight, old, heard)

    def _asked(self, work: Work, execution: Execution, sealed: SealedManifest) -> Receipt | Gate:
        if work.attempt.wish is Wish.LOST_SECRET and not _found(work) and not _declined(work):
            gate = self._second_approval(work, sealed)
            if gate.state is not GateState.APPROVED:
                return gate
            work.change_terms(replace(work.attempt.terms, second=True))
        gate = self._gate(work, execution, sealed)
        if gate.state is not GateState.APPROVED:
            return gate
        grace = grace_after(gate, work.attempt.terms)
        if _was_dead_before(work, execution):
            grace = replace(grace, earliest_end=grace.began)
        return work.write_receipt(Stage.GONG_ROTATION, answered(gate) | grace_as(grace))

    def _gate(self, work: Work, execution: Execution, sealed: SealedManifest) -> Gate:
        terms, policy = work.attempt.terms, sealed.manifest.rotation
        hours = grace_hours(policy.grace_hours, compromised=terms.compromised, emergency=emergency_hours(sealed))
        question = {
            "grace_hours": hours,
            "compromised": terms.compromised,
            "second": terms.second,
            "in_use": old_ref(work, execution).fingerprint,
            **_known_of_click(work, execution),
        }
        return standing_gate(
            work, self.clock, sealed, GateKind.GONG_ROTATION, Policy(1, sealed.manifest.admins.gong), question
        )

    def _second_approval(self, work: Work, sealed: SealedManifest) -> Gate:
        """The approval of one more click, asked for once; the gate for the lost one is closed."""
        lost = work.gate(GateKind.GONG_ROTATION)
        if lost is not None and lost.state is GateState.OPEN:
            work.close_gate(lost.id, GateState.VOID, "the new secret was lost before it was handed in", {})
        gate = _second(work)
        if gate is not None and gate.state not in _DEAD and not _is_spent(work, gate):
            return gate
        approval = sealed.manifest.approval
        policy = Policy(approval.approvals, approval.groups, approval.channel)
        question = {"second": True, "warning": _SECOND}
        return work.open_gate(GateKind.APPROVE, policy, question, rearm_at(sealed, self.clock.now()))

    def _adopted(self, work: Work, execution: Execution) -> Receipt | None:
        """Take the secret that a rotation before left in Vault, if the preflight found it worth that."""
        ref = receipt_of(work, Stage.PREFLIGHT, execution).body.get("adopt")
        if not isinstance(ref, dict):
            return None
        grace = self._grace_of_click(execution, ref)
        if _was_dead_before(work, execution):
            grace = replace(grace, earliest_end=grace.began)
        return work.write_receipt(Stage.GONG_ROTATION, {**ref, "adopted": True, **grace_as(grace)})

    def _grace_of_click(self, execution: Execution, ref: Mapping[str, object]) -> Grace:
        """The grace that the click began which made this secret, as the rotation before knew it."""
        for attempt in self.ledger.attempts(execution.key):
            for receipt in self.ledger.receipts(attempt.id):
                if receipt.stage is Stage.GONG_ROTATION and receipt.body["fingerprint"] == ref["fingerprint"]:
                    return grace_of(receipt)
        turned = last_turn(self.ledger, execution)
        if turned is not None and turned.answer.get("fingerprint") == ref["fingerprint"]:
            return grace_after(turned, self.ledger.attempt(turned.attempt_id).terms)
        ends_at, now = self.secrets.pointer(execution.key).grace_ends_at, self.clock.now()
        ends = datetime.fromisoformat(ends_at) if ends_at else now
        return Grace(min(ends, now), ends, ends)

    def _unless_rejected(self, execution: Execution, gate: Gate) -> Gate:
        """A no before the click ends the rotation; a no to a second click leaves a secret that will die."""
        why = _stakes(gate)
        if gate.state is GateState.REJECTED and why:
            self.ledger.halt(execution, Halt.ORPHANED, why)
            raise StageFailedError(
                str(execution.key),
                why,
                "The secret in use dies when its grace ends: `keyturn rotate resume` asks for the new one again.",
            )
        return end_if_rejected(self.ledger, execution, gate)


def _stakes(gate: Gate) -> str:
    """Why a no is no end, a clause: the click has been, and the secret in use will die. Empty before the click."""
    if gate.question.get("second"):
        return "the second rotation was rejected, and the secret that the first one made is lost"
    return "the new secret was declined after a wrong one had come" if "refused_because" in gate.question else ""


def _found(work: Work) -> bool:
    """Whether the lost secret was handed in before anybody was asked to approve a second click."""
    gate = work.gate(GateKind.GONG_ROTATION)
    if gate is None or gate.state is not GateState.APPROVED:
        return False
    work.want(Wish.NONE, "the secret was handed in after all")
    return True


def _declined(work: Work) -> bool:
    """Whether a second click was declined, and the rotation goes on: then the lost secret itself is asked for again."""
    approval = _second(work)
    if approval is None or not _was_rejected(approval) or _is_spent(work, approval):
        return False
    work.want(Wish.NONE, "a second rotation was declined")
    return True


def _known_of_click(work: Work, execution: Execution) -> Mapping[str, object]:
    """What is known of the click by now: it stays known when the question is asked anew."""
    before, approval = work.gate(GateKind.GONG_ROTATION), _second(work)
    uses = {"second_approval": str(approval.id)} if approval else {}
    if approval is not None and not _is_spent(work, approval):
        if not _was_rejected(approval):
            return uses  # of a click that was approved nothing is known yet
        began = before.opened_at.isoformat() if before else _lost_before(work, execution)
        return uses | {"refused_because": _DECLINED, "clicked_since": began}
    return {name: before.question[name] for name in _SHOWN if name in before.question} | uses if before else uses


def _lost_before(work: Work, execution: Execution) -> str:
    """The moment of the click whose secret a rotation before this one has lost, as the preflight found it.

    Empty where the receipt is of a keyturn that did not keep it; then the question's own time has to do.
    """
    return str(receipt_of(work, Stage.PREFLIGHT, execution).body.get("lost_click", ""))


def _second(work: Work) -> Gate | None:
    """What was asked last about a second click, if anything was."""
    gate = work.gate(GateKind.APPROVE)
    return gate if gate is not None and gate.question.get("second") else None


def _was_rejected(approval: Gate) -> bool:
    """Whether somebody said no, and the rotation has gone on since, which makes it void."""
    return approval.state is GateState.VOID and any(not decision.approved for decision in approval.decisions)


def _is_spent(work: Work, approval: Gate) -> bool:
    """Whether what was said about a second click has led to a question already: another loss is asked about anew."""
    asked = work.gate(GateKind.GONG_ROTATION)
    return asked is not None and asked.question.get("second_approval") == str(approval.id)


def _was_dead_before(work: Work, execution: Execution) -> bool:
    """Whether Gong refused the secret in use before the rotation began: then no click leaves it a grace."""
    return receipt_of(work, Stage.PREFLIGHT, execution).body.get("probe_before") == ProbeOutcome.WRONG_PAIR.value
