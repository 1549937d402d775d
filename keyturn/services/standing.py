"""What stands for an integration right now: the manifest that was applied, the secret in use, profile and account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Receipt, Stage
from keyturn.domain.credential import Pointer
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.ports import Ledger, SecretStore

# A rollback takes the receipt of what was applied before it away: where both are, applying came later.
_ORDER = (Stage.ROLL_BACK, *(stage for stage in Stage if stage is not Stage.ROLL_BACK))
_PROFILE = frozenset({Stage.CREATE_PROFILE, Stage.APPLY, Stage.ROLL_BACK})
_ACCOUNT = frozenset({Stage.LINK_ACCOUNT})
_TURN = frozenset({Stage.STORE_SECRET, Stage.PROMOTE})


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands.

    Attributes:
        sealed: the manifest of the newest onboarding that was completed.
        pointer: which secret is in use, says Vault.
        profile: what the last receipt of a write says of the profile: `profile_id`, `name`, `updated_at`.
        account_id: the account that was linked last; empty when none was.
        turned_at: when the secret in use became that.
        profile_at: when that receipt was written; `None` without one.
        active: the attempt under way, if there is one.
    """

    key: IntegrationKey
    sealed: SealedManifest
    pointer: Pointer
    profile: Mapping[str, object] | None
    account_id: str
    turned_at: datetime | None
    active: Attempt | None = None
    profile_at: datetime | None = None


def standing(ledger: Ledger, secrets: SecretStore, key: IntegrationKey) -> Standing | None:
    """What stands for an integration; `None` when no onboarding of it was ever completed."""
    known = standing_in_ledger(ledger, key)
    return replace(known, pointer=secrets.pointer(key)) if known else None


def standing_in_ledger(ledger: Ledger, key: IntegrationKey) -> Standing | None:
    """The same with an empty pointer, for whoever has something to say even when Vault is away."""
    attempts = ledger.attempts(key)
    applied = next((a for a in attempts if _onboarded(a)), None)
    if applied is None:
        return None
    found = _newest(ledger, attempts)
    profile, linked, turned = (next((r for r in found if r.stage in of), None) for of in (_PROFILE, _ACCOUNT, _TURN))
    return Standing(
        key,
        ledger.manifest(applied.digest),
        Pointer(),
        profile.body if profile else None,
        str(linked.body["account_id"]) if linked else "",
        turned.at if turned else None,
        next((a for a in attempts if a.state is AttemptState.ACTIVE), None),
        profile.at if profile else None,
    )


def _onboarded(attempt: Attempt) -> bool:
    return attempt.kind is AttemptKind.ONBOARDING and attempt.state is AttemptState.COMPLETED


def _newest(ledger: Ledger, attempts: Sequence[Attempt]) -> list[Receipt]:
    """Receipts, newest first, back to where every question is answered. Attempts never overlap in time."""
    found: list[Receipt] = []
    for attempt in attempts:
        receipts = [r for r in ledger.receipts(attempt.id) if _counts(attempt, r)]
        found += sorted(receipts, key=lambda r: (r.at, _ORDER.index(r.stage)), reverse=True)
        seen = {r.stage for r in found}
        if seen & _PROFILE and seen & _ACCOUNT and seen & _TURN:
            break
    return found


def _counts(attempt: Attempt, receipt: Receipt) -> bool:
    """A pair that Gong said nothing about is in use only when its onboarding is complete."""
    pending = receipt.stage is Stage.STORE_SECRET and receipt.body.get("stored_as") == "pending"
    return not pending or attempt.state is AttemptState.COMPLETED
