"""Attempts, and how far they got."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from keyturn.console.api.shapes.base import Shape
from keyturn.console.api.shapes.questions import Asked
from keyturn.domain import attempt as domain
from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Receipt, Stage, Wish
from keyturn.domain.rotation import RotationState
from keyturn.ports import RunState
from keyturn.services import journey
from keyturn.services.journey import StepState
from keyturn.services.start import Started


class Step(Shape):
    """One stage of an attempt."""

    name: Stage
    status: StepState
    at: datetime | None = Field(description="When it was done, or since when it waits.")
    says: str


class Journey(Shape):
    """An integration's newest attempt, stage by stage; without an attempt it was never onboarded."""

    key: str
    attempt: UUID | None
    kind: AttemptKind | None
    state: AttemptState | None
    rotation: RotationState | None
    halt: Halt
    digest: str | None
    flow_run: UUID | None
    reason: str
    stages: list[Step]

    @classmethod
    def of(cls, journey: journey.Journey, **more: Any) -> Self:  # noqa: ANN401  what a class below adds
        """The shape of it."""
        attempt = journey.attempt
        return cls(
            key=str(journey.key),
            attempt=attempt.id if attempt else None,
            kind=attempt.kind if attempt else None,
            state=attempt.state if attempt else None,
            rotation=journey.rotation,
            halt=attempt.halt if attempt else Halt.NONE,
            digest=attempt.digest if attempt else None,
            flow_run=attempt.flow_run_id if attempt else None,
            reason=attempt.reason if attempt else "",
            stages=[Step(name=s.stage, status=s.state, at=s.at, says=s.says) for s in journey.steps],
            **more,
        )


class Progress(Journey):
    """The same, and what has become of its run."""

    run: RunState | None = Field(description="As Prefect says; `null` when it was not asked, or gave no answer.")


class Onboarding(Journey):
    """What asking for an onboarding came to."""

    created: bool = Field(description="Whether the attempt is a new one.")
    changed: bool = Field(description="Whether it took a changed manifest over, so that it has to be approved again.")
    run_started: bool = Field(description="Whether a new Prefect run was started for it.")
    run_url: str = Field(description="The run in Prefect; empty when there is no address.")

    @classmethod
    def already(cls, now: journey.Journey) -> Self:
        """The shape of one that was completed before, so that nothing was started."""
        return cls.of(now, created=False, changed=False, run_started=False, run_url="")

    @classmethod
    def begun(cls, now: journey.Journey, started: Started, run_url: str) -> Self:
        """The shape of it."""
        opened = started.opened
        return cls.of(
            now, created=opened.created, changed=opened.changed, run_started=started.run_started, run_url=run_url
        )


class Attempt(Shape):
    """An attempt in a few words."""

    key: str
    attempt: UUID
    state: AttemptState
    halt: Halt
    wish: Wish = Field(description="What its next execution has to do first.")
    reason: str
    flow_run: UUID | None

    @classmethod
    def of(cls, attempt: domain.Attempt, **more: Any) -> Self:  # noqa: ANN401  what a class below adds
        """The shape of it."""
        return cls(
            key=str(attempt.key),
            attempt=attempt.id,
            state=attempt.state,
            halt=attempt.halt,
            wish=attempt.wish,
            reason=attempt.reason,
            flow_run=attempt.flow_run_id,
            **more,
        )


class Rotation(Attempt):
    """What asking for a rotation came to."""

    created: bool = Field(description="Whether it is a new one.")
    run_started: bool = Field(description="Whether a new Prefect run was started for it.")
    run_url: str = Field(description="The run in Prefect; empty when there is no address.")

    @classmethod
    def begun(cls, started: Started, run_url: str) -> Self:
        """The shape of it."""
        created = started.opened.created
        return cls.of(started.attempt, created=created, run_started=started.run_started, run_url=run_url)


class Dated(Attempt):
    """An attempt of an integration."""

    kind: AttemptKind
    digest: str
    requester: str | None
    started_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, attempt: domain.Attempt, **more: Any) -> Self:  # noqa: ANN401  what a class below adds
        """The shape of it."""
        return super().of(
            attempt,
            kind=attempt.kind,
            digest=attempt.digest,
            requester=attempt.requester,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            **more,
        )


class Done(Shape):
    """The receipt of a stage: what it found and made."""

    stage: Stage
    at: datetime
    body: dict[str, Any]

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """The shape of it."""
        return cls(stage=receipt.stage, at=receipt.at, body=dict(receipt.body))


class WholeAttempt(Dated):
    """An attempt with its receipts and gates."""

    receipts: list[Done]
    gates: list[Asked]
