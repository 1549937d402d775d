"""After a restore of the ledger: its numbers go beyond every number that was handed out before."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Person
from keyturn.errors import NotPermittedError, VendorRefusedError
from keyturn.ports import Fences, Ledger, SecretStore


def raise_fences(ledger: Ledger, fences: Fences, secrets: SecretStore, person: Person) -> Sequence[Attempt]:
    """Raise the numbers of all active attempts beyond their own and Vault's. Nothing else is changed.

    A ledger that went back would hand out the numbers of executions that have been: older effects in Vault would be
    refused as coming from a newer execution, and a process from before the restore would pass for the newest one. It
    may be run twice, and after a restore of Vault or Prefect alone it does no harm.

    Raises:
        NotPermittedError: the person is no operator.
        TransientError: Vault did not answer; no number was raised.
    """
    if "operator" not in person.groups:
        raise NotPermittedError("ledger", f"{person.name} is no operator", "Ask one to say that it was restored.")
    beyond = [(attempt.id, _in_vault(secrets, attempt)) for attempt in ledger.active()]
    return [fences.leap(attempt_id, number, person) for attempt_id, number in beyond]


def _in_vault(secrets: SecretStore, attempt: Attempt) -> int:
    try:
        pointer = secrets.pointer(attempt.key)
    except VendorRefusedError:  # lost; `keyturn doctor --deep` says so, and the leap is far enough without it
        return 0
    return pointer.fence if pointer.attempt_id == str(attempt.id) else 0
