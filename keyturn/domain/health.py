"""What the watch sees of an integration, what that means together, and when it counts as a condition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.domain.notice import Severity


class Outcome(StrEnum):
    """What looking at one thing came to. UNKNOWN is an honest answer, and never counts as OK."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"


class Subject(StrEnum):
    """What is looked at."""

    PAIR = "pair"  # L1: Gong's token endpoint about the CURRENT pair
    PROFILE = "profile"  # the StackOne profile, read back
    ACCOUNTS = "accounts"  # the linked account's status, and how many others of its profile are in error
    AGE = "age"  # the secret's age by the manifest's policy
    MANIFEST = "manifest"  # the file in the folder, what is registered, and what was applied
    RETIRED = "retired"  # the last PREVIOUS after its grace: dead, or not
    TRUSTED_IPS = "trusted_ips"


class Cause(StrEnum):
    """Why an integration is not as it should be: a cause, not a colour."""

    SECRET_RESET = "secret_reset"  # noqa: S105  the pair is refused, accounts still live
    SECRET_MISSING = "secret_missing"  # noqa: S105  the pair in use, or the pointer to it, is not in Vault any more
    CONSENT_LOST = "consent_lost"  # the pair is fine, accounts fail: reconnect, do not rotate
    CONNECTION_DOWN = "connection_down"  # the pair is refused, and accounts fail
    ACCOUNTS_FAILING = "accounts_failing"  # accounts fail, and of the pair nothing is known
    PROFILE_GONE = "profile_gone"
    PROFILE_RENAMED = "profile_renamed"
    PROFILE_DISABLED = "profile_disabled"
    PROFILE_NOT_DEFAULT = "profile_not_default"
    PROFILE_EDITED = "profile_edited"
    MANIFEST_CHANGED = "manifest_changed"
    RETIRED_WORKS = "retired_works"
    TRUSTED_IPS_NOT_ATTESTED = "trusted_ips_not_attested"
    ROTATION_OVERDUE = "rotation_overdue"
    NOT_SEEN = "not_seen"  # something could not be looked at for several rounds


PROFILE_CAUSES = (
    Cause.PROFILE_GONE,
    Cause.PROFILE_RENAMED,
    Cause.PROFILE_DISABLED,
    Cause.PROFILE_NOT_DEFAULT,
    Cause.PROFILE_EDITED,
)
"""What may be wrong with a profile; an earlier one hides the later ones."""

SUBJECT_OF: Mapping[Cause, Subject] = {
    Cause.SECRET_RESET: Subject.PAIR,
    Cause.SECRET_MISSING: Subject.PAIR,
    Cause.CONSENT_LOST: Subject.ACCOUNTS,
    Cause.CONNECTION_DOWN: Subject.ACCOUNTS,
    Cause.ACCOUNTS_FAILING: Subject.ACCOUNTS,
    **dict.fromkeys(PROFILE_CAUSES, Subject.PROFILE),
    Cause.MANIFEST_CHANGED: Subject.MANIFEST,
    Cause.RETIRED_WORKS: Subject.RETIRED,
    Cause.TRUSTED_IPS_NOT_ATTESTED: Subject.TRUSTED_IPS,
    Cause.ROTATION_OVERDUE: Subject.AGE,
}
"""What must be seen in order before a cause is over, unless its opposite is seen (`keyturn.domain.diagnosis`).

For NOT_SEEN it is whatever could not be looked at.
"""

_SEVERITIES = {
    Cause.CONNECTION_DOWN: Severity.CRITICAL,
    Cause.SECRET_RESET: Severity.CRITICAL,
    Cause.SECRET_MISSING: Severity.CRITICAL,
    Cause.PROFILE_GONE: Severity.CRITICAL,
    Cause.CONSENT_LOST: Severity.ERROR,
    Cause.ACCOUNTS_FAILING: Severity.ERROR,
    Cause.PROFILE_DISABLED: Severity.ERROR,
    Cause.RETIRED_WORKS: Severity.ERROR,
}


def severity_of(cause: Cause) -> Severity:
    """How urgent a cause is. Its end is told as urgently: who heard of the alarm must hear that it is over."""
    return _SEVERITIES.get(cause, Severity.WARNING)


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one thing.

    Attributes:
        evidence: what was seen, a clause without secrets or personal data.
        hint: for BAD, what is wrong with it, as a cause by itself (a failing pair hints at SECRET_RESET); none when
            it is so on purpose. For UNKNOWN, NOT_SEEN when the look itself failed, and none when what was seen says
            neither yes nor no, as it may for ever.
        latency_ms: how long looking took; `None` when nothing outside was asked.
    """

    subject: Subject
    outcome: Outcome
    evidence: str
    at: datetime
    hint: Cause | None = None
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that is not as it should be, seen once: what, by which evidence, and what a person does about it."""

    cause: Cause
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A cause as the ledger holds it for an integration.

    Attributes:
        raised: whether people have been told that it holds.
        against: consecutive sightings that say the opposite of `raised`.
        since: when it came to be as it is.
    """

    cause: Cause
    raised: bool
    against: int
    since: datetime
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Health:
    """An integration as the watch left it: the last look at each thing, and what is raised.

    Attributes:
        checked_at: when a worker last took it on, whatever came of that; `None` before the first time.
        blind: that is so long ago that nothing is known to be well any more.
    """

    observations: Sequence[Observation] = field(default=())
    raised: Sequence[Condition] = field(default=())
    checked_at: datetime | None = None
    blind: bool = False

    @property
    def seen_at(self) -> datetime | None:
        """When something was last looked at, and what was seen was kept."""
        return max((o.at for o in self.observations), default=None)

    @property
    def words(self) -> str:
        """In a word or a few: `never checked`, the raised causes, `unknown`, or `ok`."""
        if not self.observations:
            return "never checked"
        if self.raised:
            return ", ".join(c.cause.value for c in self.raised)
        # That something was bad once is not raised yet, but it is not well either.
        fine = not self.blind and all(o.outcome is Outcome.OK for o in self.observations)
        return Outcome.OK.value if fine else Outcome.UNKNOWN.value


def is_blind(checked_at: datetime | None, now: datetime, after: timedelta | None) -> bool:
    """Whether it was looked at too long ago to be called well: the watch may be dead. `None` is never too long."""
    return after is not None and (checked_at is None or checked_at <= now - after)


class Turn(StrEnum):
    """What a look changed about a condition, so that people are told."""

    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition that was raised or cleared, as it is now."""

    turn: Turn
    condition: Condition


SIGHTINGS = 2
"""How often in a row something must be seen before it is raised, and seen well before it is cleared."""

UNSEEN_ROUNDS = 5
"""After how many rounds in a row in which one subject could not be looked at NOT_SEEN is raised."""

_MORE_PRECISE: Mapping[Cause, frozenset[Cause]] = {
    Cause.SECRET_RESET: frozenset({Cause.CONNECTION_DOWN}),
    Cause.ACCOUNTS_FAILING: frozenset({Cause.CONNECTION_DOWN, Cause.CONSENT_LOST}),
}


def advance(
    condition: Condition | None, *, seen: bool, drift: Drift | None, now: datetime, sightings: int = SIGHTINGS
) -> tuple[Condition | None, Turn | None]:
    """A condition after one more look; what could not be judged must not come here, and so leaves it as it is.

    Args:
        condition: as it was; `None` when the cause was never seen.
        seen: whether the cause is there now.
        drift: what was seen; needed when `seen`.
        now: the moment of the look.
        sightings: how many looks in a row raise it.
    """
    if condition is None:
        if not seen or drift is None:
            return None, None
        condition = Condition(drift.cause, False, 0, now, drift.evidence, drift.remedy)
    if drift is not None:
        condition = replace(condition, evidence=drift.evidence, remedy=drift.remedy)
    if seen is condition.raised:
        return replace(condition, against=0), None
    against = condition.against + 1
    if against < (sightings if seen else SIGHTINGS):
        return replace(condition, against=against), None
    return replace(condition, raised=seen, against=0, since=now), Turn.RAISED if seen else Turn.CLEARED


def progress(
    conditions: Sequence[Condition], drifts: Sequence[Drift], unknown: Collection[Cause], now: datetime
) -> tuple[list[Condition], list[Transition]]:
    """All conditions of an integration after a round: those that changed, and what people are told.

    A vague cause is not raised beside a more precise one that stands.

    Args:
        conditions: as they were.
        drifts: what was seen.
        unknown: causes that this round says nothing about.
        now: the moment of the round.
    """
    known, seen = {c.cause: c for c in conditions}, {d.cause: d for d in drifts}
    changed: list[Condition] = []
    transitions: list[Transition] = []
    for cause in sorted(Cause, key=lambda c: c in _MORE_PRECISE):
        before, drift = known.get(cause), seen.get(cause)
        if cause in unknown or (drift is not None and _covered(cause, before, known)):
            continue
        sightings = 1 if cause is Cause.NOT_SEEN else SIGHTINGS  # its rounds were counted by subject
        after, turn = advance(before, seen=drift is not None, drift=drift, now=now, sightings=sightings)
        if after is None or after == before:
            continue
        known[cause] = after
        changed.append(after)
        transitions += [Transition(turn, after)] if turn else []
    return changed, transitions


def _covered(cause: Cause, before: Condition | None, known: Mapping[Cause, Condition]) -> bool:
    precise = _MORE_PRECISE.get(cause, frozenset())
    return not (before and before.raised) and any(known[c].raised for c in precise if c in known)
