"""Stage `gong_rotation`: a person clicks *Rotate secret* in Gong and hands the new secret in.

Nothing can take that click back. A secret that was lost between the click and the hand-in can only be replaced by a
second click, which kills the one in use at once: that is asked for and approved by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from keyturn.domain.attempt import Execution, Halt, Receipt, Stage, Wish
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.rotation import Grace, grace_hours
from keyturn.errors import StageFailedError
from keyturn.ports import Clock, Ledger, SecretStore, Work
from keyturn.services.asking import answered, end_if_rejected, standing_gate
from keyturn.services.rotation.terms import emergency_hours, grace_as, old_ref
from keyturn.services.stage import rearm_at, receipt_of

_SECOND = (
    "The new secret was lost before it was handed in. A second rotation in Gong KILLS THE SECRET IN USE AT ONCE: what "
    "refreshes before the newest one is applied fails, and there is no way back."
)
_DEAD = (GateState.VOID, GateState.EXPIRED)


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
            result = self._adopted(work, execution) or self._asked(work, execution, sealed)
        return self._unless_rejected(execution, result) if isinstance(result, Gate) else result

    def _asked(self, work: Work, execution: Execution, sealed: SealedManifest) -> Receipt | Gate:
        if work.attempt.wish is Wish.LOST_SECRET:
            gate = self._second_approval(work, sealed)
            if gate.state is not GateState.APPROVED:
                return gate
            work.change_terms(replace(work.attempt.terms, second=True))
        gate = self._gate(work, execution, sealed)
        if gate.state is not GateState.APPROVED:
            return gate
        return work.write_receipt(Stage.GONG_ROTATION, answered(gate) | grace_as(_grace(work, gate)))

    def _gate(self, work: Work, execution: Execution, sealed: SealedManifest) -> Gate:
        terms, policy = work.attempt.terms, sealed.manifest.rotation
        hours = grace_hours(policy.grace_hours, compromised=terms.compromised, emergency=emergency_hours(sealed))
        question = {
            "grace_hours": hours,
            "compromised": terms.compromised,
            "second": terms.second,
            "in_use": old_ref(work, execution).fingerprint,
        }
        return standing_gate(
            work, self.clock, sealed, GateKind.GONG_ROTATION, Policy(1, sealed.manifest.admins.gong), question
        )

    def _second_approval(self, work: Work, sealed: SealedManifest) -> Gate:
        """The approval of a second click, asked for once; the gate for the first one is closed."""
        lost = work.gate(GateKind.GONG_ROTATION)
        if lost is not None and lost.state is GateState.OPEN:
            work.close_gate(lost.id, GateState.VOID, "the new secret was lost before it was handed in", {})
        gate = work.gate(GateKind.APPROVE)
        if gate is not None and gate.question.get("second") and gate.state not in _DEAD:
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
        ends_at = self.secrets.pointer(execution.key).grace_ends_at
        ends = datetime.fromisoformat(ends_at) if ends_at else self.clock.now()
        grace = Grace(min(ends, self.clock.now()), ends, ends)
        return work.write_receipt(Stage.GONG_ROTATION, {**ref, "adopted": True, **grace_as(grace)})

    def _unless_rejected(self, execution: Execution, gate: Gate) -> Gate:
        """A no before the click ends the rotation; a no to a second click leaves a secret that will die."""
        if gate.state is GateState.REJECTED and gate.question.get("second"):
            why = "the second rotation was rejected, and the secret that the first one made is lost"
            self.ledger.halt(execution, Halt.ORPHANED, why)
            raise StageFailedError(
                str(execution.key),
                why,
                "The secret in use dies when its grace ends: `keyturn rotate resume` asks again.",
            )
        return end_if_rejected(self.ledger, execution, gate)


def _grace(work: Work, gate: Gate) -> Grace:
    """The old secret's grace after the click that the answer tells of; after a second click it has none."""
    told = str(gate.answer.get("clicked_at") or "")
    handed_in = gate.decided_at or gate.opened_at
    hours = int(str(gate.answer.get("grace_hours", gate.question["grace_hours"])))
    clicked = datetime.fromisoformat(told) if told else None
    grace = Grace.of(hours, gate.opened_at, handed_in, clicked)
    return grace if work.attempt.terms.can_go_back else replace(grace, earliest_end=grace.began)
