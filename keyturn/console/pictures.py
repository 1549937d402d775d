"""The geometry of the fleet's pictures: plain numbers for SVG. Templates draw, styles paint, tables say the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.console.words import lasting, said
from keyturn.domain.fleet import AGE_BOUNDS, FleetState, Pictures, StageTimes
from keyturn.domain.integration import IntegrationKey

WIDTH = 280
"""Of every picture, in its own units; the page scales it."""

STACKED: tuple[FleetState, ...] = (
    FleetState.LIVE,
    FleetState.MOVING,
    FleetState.WAITING,
    FleetState.HALTED,
    FleetState.ENDED,
)
"""From the ground up."""

_TOP, _PLOT = 16.0, 96.0
_LEFT, _RIGHT = 28.0, 2.0
_ROW = 24.0
_NAMES = 98.0
_VALUES = 38.0
_SHORTEST_S, _LONGEST_S = 1.0, 30 * 86400.0
_TICKS = ((1.0, "1 s"), (60.0, "1 min"), (3600.0, "1 h"), (86400.0, "1 d"), (_LONGEST_S, "30 d"))


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle that stands for a value.

    Attributes:
        label: what it is about.
        says: the value in words.
    """

    label: str
    says: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the picture, with what it stands for."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Ages:
    """A histogram of the ages of secrets."""

    bars: tuple[Bar, ...]
    ground: float
    height: float
    count: int


@dataclass(frozen=True, slots=True)
class Area:
    """How many integrations were in one state, over time: the corners of a shape."""

    state: FleetState
    points: str
    count: int


@dataclass(frozen=True, slots=True)
class History:
    """States over time, stacked."""

    areas: tuple[Area, ...]
    ticks: tuple[Tick, ...]
    left: float
    right: float
    ground: float
    height: float
    days: tuple[tuple[datetime, Mapping[FleetState, int]], ...]

    @property
    def span(self) -> int:
        """How many days there are from the first to the last, those on which nobody counted among them."""
        return (self.days[-1][0].date() - self.days[0][0].date()).days + 1 if self.days else 0


@dataclass(frozen=True, slots=True)
class TimesRow:
    """One stage: people above, machine below."""

    label: str
    y: float
    human: Bar
    machine: Bar
    count: int


@dataclass(frozen=True, slots=True)
class Times:
    """Human against machine time a stage. The scale is logarithmic: seconds and weeks are both to be seen."""

    rows: tuple[TimesRow, ...]
    ticks: tuple[Tick, ...]
    height: float


@dataclass(frozen=True, slots=True)
class Running:
    """A grace that runs.

    Attributes:
        left: what is left of it, beside the longest that is left of any, 0 to 1.
        is_short: whether less than a day is left.
    """

    key: IntegrationKey
    ends_at: datetime
    left: float
    is_short: bool


def ages(pictures: Pictures) -> Ages:
    """How old the secrets in use are: a bar for each span of days."""
    counts = [pictures.ages.get(bound, 0) for bound in AGE_BOUNDS]
    most, step = max(counts, default=0) or 1, WIDTH / len(AGE_BOUNDS)
    ground = _TOP + _PLOT
    bars = []
    for place, (label, count) in enumerate(zip(_spans(), counts, strict=True)):
        height = max(_PLOT * count / most, 2.0 if count else 0.0)
        says = f"{count} secret{'' if count == 1 else 's'}"
        bars.append(Bar(label, says, _r(place * step + 4), _r(ground - height), _r(step - 8), _r(height)))
    return Ages(tuple(bars), ground, ground + 18, sum(counts))


def history(pictures: Pictures) -> History:
    """How many integrations were in each state, day by day."""
    days = pictures.history
    top = _rounded_up(max((sum(counts.values()) for _, counts in days), default=0))
    ground, under, places = _TOP + _PLOT, [0] * len(days), _places([at for at, _ in days])
    areas = []
    for state in STACKED:
        over = [low + counts.get(state, 0) for low, (_, counts) in zip(under, days, strict=True)]
        now = days[-1][1].get(state, 0) if days else 0
        areas.append(Area(state, _outline(places, under, over, top), now))
        under = over
    ticks = tuple(Tick(_r(ground - _PLOT * part / top), str(part)) for part in sorted({0, top // 2, top}))
    return History(tuple(areas), ticks, _LEFT, WIDTH - _RIGHT, ground, ground + 18, days)


def times(pictures: Pictures) -> Times:
    """How long people and the machine take for each stage."""
    rows = tuple(_row(place, stage) for place, stage in enumerate(pictures.times))
    height = _ROW * len(rows)
    return Times(rows, tuple(Tick(_r(_along(seconds)), label) for seconds, label in _TICKS), height + 16)


def graces(pictures: Pictures, now: datetime) -> tuple[Running, ...]:
    """The graces that run, the one that ends first at the top."""
    left_s = [max(0.0, (ends_at - now).total_seconds()) for _, ends_at in pictures.graces]
    longest = max(left_s, default=0.0) or 1.0
    running = zip(pictures.graces, left_s, strict=True)
    return tuple(Running(key, end, round(left / longest, 4), left < _TICKS[3][0]) for (key, end), left in running)


def _spans() -> list[str]:
    return [f"≤ {bound}" if bound else f"> {AGE_BOUNDS[-2]}" for bound in AGE_BOUNDS]


def _places(days: Sequence[datetime]) -> list[float]:
    """Where days stand, from 0 for the first to 1 for the last: by their dates, as some may be missing."""
    passed = [(day.date() - days[0].date()).days for day in days]
    return [n / passed[-1] for n in passed] if len(days) > 1 else [0.0] * len(days)


def _outline(places: Sequence[float], under: Sequence[int], over: Sequence[int], top: int) -> str:
    """The corners of an area: along its upper edge, and back along the lower one. One day alone is as wide as all."""
    if len(over) == 1:
        places, under, over = [0.0, 1.0], [*under, *under], [*over, *over]
    there = [_corner(place, count, top) for place, count in zip(places, over, strict=True)]
    back = [_corner(place, count, top) for place, count in zip(places, under, strict=True)]
    return " ".join([*there, *reversed(back)])


def _corner(place: float, count: int, top: int) -> str:
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * place
    return f"{_r(x)},{_r(_TOP + _PLOT - _PLOT * count / top)}"


def _row(place: int, stage: StageTimes) -> TimesRow:
    y, label = place * _ROW, said(stage.stage)
    human, machine = (_span_bar(label, s, y + dy) for s, dy in ((stage.human_s, 4.0), (stage.machine_s, 12.0)))
    return TimesRow(label, _r(y + 15), human, machine, stage.count)


def _span_bar(label: str, seconds: float, y: float) -> Bar:
    width = _along(seconds) - _NAMES if seconds > 0 else 0.0
    return Bar(label, lasting(seconds) if seconds > 0 else "none", _NAMES, _r(y), _r(max(width, 0.0)), 7.0)


def _along(seconds: float) -> float:
    """Where a duration lies on the logarithmic scale."""
    within = min(max(seconds, _SHORTEST_S), _LONGEST_S)
    return _NAMES + (WIDTH - _NAMES - _VALUES) * math.log(within) / math.log(_LONGEST_S)


def _rounded_up(count: int) -> int:
    """The next even number that is easy to read: 2, 4, 10, 20, 40, 100."""
    size = 1
    while True:
        for step in (2, 4, 10):
            if count <= step * size:
                return step * size
        size *= 10


def _r(number: float) -> float:
    return round(number, 1)
