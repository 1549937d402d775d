"""An integration as the sweep finds it, read attempt by attempt."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.sweep import Active, Candidate
from keyturn.ports import Ledger

_TURNED = (Stage.PROMOTE, Stage.STORE_SECRET)


def candidate(ledger: Ledger, key: IntegrationKey) -> Candidate | None:
    """One of them; `None` when nothing is registered of it."""
    attempts = ledger.attempts(key)
    sealed = _applied(ledger, key, attempts)
    if sealed is None:
        return None
    active = next((a for a in attempts if a.state is AttemptState.ACTIVE), None)
    over = [a for a in attempts if a.kind is AttemptKind.ROTATION and a.state is not AttemptState.ACTIVE]
    last = over[0] if over else None
    telling = next((a for a in over if a.state is AttemptState.COMPLETED or a.halt is not Halt.NONE), None)
    return Candidate(
        key,
        sealed.manifest.rotation,
        next((r.at for a in attempts for r in _turned(ledger, a)), None),
        _active(ledger, active) if active else None,
        failed=telling is not None and telling.state is not AttemptState.COMPLETED,
        declined=last is not None and last.state is AttemptState.REJECTED,
        refused_at=last.ended_at if last is not None and last.state is AttemptState.REFUSED else None,
    )


def _applied(ledger: Ledger, key: IntegrationKey, attempts: Sequence[Attempt]) -> SealedManifest | None:
    onboarded = (a for a in attempts if a.kind is AttemptKind.ONBOARDING and a.state is AttemptState.COMPLETED)
    applied = next(onboarded, None)
    return ledger.manifest(applied.digest) if applied else ledger.registered(key)


def _turned(ledger: Ledger, attempt: Attempt) -> list[Receipt]:
    counts = _TURNED if attempt.state is AttemptState.COMPLETED else (Stage.PROMOTE,)
    return [r for r in ledger.receipts(attempt.id) if r.stage in counts]


def _active(ledger: Ledger, attempt: Attempt) -> Active:
    verified = any(r.stage is Stage.VERIFY for r in ledger.receipts(attempt.id))
    return Active(attempt.kind, attempt.halt, verified)
