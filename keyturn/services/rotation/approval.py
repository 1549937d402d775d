"""Stage `approve` of a rotation: somebody else than the requester says yes before anybody clicks."""

from __future__ import annotations

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.rotation import grace_hours
from keyturn.ports import Clock, Ledger
from keyturn.services.asking import answered, end_if_rejected, standing_gate
from keyturn.services.rotation.terms import emergency_hours


def ask_approval(ledger: Ledger, clock: Clock, execution: Execution) -> Receipt | Gate:
    """Ask for the approvals that the manifest's policy wants.

    A compromised secret takes the shortest path: its operator has confirmed that it will break until applied, and
    Gong's admin is the second person.

    Raises:
        StageFailedError: somebody rejected; the attempt has ended.
    """
    sealed = ledger.manifest(execution.digest)
    policy, rotation = sealed.manifest.approval, sealed.manifest.rotation
    with ledger.exclusive(execution) as work:
        if receipt := work.receipt(Stage.APPROVE):
            return receipt
        if work.attempt.terms.compromised:
            return work.write_receipt(Stage.APPROVE, {"by": [], "compromised": True})
        hours = grace_hours(rotation.grace_hours, compromised=False, emergency=emergency_hours(sealed))
        asked = Policy(policy.approvals, policy.groups, policy.channel)
        question = {"rotation": True, "grace_hours": hours}
        gate = standing_gate(work, clock, sealed, GateKind.APPROVE, asked, question)
        if gate.state is GateState.APPROVED:
            return work.write_receipt(Stage.APPROVE, answered(gate))
    return end_if_rejected(ledger, execution, gate)
