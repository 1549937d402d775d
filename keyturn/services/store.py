"""Stages `fetch_secret` and `store_secret`: the handed-in pair becomes PENDING, and then CURRENT."""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef, Pointer, Probe, ProbeOutcome
from keyturn.domain.pair import faults_of_pair
from keyturn.errors import CredentialRefusedError
from keyturn.ports import Ledger, SecretStore, TokenEndpoint, Work
from keyturn.services.stage import as_body, credential_ref, once, receipt_of
from keyturn.services.turned_back import refuse_older


@dataclass(frozen=True, slots=True)
class Safekeeping:
    """What Vault is told about an integration's credential, and when."""

    ledger: Ledger
    secrets: SecretStore
    gong: TokenEndpoint

    def fetch(self, execution: Execution) -> Receipt:
        """Read what was handed in, lint and probe it again from here, and mark it PENDING.

        Raises:
            CredentialRefusedError: it is wrong after all. The receipt of `gong_admin` is withdrawn, so the next run
                asks for the pair again.
        """
        try:
            return once(self.ledger, execution, Stage.FETCH_SECRET, lambda work: self._fetched(work, execution))
        except CredentialRefusedError as error:
            self._ask_again(execution, error)
            raise

    def store(self, execution: Execution) -> Receipt:
        """Make the pending pair CURRENT by one check-and-set write, if it is proven.

        CURRENT was verified when it was promoted (invariant 1). A pair that is not proven stays PENDING until the
        new link has proven it, and is promoted at the end.

        Raises:
            CredentialRefusedError: it is not in Vault any more, which was restored; the next run asks for it again.
            StageFailedError: Vault has a newer one in use; the ledger was restored.
        """
        try:
            return once(self.ledger, execution, Stage.STORE_SECRET, lambda work: self._stored(work, execution))
        except CredentialRefusedError as error:
            self._ask_again(execution, error)
            raise

    def promote(self, execution: Execution, ref: CredentialRef) -> Pointer:
        """Write the pointer so that `ref` is CURRENT, the former one PREVIOUS, and nothing PENDING.

        The pointer's grace is of the PREVIOUS before: of a new one it says nothing, so it goes (invariant 4).
        """
        pointer = self.secrets.pointer(execution.key)
        if pointer.current == ref and pointer.pending is None:
            return pointer
        refuse_older(pointer, ref, execution)
        self.secrets.read(ref)
        former = _former(pointer, ref)
        ends = pointer.grace_ends_at if former == pointer.previous else ""
        wanted = replace(pointer, current=ref, pending=None, previous=former, grace_ends_at=ends)
        return self.secrets.write_pointer(execution.key, _signed(wanted, execution))

    def _fetched(self, work: Work, execution: Execution) -> dict[str, object]:
        ref = credential_ref(receipt_of(work, Stage.GONG_ADMIN, execution))
        probe = self._checked(execution, ref)
        pointer = self.secrets.pointer(execution.key)
        if ref not in (pointer.pending, pointer.current):
            self.secrets.write_pointer(execution.key, _signed(replace(pointer, pending=ref), execution))
        return as_body(ref) | {"probe": probe.outcome.value, "status": probe.status, "code": probe.code}

    def _checked(self, execution: Execution, ref: CredentialRef) -> Probe:
        credential = self.secrets.read(ref)
        if faults := faults_of_pair(credential):
            raise CredentialRefusedError(str(execution.key), "; ".join(faults), "Hand the pair in again.")
        probe = self.gong.probe(credential)
        if probe.outcome is ProbeOutcome.WRONG_PAIR:
            raise CredentialRefusedError(
                str(execution.key), "Gong does not accept the pair in Vault", probe.explanation
            )
        return probe

    def _ask_again(self, execution: Execution, error: CredentialRefusedError) -> None:
        with self.ledger.exclusive(execution) as work:
            receipt = work.receipt(Stage.GONG_ADMIN)
            work.rewind((Stage.FETCH_SECRET,), error.problem)
            if receipt is not None:
                ref = credential_ref(receipt)
                refused = {"refused_fingerprint": ref.fingerprint} if self._is_kept(ref) else {}
                work.withdraw(Stage.GONG_ADMIN, error.problem, refused)

    def _is_kept(self, ref: CredentialRef) -> bool:
        """Whether the pair itself was judged. One that is gone from Vault was not, and may be handed in again."""
        try:
            self.secrets.read(ref)
        except CredentialRefusedError:
            return False
        return True

    def _stored(self, work: Work, execution: Execution) -> dict[str, object]:
        receipt = receipt_of(work, Stage.FETCH_SECRET, execution)
        ref = credential_ref(receipt)
        pointer = self.secrets.pointer(execution.key)
        proven = receipt.body["probe"] == ProbeOutcome.VALID.value
        if not proven and pointer.current != ref:
            why = "not proven yet; it becomes current when a live call through a new link has proven it"
            return as_body(ref) | {"stored_as": "pending", "proven": False, "why": why}
        written = self.promote(execution, ref)
        return as_body(ref) | {"stored_as": "current", "proven": proven, "pointer": written.revision}


def _former(pointer: Pointer, ref: CredentialRef) -> CredentialRef | None:
    return pointer.previous if pointer.current in (None, ref) else pointer.current


def _signed(pointer: Pointer, execution: Execution) -> Pointer:
    return replace(pointer, attempt_id=str(execution.attempt_id), fence=execution.fence)
