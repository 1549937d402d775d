"""An attempt in time: when each of its stages began and ended, and how much of that people were waited for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from keyturn.domain.attempt import Attempt, Halt, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.trail import AuditEntry
from keyturn.services.journey import Step, StepState, stage_of

_HALTS = frozenset(f"rotation.{halt}" for halt in Halt if halt is not Halt.NONE)
_LEFT = frozenset({"rotation.resumed", "attempt.abandoned"})
_NOTHING = timedelta(0)

_Stretch = tuple[datetime, datetime]


class Whose(StrEnum):
    """Whose time it is."""

    HUMAN = "human"  # people were waited for: at a gate, or because it was halted
    GRACE = "grace"  # only the end of the older secret's grace was waited for
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a stage's time."""

    whose: Whose
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """One stage in time.

    Attributes:
        began: `None` when it has not begun; one that was undone has begun, and has to be done again.
        ended: when it was done, or the attempt ended; `None` while it goes on.
        parts: in the order of time.
    """

    step: Step
    began: datetime | None
    ended: datetime | None
    parts: tuple[Part, ...] = ()

    @property
    def human(self) -> timedelta:
        """How long people were waited for."""
        return self._of(Whose.HUMAN)

    @property
    def grace(self) -> timedelta:
        """How long only the end of a grace was waited for."""
        return self._of(Whose.GRACE)

    @property
    def machine(self) -> timedelta:
        """How long nobody was waited for."""
        return self._of(Whose.MACHINE)

    @property
    def lasted(self) -> timedelta:
        """How long it took, or has taken so far."""
        return sum((part.ended - part.began for part in self.parts), _NOTHING)

    def _of(self, whose: Whose) -> timedelta:
        return sum((part.ended - part.began for part in self.parts if part.whose is whose), _NOTHING)


def timeline(
    attempt: Attempt, steps: Sequence[Step], gates: Sequence[Gate], told: Iterable[AuditEntry], now: datetime
) -> list[Span]:
    """The stages of an attempt in time.

    A stage has the time for which it waited at its own gates, whenever that was: some stages are done again after later
    ones. Of the time between its predecessor's end and its own it has what nobody waited in.

    Args:
        attempt: the attempt.
        steps: its stages, as `keyturn.services.journey.journey_of` gives them.
        gates: all that it ever asked.
        told: what the audit trail tells of it, oldest first: a halted rotation waits for people as well.
        now: the present.
    """
    waits = _Waits(
        [(stage_of(g, attempt), _whose(g), (g.opened_at, g.decided_at or now)) for g in gates], [*_halted(told, now)]
    )
    return [_span(step, _window(attempt, step, steps), waits, now) for step in steps]


@dataclass(frozen=True, slots=True)
class _Waits:
    """When the attempt waited: at gates, and because it was halted."""

    gates: Sequence[tuple[Stage, Whose, _Stretch]]
    halted: Sequence[_Stretch]

    def at(self, stage: Stage, whose: Whose) -> list[_Stretch]:
        """At the gates of one stage."""
        return [stretch for of, kind, stretch in self.gates if of is stage and kind is whose]

    @property
    def everything(self) -> list[_Stretch]:
        """Whatever it waited for."""
        return [*self.halted, *(stretch for _, _, stretch in self.gates)]


def _span(step: Step, window: tuple[datetime | None, datetime | None], waits: _Waits, now: datetime) -> Span:
    began, ended = window
    whole = (began, max(began, ended or now)) if began else None
    stretches = {
        Whose.HUMAN: _joined([*waits.at(step.stage, Whose.HUMAN), *(_within(whole, waits.halted) if whole else ())]),
        Whose.GRACE: _joined(waits.at(step.stage, Whose.GRACE)),
        Whose.MACHINE: _without(whole, waits.everything) if whole else [],
    }
    parts = [Part(whose, *stretch) for whose, found in stretches.items() for stretch in found]
    parts.sort(key=lambda part: part.began)
    first = [moment for moment in (began, *(part.began for part in parts)) if moment]
    return Span(step, min(first, default=None), ended, tuple(parts))


def _window(attempt: Attempt, step: Step, steps: Sequence[Step]) -> tuple[datetime | None, datetime | None]:
    """From the moment at which the stage done before it was done, to its own end."""
    done = [s.at for s in steps if s.state is StepState.DONE and s.at is not None]
    if step.state is StepState.LATER:
        return None, None
    if step.state is not StepState.DONE or step.at is None:
        return max(done, default=attempt.started_at), attempt.ended_at
    before = steps[: steps.index(step)]
    at_once = any(s.at == step.at and s.state is StepState.DONE for s in before)
    earlier = [step.at] if at_once else [at for at in done if at < step.at]
    return max(earlier, default=attempt.started_at), step.at


def _whose(gate: Gate) -> Whose:
    return Whose.GRACE if gate.kind is GateKind.GRACE else Whose.HUMAN


def _halted(told: Iterable[AuditEntry], now: datetime) -> Iterator[_Stretch]:
    marks = [(e.at, e.event) for e in told if e.event in _HALTS | _LEFT]
    for (at, event), (until, _) in pairwise([*marks, (now, "")]):
        if event in _HALTS:
            yield at, until


def _within(whole: _Stretch, parts: Iterable[_Stretch]) -> list[_Stretch]:
    cut = [(max(start, whole[0]), min(end, whole[1])) for start, end in parts]
    return [(start, end) for start, end in cut if start < end]


def _joined(parts: Iterable[_Stretch]) -> list[_Stretch]:
    """The same time, in stretches that do not overlap."""
    joined: list[_Stretch] = []
    for start, end in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif start < end:
            joined.append((start, end))
    return joined


def _without(whole: _Stretch, parts: Iterable[_Stretch]) -> list[_Stretch]:
    """What is left of a stretch when others are taken out of it."""
    edges = [whole[0], *(edge for stretch in _joined(_within(whole, parts)) for edge in stretch), whole[1]]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in pairs if start < end]
