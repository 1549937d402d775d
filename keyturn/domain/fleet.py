"""The fleet at a glance: where each integration stands in one word, and what a search asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.rotation import state_of


class FleetState(StrEnum):
    """Where an integration stands, in one word. Every integration is in exactly one of these."""

    HALTED = "halted"  # a rotation was rolled back or orphaned: only a person moves it on
    WAITING = "waiting"  # a gate asks people
    MOVING = "moving"  # an attempt is under way and asks nobody
    LIVE = "live"  # onboarded, and nothing is under way
    ENDED = "ended"  # its onboarding was rejected or abandoned, and none before it was completed


class FleetHealth(StrEnum):
    """How the watch left it. UNKNOWN is not OK."""

    RAISED = "raised"  # at least one cause stands
    UNKNOWN = "unknown"
    NEVER = "never checked"
    OK = "ok"


def said_of(attempt: Attempt | None, done: Collection[Stage], gates: Iterable[Gate]) -> str:
    """Where the newest attempt of an integration stands, in words.

    Args:
        attempt: the newest one; `None` when there never was one.
        done: its stages that have a receipt.
        gates: what it asks now.
    """
    if attempt is None:
        return "never onboarded"
    if attempt.kind is AttemptKind.ROTATION:
        return f"rotation {state_of(attempt, done, {g.kind for g in gates})}"
    return f"{attempt.kind} {attempt.state}"


class FleetSort(StrEnum):
    """In which order a list is."""

    URGENCY = "urgency"  # halted first, then by the severity of causes, then by how long people have been waited for
    KEY = "key"
    AGE = "age"  # the oldest secret first
    DUE = "due"  # the next rotation first
    CHECKED = "checked"  # the longest unseen first


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an integration waits for.

    Attributes:
        kind: of the open gate.
        groups: who is asked; empty when only time passes (GRACE).
        since: when it was asked.
    """

    gate_id: UUID
    kind: GateKind
    groups: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One integration of the fleet.

    Attributes:
        attempt_id: of the newest attempt; `None` when it never had one.
        says: the state in the words of that attempt, e.g. `rotation awaiting_gong`.
        stage: the stage it is at; `None` when all are done.
        causes: what is raised, the most severe first.
        turned_at: when the secret in use became that; `None` when none is in use.
        due_at: when its next turn is due.
        grace_ends_at: until when the older secret of a running grace works at least.
        verdict: of the last test of its connection: `L0` … `L3`, each `passed`, `failed` or `not tested`.
        checked_at: when a worker last took it on.
    """

    key: IntegrationKey
    state: FleetState
    health: FleetHealth
    says: str
    attempt_id: UUID | None = None
    kind: AttemptKind | None = None
    stage: Stage | None = None
    done: int = 0
    total: int = 0
    reason: str = ""
    causes: tuple[Cause, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    turned_at: datetime | None = None
    due_at: datetime | None = None
    grace_ends_at: datetime | None = None
    verdict: Mapping[str, str] = field(default_factory=dict)
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FleetQuery:
    """What a list is to hold. Empty parts restrict nothing.

    Attributes:
        text: part of the key.
        group: only what waits for this group.
        after: the `next` of the page before.
        limit: rows on a page, 1 to 200.
    """

    text: str = ""
    states: frozenset[FleetState] = frozenset()
    healths: frozenset[FleetHealth] = frozenset()
    cause: Cause | None = None
    group: str = ""
    sort: FleetSort = FleetSort.URGENCY
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class FleetPage:
    """A page of a list; `next` is empty on the last one."""

    rows: tuple[FleetRow, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How long a stage takes, over the attempts of the last 90 days, in seconds.

    Attributes:
        human_s: median of the time that people were waited for.
        machine_s: median of the rest.
        count: of how many.
    """

    stage: Stage
    human_s: float
    machine_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the pictures of the fleet show, as of a moment.

    Attributes:
        at: when it was counted.
        total: how many integrations.
        states: how many in each state.
        healths: how many of each health; what nobody has looked at for long counts as unknown, not as well.
        causes: how many have each cause raised.
        ages: how many secrets of which age in days: upper bounds 7, 30, 60, 90, 180, 365, and 0 for older.
        overdue: how many secrets are past their due date.
        waiting: how many wait for each group.
        history: the same as `states`, for each of the last 30 days, the oldest first.
        times: the stages of an onboarding and of a rotation, in their order; those with no attempt are left out.
        graces: the running graces, by their end, at most `MOST_GRACES`.
    """

    at: datetime
    total: int = 0
    states: Mapping[FleetState, int] = field(default_factory=dict)
    healths: Mapping[FleetHealth, int] = field(default_factory=dict)
    causes: Mapping[Cause, int] = field(default_factory=dict)
    ages: Mapping[int, int] = field(default_factory=dict)
    overdue: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    history: tuple[tuple[datetime, Mapping[FleetState, int]], ...] = ()
    times: tuple[StageTimes, ...] = ()
    graces: tuple[tuple[IntegrationKey, datetime], ...] = ()


MOST_GRACES = 20
"""Of how many graces `Pictures.graces` tells at most."""

AGE_BOUNDS: tuple[int, ...] = (7, 30, 60, 90, 180, 365, 0)
"""Upper bounds of the ages in `Pictures.ages`, in days; 0 stands for all that is older."""
