"""What a ledger must not do that was restored from a backup, when Vault is not of the same moment.

The ledger says what is to be done next, and Vault what has been done. Where they do not belong together, going on could
put an old secret into use again, name one that is lost, or have a person click in Gong a second time. So the stages
that could do that look first. `keyturn doctor --deep` names the rest.
"""

from __future__ import annotations

from collections.abc import Collection

from keyturn.domain.attempt import Execution, Receipt
from keyturn.domain.credential import CredentialRef, Pointer
from keyturn.domain.gate import Gate
from keyturn.errors import StageFailedError

LOOK = "One of the stores was restored: `keyturn doctor --deep` says what to do. Nothing was changed."


def refuse_older(pointer: Pointer, ref: CredentialRef, execution: Execution) -> None:
    """Check that an onboarding does not put an older pair in the place of a newer one.

    Raises:
        StageFailedError: Vault's CURRENT was handed in later than `ref`.
    """
    if pointer.current is not None and pointer.current.version > ref.version:
        newer = f"Vault's CURRENT is version {pointer.current.version}, newer than version {ref.version}"
        raise StageFailedError(str(execution.key), f"{newer}, which the ledger would put in use", LOOK)


def refuse_foreign(pointer: Pointer, execution: Execution) -> None:
    """Check that Vault's pointer is still reserved for this rotation, as its preflight left it.

    Raises:
        StageFailedError: it is another one's.
    """
    if why := foreign(pointer, execution):
        raise StageFailedError(str(execution.key), why, LOOK)


def foreign(pointer: Pointer, execution: Execution) -> str:
    """Why the pointer is not this rotation's, a clause; empty when it is."""
    if pointer.rotation == str(execution.attempt_id):
        return ""
    owner = f"rotation {pointer.rotation[:8]}" if pointer.rotation else "no rotation"
    return f"Vault's pointer belongs to {owner}, and not to this one"


def clicked_already(pointer: Pointer, preflight: Receipt, old: CredentialRef, heard: Collection[str]) -> str:
    """Why Gong's admin must not be asked to click, a clause: it has been done, and the ledger does not know of it.

    Args:
        pointer: as it is now.
        preflight: the receipt of this rotation; as long as the pointer is as that left it, nothing has happened.
        old: the secret that was in use then.
        heard: the fingerprints that the ledger knows; a pair that was refused stays PENDING while it is asked again.
    """
    if pointer.revision == preflight.body.get("pointer"):
        return ""
    if pointer.current != old:
        return "Vault says that the new secret is in use already, and the ledger does not know of it"
    if pointer.pending is not None and pointer.pending.fingerprint not in heard:
        return "Vault holds a new secret already, and the ledger does not know of it"
    return ""


def fingerprints_of(gates: Collection[Gate]) -> frozenset[str]:
    """The fingerprints of every pair that was ever handed in or refused at these gates."""
    told = (said for g in gates for said in (g.answer.get("fingerprint"), g.question.get("refused_fingerprint")))
    return frozenset(str(one) for one in told if one)
