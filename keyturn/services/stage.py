"""What every stage has in common: look for the receipt, and only then act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.credential import CredentialRef
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.schedule import after_working_days
from keyturn.errors import StageFailedError
from keyturn.ports import Ledger, Work


def once(ledger: Ledger, execution: Execution, stage: Stage, effect: Callable[[Work], Mapping[str, object]]) -> Receipt:
    """Do a stage's effect under the attempt's lock, unless its receipt says that it was done.

    An effect must be safe to repeat: the process may die after it and before the receipt.
    """
    with ledger.exclusive(execution) as work:
        return work.receipt(stage) or work.write_receipt(stage, effect(work))


def receipt_of(work: Work, stage: Stage, execution: Execution) -> Receipt:
    """The receipt of an earlier stage.

    Raises:
        StageFailedError: it is missing, so the stages ran out of order.
    """
    receipt = work.receipt(stage)
    if receipt is None:
        raise StageFailedError(
            str(execution.key),
            f"there is no receipt of {stage} yet",
            "Run `keyturn onboard` again: it goes on from the receipts.",
        )
    return receipt


def credential_ref(receipt: Receipt) -> CredentialRef:
    """The reference to the credential that a receipt of a stage carries."""
    body = receipt.body
    return CredentialRef(str(body["path"]), int(str(body["version"])), str(body["fingerprint"]))


def as_body(ref: CredentialRef) -> dict[str, object]:
    """A reference as plain JSON."""
    return {"path": ref.path, "version": ref.version, "fingerprint": ref.fingerprint}


def rearm_at(sealed: SealedManifest, now: datetime) -> datetime:
    """When a question is asked afresh, counted in working days (Monday to Friday, UTC)."""
    return after_working_days(now, sealed.manifest.notification.rearm_after_days)
