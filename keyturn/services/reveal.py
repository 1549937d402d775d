"""Showing the pair once, to the person who types it into StackOne's form."""

from __future__ import annotations

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind, admit
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import StageFailedError
from keyturn.ports import Ledger, PersonalVault, Reveal
from keyturn.services.stage import credential_ref


def reveal(ledger: Ledger, vault: PersonalVault, key: IntegrationKey) -> Reveal:
    """Wrap the stored pair in a single-use token, with the person's own authority, and write that down.

    Only while a person is asked to fill in StackOne's form.

    Raises:
        GateClosedError: nobody is asked to.
        NotPermittedError: this person is not.
    """
    person = vault.whoami()
    with ledger.deciding(key, GateKind.STACKONE_FORM) as at:
        admit(at.gate, person, at.gate.digest)
        stored = [r for r in ledger.receipts(at.gate.attempt_id) if r.stage is Stage.STORE_SECRET]
        if not stored:
            raise StageFailedError(str(key), "no pair is stored yet", "See `keyturn status`.")
        wrapped = vault.reveal(credential_ref(stored[0]))
        at.audit(person, "credential.revealed", {"accessor": wrapped.accessor, "ttl_s": wrapped.ttl_s})
    return wrapped
