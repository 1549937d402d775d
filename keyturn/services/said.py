"""What a look says. One that fails says UNKNOWN, and why in our own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.domain.health import Cause, Outcome
from keyturn.errors import KeyturnError, TransientError, VendorRefusedError


@dataclass(frozen=True, slots=True)
class Says:
    """What a look says; the fields are those of `keyturn.domain.health.Observation`."""

    outcome: Outcome
    evidence: str
    hint: Cause | None = None


def tried(look: Callable[[], Says]) -> Says:
    """What a look says, or that it failed."""
    try:
        return look()
    except KeyturnError as error:
        return Says(Outcome.UNKNOWN, _why(error), Cause.NOT_SEEN)


def _why(error: KeyturnError) -> str:
    """Why a look failed: a vendor's message may quote anything."""
    if isinstance(error, TransientError):
        return f"{error.subject} {error.problem}"
    if isinstance(error, VendorRefusedError) and error.status:
        return f"{error.subject} answered {error.status}"
    return f"{error.subject} gave no answer that could be used"
