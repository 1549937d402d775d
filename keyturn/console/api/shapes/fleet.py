"""Integrations at a glance."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from keyturn.console.api.shapes.attempts import Dated, Progress
from keyturn.console.api.shapes.base import Shape
from keyturn.console.api.shapes.questions import Asked
from keyturn.domain import attempt as domain
from keyturn.domain import health as seen
from keyturn.domain.attempt import AttemptKind, AttemptState, Halt
from keyturn.domain.fleet import FleetRow, FleetState, Waiting, said_of
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause
from keyturn.domain.schedule import due_at
from keyturn.ports import Member
from keyturn.services.journey import waits_for


class Raised(Shape):
    """Something that is not as it should be, and that people were told of."""

    cause: Cause
    since: datetime
    evidence: str
    remedy: str

    @classmethod
    def of(cls, condition: seen.Condition) -> Self:
        """The shape of it."""
        return cls(cause=condition.cause, since=condition.since, evidence=condition.evidence, remedy=condition.remedy)


class Line(Shape):
    """An integration at a glance."""

    key: str
    attempt: UUID | None = Field(description="The newest one.")
    kind: AttemptKind | None
    state: AttemptState | None
    says: str = Field(description="Where that attempt stands, in words.")
    halt: Halt
    reason: str
    terms: list[str] = Field(
        description="What that attempt was asked for with: `compromised`, `ignore_window`, `second`."
    )
    digest: str | None
    stage: str = Field(description="The stage it is at; empty when all are done.")
    stages_done: int
    stages: int
    health: str = Field(description="`never checked`, the causes that are raised, `unknown`, or `ok`.")
    raised: list[Raised]
    secret_age_days: int | None = Field(description="Days since the secret in use became that.")
    turned_at: datetime | None = Field(description="When the secret in use became that.")
    next_rotation_at: datetime | None
    checked_at: datetime | None
    seen_at: datetime | None = Field(description="When something was last looked at, and what was seen was kept.")
    waits_for: str = Field(description="Who must do what next; empty when nobody is asked.")

    @classmethod
    def of(cls, member: Member, health: seen.Health, now: datetime, **more: Any) -> Self:  # noqa: ANN401  as above
        """The shape of it."""
        attempt, turned = member.attempt, member.turned_at
        stages = domain.stages_of(attempt.kind if attempt else AttemptKind.ONBOARDING)
        left = [s for s in stages if s not in member.done]
        return cls(
            key=str(member.key),
            attempt=attempt.id if attempt else None,
            kind=attempt.kind if attempt else None,
            state=attempt.state if attempt else None,
            says=said_of(attempt, member.done, member.gates),
            halt=attempt.halt if attempt else Halt.NONE,
            reason=attempt.reason if attempt else "",
            terms=attempt.terms.names if attempt else [],
            digest=attempt.digest if attempt else None,
            stage=left[0].value if left else "",
            stages_done=len(stages) - len(left),
            stages=len(stages),
            health=health.words,
            raised=[Raised.of(c) for c in health.raised],
            secret_age_days=(now - turned).days if turned else None,
            turned_at=turned,
            next_rotation_at=due_at(member.key, member.rotation, turned) if turned and member.rotation else None,
            checked_at=health.checked_at,
            seen_at=health.seen_at,
            waits_for="; ".join(waits_for(gate, member.key) for gate in member.gates),
            **more,
        )


class Filed(Shape):
    """A manifest of the console's folder."""

    key: str | None = Field(description="`null` when the file does not say.")
    file: str = Field(description="Its name in that folder.")
    problem: str = Field(description="Why it cannot be used; empty for any that might be.")
    remedy: str


class Wait(Shape):
    """An open question about an integration."""

    gate: UUID
    kind: GateKind
    groups: list[str]
    since: datetime

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        """The shape of it."""
        return cls(gate=waiting.gate_id, kind=waiting.kind, groups=list(waiting.groups), since=waiting.since)


class Listed(Line):
    """An integration in a list."""

    stands: FleetState = Field(description="Where it stands, in one word.")
    waiting: list[Wait]
    grace_ends_at: datetime | None
    verdict: dict[str, str] = Field(description="Of the last test of its connection, by layer.")

    @classmethod
    def row(cls, row: FleetRow, member: Member, health: seen.Health, now: datetime) -> Self:
        """The shape of it."""
        return cls.of(
            member,
            health,
            now,
            stands=row.state,
            waiting=[Wait.of(w) for w in row.waiting],
            grace_ends_at=row.grace_ends_at,
            verdict=dict(row.verdict),
        )


class Page(Shape):
    """A page of a list. What to send as `after` for the next one is in `next`; it is empty on the last one."""

    items: list[Listed]
    next: str


class Integration(Progress):
    """An integration: its newest attempt, its line in the list, what is being asked, and all its attempts."""

    listed: Listed | None = Field(description="`null` while nobody has ever onboarded it.")
    gates: list[Asked]
    attempts: list[Dated] = Field(description="Newest first.")
