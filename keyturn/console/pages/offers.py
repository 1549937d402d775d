"""What can be done with an integration now, and by whom. Buttons only: the services decide when they are pressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from keyturn.console.access import OPERATOR, RULES
from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage, Wish
from keyturn.domain.gate import Gate, GateKind, Person
from keyturn.ports import Ledger
from keyturn.services.rotation.terms import grace_of
from keyturn.services.standing import Standing

ONE = "/integrations/{tenant}/{environment}"


class Action(StrEnum):
    """What a person can want of an integration; each is the last part of its route."""

    ONBOARD = "onboard"
    CHECK = "check"
    ROTATE = "rotate"
    ROLLBACK = "rollback"
    RESUME = "resume"
    ABANDON = "abandon"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Now:
    """How an integration stands, as far as that decides what can be done.

    Attributes:
        attempt: the newest one.
        gates: what it asks now.
        receipts: of the newest attempt.
    """

    attempt: Attempt | None
    gates: Sequence[Gate]
    receipts: Mapping[Stage, Receipt]
    standing: Standing | None
    at: datetime

    @property
    def active(self) -> Attempt | None:
        """The attempt under way."""
        return self.attempt if self.attempt and self.attempt.state is AttemptState.ACTIVE else None

    @property
    def rotation(self) -> Attempt | None:
        """The rotation under way."""
        return self.active if self.active and self.active.kind is AttemptKind.ROTATION else None

    def gate(self, *kinds: GateKind) -> Gate | None:
        """An open gate of one of these kinds."""
        return next((gate for gate in self.gates if gate.kind in kinds), None)


@dataclass(frozen=True, slots=True)
class Offer:
    """A button: its words, and how it looks (`primary`, `danger`, or empty)."""

    action: Action
    label: str
    tone: str = ""


def now_of(ledger: Ledger, attempt: Attempt | None, standing: Standing | None, at: datetime) -> Now:
    """How an integration stands, by its newest attempt."""
    if attempt is None:
        return Now(None, (), {}, standing, at)
    gates = [gate for gate in ledger.gates(key=attempt.key) if gate.attempt_id == attempt.id]
    return Now(attempt, gates, {r.stage: r for r in ledger.receipts(attempt.id)}, standing, at)


def offers(now: Now, person: Person) -> list[Offer]:
    """The buttons for this person, in the order in which they are shown."""
    return [_offer(action, now) for action in Action if may(action, person) and _MAKES_SENSE[action](now, person)]


def may(action: Action, person: Person) -> bool:
    """Whether the outer fence lets this person do it at all."""
    return RULES["POST", f"{ONE}/{action}"].admits(person)


def _offer(action: Action, now: Now) -> Offer:
    if action is Action.ONBOARD:
        return Offer(action, _onboarding(now), "" if now.attempt else "primary")
    return Offer(action, *_LABELS[action])


def _onboarding(now: Now) -> str:
    if now.active is not None:
        return "Go on with the onboarding"
    return "Onboard again" if now.attempt else "Onboard"


def _can_go_back(now: Now, _person: Person) -> bool:
    turning, turned = now.rotation, now.receipts.get(Stage.GONG_ROTATION)
    if turning is None or turned is None or Stage.STAGE_SECRET not in now.receipts:
        return False
    wanted = turning.halt is not Halt.ROLLED_BACK and turning.wish is not Wish.ROLL_BACK
    return wanted and turning.terms.can_go_back and now.at < grace_of(turned).earliest_end


def _can_abandon(now: Now, person: Person) -> bool:
    return now.active is not None and (OPERATOR in person.groups or now.active.requester == person.id)


def _can_be_lost(now: Now, person: Person) -> bool:
    gate = now.gate(GateKind.GONG_ROTATION)
    return gate is not None and bool(person.groups & {*gate.groups, OPERATOR})


_MAKES_SENSE: Mapping[Action, Callable[[Now, Person], bool]] = {
    Action.ONBOARD: lambda now, _person: now.rotation is None,
    Action.CHECK: lambda now, _person: now.standing is not None,
    Action.ROTATE: lambda now, _person: now.standing is not None and now.active is None,
    Action.ROLLBACK: _can_go_back,
    Action.RESUME: lambda now, _person: now.active is not None and now.active.halt is not Halt.NONE,
    Action.ABANDON: _can_abandon,
    Action.LOST: _can_be_lost,
}

_LABELS = {
    Action.CHECK: ("Check now",),
    Action.ROTATE: ("Rotate the secret",),
    Action.ROLLBACK: ("Roll back", "danger"),
    Action.RESUME: ("Resume", "primary"),
    Action.ABANDON: ("Abandon the attempt", "danger"),
    Action.LOST: ("The new secret is lost", "danger"),
}
