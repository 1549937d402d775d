"""The plan of one sweep: which rotations are started now, and why the others are not.

- Canaries go first: while a canary's rotation is due or under way and not verified, no other one is started.
- The first failure stops everything: while a rotation is halted or has failed, the sweep starts none. What a person
  asks for by name is not its business.
- No more than so many rotations are under way at once, from their start to their verification.
- A rotation starts inside its manifest's window only, the one that is due longest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keyturn.domain.attempt import AttemptKind, Halt
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Rotation
from keyturn.domain.schedule import due_at, opens_at, why_closed
from keyturn.errors import ConfigurationError

_AGAIN_AFTER = timedelta(hours=20)  # less than a day, or a short window would be missed a little later each day
_NAMED = 3  # so many integrations are named in a reason; the rest is counted


class What(StrEnum):
    """What the sweep does about an integration."""

    START = "start"
    WAITS = "waits"
    NOT_DUE = "not_due"
    UNDER_WAY = "under_way"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Active:
    """The attempt that an integration has under way.

    Attributes:
        verified: a rotation's new secret is proven; what is left is to wait for the old one's end.
    """

    kind: AttemptKind
    halt: Halt = Halt.NONE
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An integration as the sweep finds it.

    Attributes:
        last_turned_at: when its secret in use came to be; `None` while no onboarding has been completed.
        failed: its last rotation halted and was abandoned, and nothing has succeeded since.
        declined: people rejected its last rotation, so it is not proposed again by itself.
        refused_at: when the preflight of its last rotation found what stands in the way; it is tried once a day.
    """

    key: IntegrationKey
    rotation: Rotation
    last_turned_at: datetime | None
    active: Active | None = None
    failed: bool = False
    declined: bool = False
    refused_at: datetime | None = None

    @property
    def due_at(self) -> datetime | None:
        """When its next rotation is due; `None` when there is nothing to turn yet."""
        return due_at(self.key, self.rotation, self.last_turned_at) if self.last_turned_at else None

    @property
    def turns(self) -> bool:
        """Whether a rotation is under way, halted ones included."""
        return self.active is not None and self.active.kind is AttemptKind.ROTATION

    @property
    def unverified(self) -> bool:
        """Whether a rotation is under way whose new secret is not proven."""
        return self.active is not None and self.turns and not self.active.verified

    def is_due(self, now: datetime) -> bool:
        """Whether its next rotation should begin; not while one is under way."""
        return not self.turns and self.due_at is not None and self.due_at <= now


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the plan.

    Attributes:
        due_at: `None` when no onboarding has been completed.
        why: a clause.
    """

    key: IntegrationKey
    due_at: datetime | None
    what: What
    why: str


@dataclass(frozen=True, slots=True)
class _Fleet:
    """What holds for all of them."""

    now: datetime
    failures: tuple[str, ...]
    canaries: tuple[str, ...]
    at_once: int


def plan(candidates: Sequence[Candidate], now: datetime, at_once: int) -> list[Entry]:
    """What a sweep does at this moment, ordered by due date and key; those that have no due date come last.

    Args:
        candidates: the whole fleet; a part of it would let others start beside a failure or a canary.
        now: the present.
        at_once: how many rotations may be under way and not verified.
    """
    fleet = _Fleet(now, _failures(candidates), _canaries(candidates, now), at_once)
    free = at_once - sum(candidate.unverified for candidate in candidates)
    entries = []
    for candidate in sorted(candidates, key=_order):
        what, why = _judge(candidate, fleet, free)
        free -= what is What.START
        entries.append(Entry(candidate.key, candidate.due_at, what, why))
    return entries


def _order(candidate: Candidate) -> tuple[bool, float, IntegrationKey]:
    due = candidate.due_at
    return due is None, due.timestamp() if due else 0.0, candidate.key


def _failures(candidates: Iterable[Candidate]) -> tuple[str, ...]:
    """The failures that stop the sweep, each a clause that names its integration."""
    return tuple(f"{c.key} {how}" for c in sorted(candidates, key=lambda c: c.key) if (how := _how_it_failed(c)))


def _how_it_failed(candidate: Candidate) -> str:
    if candidate.active is not None and candidate.active.halt is not Halt.NONE:
        return f"is {_halted(candidate.active.halt)}"
    # a rotation that a person has started since is the new try
    return "failed to rotate" if candidate.failed and not candidate.turns else ""


def _canaries(candidates: Iterable[Candidate], now: datetime) -> tuple[str, ...]:
    canaries = (c for c in candidates if c.rotation.canary and (c.unverified or c.is_due(now)))
    return tuple(sorted(str(c.key) for c in canaries))


def _judge(candidate: Candidate, fleet: _Fleet, free: int) -> tuple[What, str]:
    own = _by_itself(candidate, fleet.now)
    if own is not None:
        return own
    if fleet.failures:
        return What.STOPPED, f"{_listed(fleet.failures)}: nothing is started until that is resolved"
    if fleet.canaries and not candidate.rotation.canary:
        return What.WAITS, f"until the new secret of {_listed(fleet.canaries)} is verified: canaries go first"
    closed = _closed(candidate.rotation, fleet.now)
    if closed:
        return What.WAITS, closed
    if free <= 0:
        return What.WAITS, f"no more than {fleet.at_once} at once"
    return What.START, f"due since {candidate.due_at:%Y-%m-%d}"


def _by_itself(candidate: Candidate, now: datetime) -> tuple[What, str] | None:
    """What can be said without looking at the others; `None` when it is to be started as far as it is concerned."""
    active = candidate.active
    if active is not None and candidate.turns:
        return _turning(active, candidate.key)
    if candidate.due_at is None:
        return What.NOT_DUE, "no onboarding has been completed"
    if candidate.due_at > now:
        return What.NOT_DUE, f"due on {candidate.due_at:%Y-%m-%d}"
    if active is not None:
        return What.WAITS, f"its {active.kind} is under way"
    held_back = _held_back(candidate, now)
    return (What.WAITS, held_back) if held_back else None


def _held_back(candidate: Candidate, now: datetime) -> str:
    """Why what became of its last rotation speaks against another one now, a clause; empty when nothing does."""
    if candidate.declined:
        return f"its last rotation was rejected: `keyturn rotate {candidate.key}` asks again"
    if candidate.refused_at is None or now >= (again := candidate.refused_at + _AGAIN_AFTER):
        return ""
    return f"its preflight failed, see `keyturn status {candidate.key}`; again from {again:%Y-%m-%d %H:%M} UTC on"


def _turning(active: Active, key: IntegrationKey) -> tuple[What, str]:
    if active.halt is not Halt.NONE:
        resolve = f"`keyturn rotate resume {key}` or `keyturn rotate abandon {key}`"
        return What.STOPPED, f"its rotation is {_halted(active.halt)}: {resolve}"
    return What.UNDER_WAY, "waits for the end of the grace" if active.verified else "its rotation is under way"


def _halted(halt: Halt) -> str:
    return halt.replace("_", " ")


def _closed(rotation: Rotation, now: datetime) -> str:
    """Why it may not begin now and when it may, a clause; empty when it may."""
    try:
        why = why_closed(rotation, now)
        opens = opens_at(rotation, now) if why else now
    except ConfigurationError as fault:  # one integration's zone must not keep the others from turning
        return f"{fault.subject} {fault.problem}"
    if not why:
        return ""
    return f"{why}; opens {opens:%Y-%m-%d %H:%M} UTC" if opens else f"{why}; it opens on no day of the next two years"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
