"""Rotation: the states that a secret's turn goes through, and the clock that it runs against."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.domain.attempt import Attempt, AttemptState, Halt, Stage
from keyturn.domain.gate import GateKind

ACCESS_TOKEN_LIFE = timedelta(days=1)
"""How long Gong's access tokens live, and so how long an account seems well without its secret."""

PROOF_TIME = ACCESS_TOKEN_LIFE + timedelta(hours=2)
"""What verification needs when nobody makes a new link: a token's life, and time to look."""

CLICK_SLACK = timedelta(hours=1)
"""How long before the hand-in the click in Gong may have been, unless the person says when it was."""


class RotationState(StrEnum):
    """Where a rotation stands."""

    DUE = "due"
    PLANNED = "planned"
    APPROVED = "approved"
    AWAITING_GONG = "awaiting_gong"
    STAGED = "staged"
    PROBED = "probed"
    APPLIED = "applied"
    VERIFIED = "verified"
    PROMOTED = "promoted"
    GRACE = "grace"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    ORPHANED = "orphaned"
    ENDED = "ended"  # rejected or abandoned


_AFTER = (
    (Stage.PROMOTE, RotationState.PROMOTED),
    (Stage.VERIFY, RotationState.VERIFIED),
    (Stage.APPLY, RotationState.APPLIED),
    (Stage.PROBE_SECRET, RotationState.PROBED),
    (Stage.STAGE_SECRET, RotationState.STAGED),
    (Stage.GONG_ROTATION, RotationState.AWAITING_GONG),
    (Stage.APPROVE, RotationState.APPROVED),
    (Stage.PREFLIGHT, RotationState.PLANNED),
)


def state_of(attempt: Attempt, done: Collection[Stage], asked: Collection[GateKind]) -> RotationState:
    """Where a rotation stands.

    Args:
        attempt: a rotation.
        done: the stages that have their receipt.
        asked: the kinds of its open gates.
    """
    if attempt.state is AttemptState.COMPLETED:
        return RotationState.DONE
    if attempt.state is not AttemptState.ACTIVE:
        return RotationState.ENDED
    if attempt.halt is not Halt.NONE:
        return RotationState.ROLLED_BACK if attempt.halt is Halt.ROLLED_BACK else RotationState.ORPHANED
    if GateKind.GRACE in asked:
        return RotationState.GRACE
    if GateKind.GONG_ROTATION in asked:
        return RotationState.AWAITING_GONG
    return next((state for stage, state in _AFTER if stage in done), RotationState.DUE)


@dataclass(frozen=True, slots=True)
class Grace:
    """The old secret's grace. Only Gong's admin knows the moment of the click, so its end lies between two moments.

    Attributes:
        began: the earliest moment of the click.
        earliest_end: until then the old secret certainly works; what runs against the clock counts to here.
        latest_end: from then on it certainly does not; a new rotation is safe from here on.
    """

    began: datetime
    earliest_end: datetime
    latest_end: datetime

    @classmethod
    def of(cls, hours: int, asked_at: datetime, handed_in_at: datetime, clicked_at: datetime | None) -> Grace:
        """The grace after a click that was between the question and the hand-in, or at the moment that was told."""
        first = clicked_at or max(asked_at, handed_in_at - CLICK_SLACK)
        last = clicked_at or handed_in_at
        return cls(first, first + timedelta(hours=hours), last + timedelta(hours=hours))

    def share(self, now: datetime) -> float:
        """How much of it is over: 0 at its beginning, 1 at its end."""
        whole = (self.earliest_end - self.began).total_seconds()
        return 1.0 if whole <= 0 else min(1.0, max(0.0, (now - self.began).total_seconds() / whole))


def hours_told(question: Mapping[str, object]) -> int:
    """The grace of a click that nobody has answered for: as told with a secret that was refused, else as asked for."""
    told = question.get("told_hours")
    return int(str(question["grace_hours"] if told is None else told))


def end_of_click(question: Mapping[str, object], asked_at: datetime) -> datetime | None:
    """The end of the grace that runs while the new secret is asked for; `None` while no click is known of.

    Args:
        question: of the gate that asks for it.
        asked_at: when that was opened, for a question of a keyturn that did not keep the moment of the click.
    """
    if "clicked_since" not in question:
        return None
    since = str(question["clicked_since"])
    return (datetime.fromisoformat(since) if since else asked_at) + timedelta(hours=hours_told(question))


ALARMS: tuple[float, ...] = (0.5, 0.75, 0.9)
"""Shares of the grace after which an unverified rotation reminds, escalates and pages."""


def alarms_due(grace: Grace, now: datetime) -> tuple[float, ...]:
    """The alarms that are due by now for a rotation that is not verified."""
    return tuple(share for share in ALARMS if grace.share(now) >= share)


def grace_hours(wanted: int, *, compromised: bool, emergency: int) -> int:
    """The grace to choose in Gong: never below what verification needs, unless the secret is compromised."""
    return emergency if compromised else max(wanted, int(PROOF_TIME / timedelta(hours=1)))
