"""What was seen of a connection, and what that means."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from keyturn.console.api.shapes.base import Shape
from keyturn.console.api.shapes.fleet import Raised
from keyturn.domain import health as seen
from keyturn.domain import sweep, verdict
from keyturn.domain.health import Cause, Outcome, Subject, Turn
from keyturn.domain.sweep import What
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.services import check


class Look(Shape):
    """One look at one thing."""

    subject: Subject
    outcome: Outcome
    evidence: str
    latency_ms: int | None
    hint: Cause | None = Field(description="What is wrong with it, by itself.")

    @classmethod
    def of(cls, observation: seen.Observation, **more: Any) -> Self:  # noqa: ANN401  as above
        """The shape of it."""
        return cls(
            subject=observation.subject,
            outcome=observation.outcome,
            evidence=observation.evidence,
            latency_ms=observation.latency_ms,
            hint=observation.hint,
            **more,
        )


class DatedLook(Look):
    """One look at one thing, and when it was."""

    at: datetime


class Health(Shape):
    """How the watch left an integration."""

    key: str
    health: str = Field(description="`never checked`, the causes that are raised, `unknown`, or `ok`.")
    checked_at: datetime | None
    raised: list[Raised]
    observations: list[DatedLook]

    @classmethod
    def of(cls, key: str, health: seen.Health) -> Self:
        """The shape of it."""
        return cls(
            key=key,
            health=health.words,
            checked_at=health.checked_at,
            raised=[Raised.of(c) for c in health.raised],
            observations=[DatedLook.of(o, at=o.at) for o in health.observations],
        )


class Drift(Shape):
    """Something that is not as it should be, seen this time."""

    cause: Cause
    evidence: str
    remedy: str


class Turned(Shape):
    """A cause that people are told of, or are told is over, because of this look."""

    cause: Cause
    turn: Turn


class Checked(Shape):
    """What looking at an integration from every side came to."""

    key: str
    onboarded: bool = Field(description="Whether there was anything to look at.")
    drifts: list[Drift]
    observations: list[Look]
    turned: list[Turned]
    problem: str = Field(description="Why the check could not be done or kept; empty when it was.")

    @classmethod
    def of(cls, checked: check.Checked) -> Self:
        """The shape of it."""
        return cls(
            key=str(checked.key),
            onboarded=checked.onboarded,
            drifts=[Drift(cause=d.cause, evidence=d.evidence, remedy=d.remedy) for d in checked.drifts],
            observations=[Look.of(o) for o in checked.observations],
            turned=[Turned(cause=t.condition.cause, turn=t.turn) for t in checked.transitions],
            problem=checked.problem,
        )

    @property
    def is_bad(self) -> bool:
        """Whether something is not as it should be."""
        return bool(self.drifts) or any(o.outcome is Outcome.BAD for o in self.observations)

    @property
    def is_unknown(self) -> bool:
        """Whether something could not be told."""
        return bool(self.problem) or any(o.outcome is Outcome.UNKNOWN for o in self.observations)


class Tested(Shape):
    """One layer of a verdict."""

    layer: Layer
    status: LayerStatus
    evidence: str
    remedy: str


class Verdict(Shape):
    """What a test of a connection came to, layer by layer; `proven` only if every layer passed."""

    L0: Tested
    L1: Tested
    L2: Tested
    L3: Tested
    proven: bool

    @classmethod
    def of(cls, verdict: verdict.Verdict) -> Self:
        """The shape of it."""
        by_layer = {r.layer.value: Tested(**asdict(r)) for r in verdict.layers}
        return cls(**by_layer, proven=verdict.proven)

    @property
    def layers(self) -> tuple[Tested, ...]:
        """All layers, in order."""
        return self.L0, self.L1, self.L2, self.L3


class Due(Shape):
    """What a sweep would do about an integration now."""

    key: str
    due_at: datetime | None
    what: What
    why: str

    @classmethod
    def of(cls, entry: sweep.Entry) -> Self:
        """The shape of it."""
        return cls(key=str(entry.key), due_at=entry.due_at, what=entry.what, why=entry.why)
