"""Showing the pair once, to the person who types it into StackOne's form."""

from __future__ import annotations

from uuid import UUID

from keyturn.domain.attempt import Stage
from keyturn.domain.credential import CredentialRef
from keyturn.domain.gate import Gate, GateKind, admit
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import StageFailedError
from keyturn.ports import Ledger, PersonalVault, Reveal
from keyturn.services.decide import refuse_other
from keyturn.services.stage import credential_ref


def reveal(ledger: Ledger, vault: PersonalVault, key: IntegrationKey, gate_id: UUID | None = None) -> Reveal:
    """Wrap the stored pair in a single-use token, with the person's own authority, and write that down.

    Only while a person is asked to fill in StackOne's form.

    Raises:
        GateClosedError: nobody is asked to, or not by the gate that was seen.
        NotPermittedError: this person is not.
    """
    person = vault.whoami()
    with ledger.deciding(key, GateKind.STACKONE_FORM) as at:
        refuse_other(at.gate, gate_id)
        admit(at.gate, person, at.gate.digest)
        wrapped = vault.reveal(_asked_for(ledger, at.gate))
        at.audit(person, "credential.revealed", {"accessor": wrapped.accessor, "ttl_s": wrapped.ttl_s})
    return wrapped


def _asked_for(ledger: Ledger, gate: Gate) -> CredentialRef:
    """The pair that the form is to get: a rotation's gate names it, an onboarding has only one."""
    if "fingerprint" in gate.question:
        question = gate.question
        return CredentialRef(str(question["path"]), int(str(question["version"])), str(question["fingerprint"]))
    stored = [r for r in ledger.receipts(gate.attempt_id) if r.stage is Stage.STORE_SECRET]
    if not stored:
        raise StageFailedError(str(gate.key), "no pair is stored yet", "See `keyturn status`.")
    return credential_ref(stored[0])
