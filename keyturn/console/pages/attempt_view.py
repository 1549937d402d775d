"""What the page of an attempt shows, gathered: from the ledger, and from Prefect as far as that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyturn.console.pages.outside import Seen, seen
from keyturn.console.pages.trail_words import Told, readable, told
from keyturn.console.words import said
from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage
from keyturn.domain.gate import Gate
from keyturn.domain.verdict import LAYER_MEANING, Layer, LayerStatus
from keyturn.ports import LogLine, RunState
from keyturn.services.journey import Journey, journey_of, stage_of
from keyturn.services.timeline import Part, Span, Whose, timeline
from keyturn.wiring import Ports

LOG_LINES = 100
_TRAIL_ROWS = 300
_THINNEST = 0.6  # per cent of the picture: what takes a second of a week is still to be seen
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a stage's bar: whose time it is, where it begins and how wide it is, of 100."""

    whose: Whose
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class LayerShown:
    """A layer of a verdict as its receipt has it."""

    name: str
    meaning: str
    status: str
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page.

    Attributes:
        log: `None` when no run carries it.
        run_state: as Prefect says.
    """

    attempt: Attempt
    now: datetime
    journey: Journey
    spans: Sequence[Span]
    gates: Sequence[Gate]
    receipts: Mapping[Stage, Receipt]
    trail: Sequence[Told]
    log: Seen[Sequence[LogLine]] | None
    run_state: Seen[RunState] | None

    @property
    def state(self) -> str:
        """Where it stands, in a word or two."""
        return said(self.journey.rotation or self.attempt.state)

    @property
    def tone(self) -> str:
        """How that is coloured."""
        if self.attempt.halt is not Halt.NONE:
            return "bad"
        if self.attempt.state is AttemptState.ACTIVE:
            return "warn" if self.journey.gates else "plain"
        return "good" if self.attempt.state is AttemptState.COMPLETED else "plain"

    @property
    def asked(self) -> Mapping[Stage, Gate]:
        """The open gates by the stages that wait at them."""
        return {stage_of(gate, self.attempt): gate for gate in self.journey.gates}

    @property
    def ends_at(self) -> datetime:
        """When it ended, or now."""
        return self.attempt.ended_at or self.now

    @property
    def human(self) -> timedelta:
        """How long people were waited for, in all."""
        return sum((span.human for span in self.spans), _NOTHING)

    @property
    def grace(self) -> timedelta:
        """How long only time was waited for, in all."""
        return sum((span.grace for span in self.spans), _NOTHING)

    @property
    def machine(self) -> timedelta:
        """The rest, in all."""
        return sum((span.machine for span in self.spans), _NOTHING)

    @property
    def wish(self) -> str:
        """What its next execution has to do first, in words; empty when there is no wish."""
        return said(self.attempt.wish)

    @property
    def unusual(self) -> Sequence[str]:
        """The terms of a rotation that are not the usual ones."""
        terms = self.attempt.terms
        named = (("compromised", terms.compromised), ("window ignored", terms.ignore_window))
        return [name for name, chosen in (*named, ("a second click", terms.second)) if chosen]

    @property
    def is_rotation(self) -> bool:
        """Whether it turns a secret."""
        return self.attempt.kind is AttemptKind.ROTATION

    @property
    def verdict(self) -> Sequence[LayerShown]:
        """The verdict on the connection, layer by layer; empty before there is one."""
        receipt = self.receipts.get(Stage.TEST_CONNECTION)
        return [_layer(layer, receipt.body.get(layer)) for layer in Layer] if receipt else []

    def bars(self, span: Span) -> Sequence[Bar]:
        """The bar of a stage, against the time of the whole attempt."""
        whole = self.ends_at - self.attempt.started_at
        return [_bar(part, self.attempt.started_at, whole) for part in span.parts] if whole > _NOTHING else []


def gather(ports: Ports, attempt: Attempt) -> View:
    """Look everything up. Only Prefect is asked besides the ledger, and it may be away."""
    now, run = ports.clock.now(), attempt.flow_run_id
    walked = journey_of(ports.ledger, attempt)
    gates = [g for g in ports.ledger.gates(key=attempt.key, only_open=False) if g.attempt_id == attempt.id]
    rows = ports.trail.latest(attempt.key, _TRAIL_ROWS, attempt_id=attempt.id)
    return View(
        attempt,
        now,
        walked,
        timeline(attempt, walked.steps, gates, readable(reversed(rows)), now),
        gates,
        {receipt.stage: receipt for receipt in ports.ledger.receipts(attempt.id)},
        told(rows),
        seen(lambda: ports.runs.log(run, LOG_LINES)) if run else None,
        seen(lambda: ports.runs.state(run)) if run else None,
    )


def _bar(part: Part, start: datetime, whole: timedelta) -> Bar:
    width = max(_THINNEST, (part.ended - part.began) / whole * 100)
    return Bar(part.whose, round(min((part.began - start) / whole * 100, 100 - width), 2), round(width, 2))


def _layer(layer: Layer, said: object) -> LayerShown:
    body = said if isinstance(said, Mapping) else {}
    status = str(body.get("status", LayerStatus.NOT_TESTED))
    return LayerShown(layer, LAYER_MEANING[layer], status, str(body.get("evidence", "")), str(body.get("remedy", "")))
