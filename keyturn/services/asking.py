"""Stages `approve` and `gong_admin`: a question to people, and its receipt once enough of them have answered."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn.domain.attempt import AttemptKind, AttemptState, Execution, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import StageFailedError
from keyturn.ports import Clock, Ledger, Work
from keyturn.services.stage import rearm_at

_BEGINS = {AttemptKind.ONBOARDING: "keyturn onboard", AttemptKind.ROTATION: "keyturn rotate"}
_RETIRED = (GateState.VOID, GateState.EXPIRED)


def ask_approval(ledger: Ledger, clock: Clock, execution: Execution) -> Receipt | Gate:
    """Ask for the approvals that the manifest's policy wants.

    Returns:
        The receipt once approved, or the gate while it is open.

    Raises:
        StageFailedError: somebody rejected; the attempt has ended.
    """
    approval = ledger.manifest(execution.digest).manifest.approval
    policy = Policy(approval.approvals, approval.groups, approval.channel)
    return _ask(ledger, clock, execution, Stage.APPROVE, GateKind.APPROVE, policy)


def ask_gong_admin(ledger: Ledger, clock: Clock, execution: Execution) -> Receipt | Gate:
    """Ask Gong's admin to fill in the form and hand the pair in; the answer refers to it.

    Returns and raises as `ask_approval`.
    """
    groups = ledger.manifest(execution.digest).manifest.admins.gong
    return _ask(ledger, clock, execution, Stage.GONG_ADMIN, GateKind.GONG_ADMIN, Policy(1, groups))


def standing_gate(
    work: Work, clock: Clock, sealed: SealedManifest, kind: GateKind, policy: Policy, question: Mapping[str, object]
) -> Gate:
    """The gate of this kind as it stands, opened if there is none that counts."""
    gate = work.gate(kind)
    if gate is not None and gate.state not in _RETIRED:
        return gate
    return work.open_gate(kind, policy, question, rearm_at(sealed, clock.now()))


def end_if_rejected(ledger: Ledger, execution: Execution, gate: Gate) -> Gate:
    """End the attempt when the gate was rejected, with the person's reason; give the gate back otherwise.

    Raises:
        StageFailedError: it was rejected.
    """
    if gate.state is not GateState.REJECTED:
        return gate
    begin = _BEGINS[ledger.attempt(execution.attempt_id).kind]
    who = next((d.person_name for d in gate.decisions if not d.approved), "somebody")
    ledger.finish(execution, AttemptState.REJECTED, f"{gate.kind} rejected by {who}: {gate.reason}")
    raise StageFailedError(
        str(execution.key),
        f"{gate.kind} was rejected by {who}: {gate.reason}",
        f"Change what was objected to, and run `{begin}` again.",
    )


def answered(gate: Gate) -> dict[str, object]:
    """What an approved gate gives a receipt: who, their notes, and what was handed in."""
    return {
        "gate": str(gate.id),
        "by": [d.person_name for d in gate.decisions],
        "note": "; ".join(d.note for d in gate.decisions if d.note),
        **gate.answer,
    }


def _ask(
    ledger: Ledger, clock: Clock, execution: Execution, stage: Stage, kind: GateKind, policy: Policy
) -> Receipt | Gate:
    sealed = ledger.manifest(execution.digest)
    with ledger.exclusive(execution) as work:
        if receipt := work.receipt(stage):
            return receipt
        gate = standing_gate(work, clock, sealed, kind, policy, {})
        if gate.state is GateState.APPROVED:
            return work.write_receipt(stage, answered(gate))
    return end_if_rejected(ledger, execution, gate)
