"""A gated journey as every system plays it, and what is noted of its decisions.

All moments are seconds since the epoch on this machine's one clock: of the decision here, of what follows as the system
itself wrote it down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from statistics import median, quantiles
from typing import Any, Protocol

LONGEST_DELAY_S = 10.0
LOST_AFTER_S = 60.0
_PATIENCE_S = 180.0
_LOOK_EVERY_S = 0.2


class Gate(StrEnum):
    """Where a journey waits for a decision."""

    APPROVE = "approve"
    GONG_ADMIN = "gong_admin"


class System(Protocol):
    """Plays journeys.

    Attributes:
        name: for the table.
    """

    name: str

    def begin(self, key: str) -> None:
        """Begin a journey for `tenant/environment`."""

    def opened(self, key: str, gate: Gate) -> float | None:
        """When a gate opened; `None` while it has not."""

    def decide(self, key: str, gate: Gate) -> None:
        """Do what a person does at it: say yes, or hand the pair in."""

    def next_started(self, key: str, gate: Gate) -> float | None:
        """When the stage after the gate began; `None` while it has not."""

    def finish(self, key: str) -> None:
        """See the journey through to its tested connection."""

    def kill(self) -> None:
        """`kill -9` of what executes journeys."""

    def start(self) -> None:
        """Start it again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    Attributes:
        delay_s: how long after the gate opened it was given.
        took_s: from its first moment to the start of the next stage; `None` if that did not start.
    """

    key: str
    gate: Gate
    delay_s: float
    took_s: float | None


@dataclass
class Played:
    """What came of some journeys."""

    decisions: list[Decision] = field(default_factory=list)
    finished: int = 0

    def figures(self) -> dict[str, Any]:
        """Both gates."""
        found: dict[str, Any] = {gate.value: summary(d for d in self.decisions if d.gate is gate) for gate in Gate}
        return found | {"journeys_finished": self.finished}


def played(system: System, keys: Iterable[str], random: Random) -> Played:
    """Play journeys one after the other, each to its end, with decisions at random delays."""
    found = Played()
    for key in keys:
        system.begin(key)
        for gate in Gate:
            found.decisions.append(decided(system, key, gate, random.uniform(0, LONGEST_DELAY_S)))
            if found.decisions[-1].took_s is None:
                break
        else:
            system.finish(key)
            found.finished += 1
    return found


def decided(system: System, key: str, gate: Gate, delay_s: float) -> Decision:
    """Wait for a gate, then so long, decide, and look when the next stage starts."""
    opened = until(lambda: system.opened(key, gate), f"{key} asks at {gate}")
    time.sleep(max(0.0, opened + delay_s - time.time()))
    began = time.time()
    system.decide(key, gate)
    return Decision(key, gate, delay_s, _since(began, lambda: system.next_started(key, gate)))


def resumed_after_kill(system: System, key: str, parked_s: float) -> Decision:
    """Kill what executes a parked journey, decide, start it again; what counts is from that start to the next stage."""
    system.begin(key)
    until(lambda: system.opened(key, Gate.APPROVE), f"{key} asks")
    time.sleep(parked_s)  # so that it is parked by now: what is measured is the start
    system.kill()
    system.decide(key, Gate.APPROVE)
    began = time.time()
    system.start()
    return Decision(key, Gate.APPROVE, parked_s, _since(began, lambda: system.next_started(key, Gate.APPROVE)))


def summary(decisions: Iterable[Decision]) -> dict[str, Any]:
    """How many, median and 95th percentile in seconds, and how many led to nothing within a minute."""
    times = [decision.took_s for decision in decisions]
    known = sorted(took for took in times if took is not None)
    found: dict[str, Any] = {"n": len(times), "lost": len(times) - len(known)}
    if known:
        found |= {"median_s": round(median(known), 3), "p95_s": round(percentile(known, 95), 3)}
        found |= {"longest_s": round(known[-1], 3)}
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """One of them, between the two nearest values."""
    return values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[percent - 1]


def until(holds: Callable[[], float | None], what: str) -> float:
    """Look until there is something, and give it.

    Raises:
        TimeoutError: there is nothing for minutes, which is no figure but a fault.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while (found := holds()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_PATIENCE_S:.0f} s: {what}")
        time.sleep(_LOOK_EVERY_S)
    return found


def _since(began: float, moment: Callable[[], float | None]) -> float | None:
    while (found := moment()) is None:
        if time.time() - began > LOST_AFTER_S:
            return None
        time.sleep(_LOOK_EVERY_S)
    return found - began
