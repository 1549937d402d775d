"""Stages `promote` and `retire`: the proven secret becomes CURRENT; after its grace the older one is marked dead."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyturn.domain.attempt import AttemptState, Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef, Pointer, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.errors import StageFailedError
from keyturn.ports import Clock, Ledger, SecretStore, TokenEndpoint, Work
from keyturn.services.rotation.terms import certainly_works, grace_of, never, new_ref, old_ref, ref_as
from keyturn.services.stage import as_body, once, receipt_of
from keyturn.services.turned_back import refuse_foreign

_NOBODY = Policy(1, ())
_OLD_SAYS = {
    ProbeOutcome.WRONG_PAIR: "refused by Gong",
    ProbeOutcome.VALID: "still works after its grace",
    ProbeOutcome.NOT_PROVEN: "dead by the clock; Gong says nothing of it",
}


@dataclass(frozen=True, slots=True)
class Promoting:
    """Moves the pointer, one write a step."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint
    clock: Clock

    def promote(self, execution: Execution) -> Receipt:
        """Make the new secret CURRENT and the older one PREVIOUS, or retire it at once if it is dead already."""
        return once(self.ledger, execution, Stage.PROMOTE, lambda work: self._promoted(work, execution))

    def retire(self, execution: Execution) -> Receipt | Gate:
        """Wait until the grace is over, then mark the older secret dead.

        Returns:
            The receipt, or the gate that waits for that moment.
        """
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.RETIRE):
                return receipt
            now, ends = self.clock.now(), grace_of(receipt_of(work, Stage.GONG_ROTATION, execution)).latest_end
            if now < ends:
                return work.open_gate(GateKind.GRACE, _NOBODY, {"until": ends.isoformat()}, never(now))
            gate = work.gate(GateKind.GRACE)
            if gate is not None and gate.state is GateState.OPEN:
                work.close_gate(gate.id, GateState.APPROVED, "the grace is over", {})
            return work.write_receipt(Stage.RETIRE, self._retired(work, execution))

    def conclude(self, execution: Execution) -> None:
        """End the rotation as completed."""
        self.ledger.finish(execution, AttemptState.COMPLETED, "")

    def _promoted(self, work: Work, execution: Execution) -> dict[str, object]:
        new, old = new_ref(work, execution), old_ref(work, execution)
        pointer = self.secrets.pointer(execution.key)
        if pointer.current != new:
            refuse_foreign(pointer, execution)
            self.secrets.read(new)  # a Vault that was restored may have lost it, and CURRENT is never a lost one
            alive = certainly_works(work, execution, self.clock.now())
            pointer = self.secrets.write_pointer(execution.key, _moved(pointer, new, old, execution, alive=alive))
        return as_body(new) | {"pointer": pointer.revision, "previous": ref_as(pointer.previous)}

    def _retired(self, work: Work, execution: Execution) -> dict[str, object]:
        old = old_ref(work, execution)
        probe = self.gong.probe(self.secrets.read(old))
        pointer = self.secrets.pointer(execution.key)
        if pointer.current == old:  # nothing may ever call a secret dead that is in use
            raise StageFailedError(
                str(execution.key),
                "Vault says that the older secret is in use again, so it cannot be retired",
                "Somebody has changed the pointer: `keyturn rotate abandon`, then rotate anew.",
            )
        if pointer.previous is not None or pointer.retired != old:
            dead = replace(pointer, previous=None, retired=old, fence=execution.fence)
            pointer = self.secrets.write_pointer(execution.key, dead)
        return as_body(old) | {"pointer": pointer.revision, "old": _OLD_SAYS[probe.outcome], "code": probe.code}


def _moved(pointer: Pointer, new: CredentialRef, old: CredentialRef, execution: Execution, *, alive: bool) -> Pointer:
    """The new one CURRENT; a PREVIOUS that is dead by now is no PREVIOUS (invariant 4)."""
    return replace(
        pointer,
        current=new,
        pending=None,
        previous=old if alive else None,
        retired=pointer.retired if alive else old,
        attempt_id=str(execution.attempt_id),
        fence=execution.fence,
    )
