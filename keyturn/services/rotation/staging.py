"""Stages `stage_secret` and `probe_secret`: the handed-in secret becomes PENDING, and is tried at Gong."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef, Pointer, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind
from keyturn.errors import CredentialRefusedError
from keyturn.ports import Ledger, SecretStore, TokenEndpoint, Work
from keyturn.services.rotation.terms import faults_of_turn, grace_of, new_ref, old_ref
from keyturn.services.stage import as_body, credential_ref, once, receipt_of
from keyturn.services.turned_back import refuse_foreign


@dataclass(frozen=True, slots=True)
class Staging:
    """Makes the new secret PENDING, with the clock of the old one beside it."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint

    def stage(self, execution: Execution) -> Receipt:
        """Write the pointer: PENDING is what was handed in, and the grace runs."""
        return once(self.ledger, execution, Stage.STAGE_SECRET, lambda work: self._staged(work, execution))

    def probe(self, execution: Execution) -> Receipt | Gate:
        """Try the pair at Gong.

        Returns:
            The receipt; or, if the pair is wrong, the gate of the click, asked afresh with the reason. The click
            itself has happened: what is asked for is the right secret.
        """
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.PROBE_SECRET):
                return receipt
            try:
                body = self._probed(work, execution)
            except CredentialRefusedError as error:
                return self._asked_again(work, execution, error)
            return work.write_receipt(Stage.PROBE_SECRET, body)

    def _staged(self, work: Work, execution: Execution) -> dict[str, object]:
        turned = receipt_of(work, Stage.GONG_ROTATION, execution)
        ref, grace = credential_ref(turned), grace_of(turned)
        pointer = self.secrets.pointer(execution.key)
        if pointer.current != ref:
            refuse_foreign(pointer, execution)
            kept = _with_left(work, execution, pointer, ref)
            pointer = self.secrets.write_pointer(
                execution.key, _pending(kept, ref, execution, grace.latest_end.isoformat())
            )
        return as_body(ref) | {"pointer": pointer.revision, "grace_ends_at": pointer.grace_ends_at}

    def _probed(self, work: Work, execution: Execution) -> dict[str, object]:
        ref = new_ref(work, execution)
        credential, before = self.secrets.read(ref), self.secrets.read(old_ref(work, execution))
        faults = faults_of_turn(credential, before)
        if faults:
            raise CredentialRefusedError(str(execution.key), "; ".join(faults), "Copy the new secret again.")
        probe = self.gong.probe(credential)
        if probe.outcome is ProbeOutcome.WRONG_PAIR:
            raise CredentialRefusedError(str(execution.key), "Gong does not accept this pair", probe.explanation)
        return as_body(ref) | {"probe": probe.outcome.value, "status": probe.status, "code": probe.code}

    def _asked_again(self, work: Work, execution: Execution, error: CredentialRefusedError) -> Gate:
        refused = new_ref(work, execution).fingerprint
        turned = receipt_of(work, Stage.GONG_ROTATION, execution)
        work.rewind((Stage.STAGE_SECRET,), error.problem)
        added = {
            "refused_fingerprint": refused,
            "refused_because": error.problem,
            "clicked_since": grace_of(turned).began.isoformat(),
            "told_hours": turned.body.get("grace_hours"),
        }
        work.withdraw(Stage.GONG_ROTATION, error.problem, added)
        gate = work.gate(GateKind.GONG_ROTATION)
        if gate is None:  # an adopted secret was asked of nobody: then nobody can be asked for it again
            raise error
        return gate


def _with_left(work: Work, execution: Execution, pointer: Pointer, ref: CredentialRef) -> Pointer:
    """The pointer with the PENDING of a rotation before as PREVIOUS, if another one takes its place that may be right.

    It was passed over for a secret that was handed in later, or because a known one would have lived on with it. Gong
    made it later than CURRENT, so it is the one that the click has left a grace, and it is not forgotten before
    something newer is proven (invariant 3). One that the preflight found worth nothing is.
    """
    preflight, left = receipt_of(work, Stage.PREFLIGHT, execution).body, pointer.pending
    passed_over = work.attempt.terms.compromised or preflight.get("adopt") is not None
    if left in (None, ref) or not passed_over or pointer.revision != preflight["pointer"]:
        return pointer  # what this rotation itself has staged before, Gong has refused
    return replace(pointer, previous=left)


def _pending(pointer: Pointer, ref: CredentialRef, execution: Execution, grace_ends_at: str) -> Pointer:
    token = str(execution.attempt_id)
    return replace(
        pointer, pending=ref, rotation=token, attempt_id=token, fence=execution.fence, grace_ends_at=grace_ends_at
    )
