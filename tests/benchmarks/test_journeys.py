"""What is noted of decisions, on a system that does as it is told."""

from __future__ import annotations

import time
from random import Random

import pytest

from benchmarks.decision import journeys
from benchmarks.decision.journeys import Decision, Gate, decided, percentile, played, resumed_after_kill, summary

RANDOM = Random(1)  # noqa: S311  delays, not secrets


class Obedient:
    """A system whose next stage begins so long after each decision, or never."""

    name = "obedient"

    def __init__(self, after_s: float | None) -> None:
        self.after_s = after_s
        self.open: dict[tuple[str, Gate], float] = {}
        self.next: dict[tuple[str, Gate], float] = {}
        self.said: list[str] = []

    def begin(self, key: str) -> None:
        """The first gate opens."""
        self.open[key, Gate.APPROVE] = time.time()

    def opened(self, key: str, gate: Gate) -> float | None:
        """As it was noted."""
        return self.open.get((key, gate))

    def decide(self, key: str, gate: Gate) -> None:
        """What follows opens the second gate."""
        if self.after_s is not None:
            self.next[key, gate] = self.open[key, Gate.GONG_ADMIN] = time.time() + self.after_s

    def next_started(self, key: str, gate: Gate) -> float | None:
        """As it was noted."""
        return self.next.get((key, gate))

    def finish(self, key: str) -> None:
        """Noted."""
        self.said.append(f"finish {key}")

    def kill(self) -> None:
        """Noted."""
        self.said.append("kill")

    def start(self) -> None:
        """Noted."""
        self.said.append("start")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short delays, and a short minute."""
    monkeypatch.setattr(journeys, "LONGEST_DELAY_S", 0.02)
    monkeypatch.setattr(journeys, "LOST_AFTER_S", 0.1)


def test_a_journey_has_two_decisions_and_is_seen_through() -> None:
    """What is measured is from the decision to the moment that the system noted."""
    system = Obedient(0.25)
    found = played(system, ["a/b", "c/d"], RANDOM)
    assert found.finished == 2
    assert system.said == ["finish a/b", "finish c/d"]
    assert [d.gate for d in found.decisions] == [*Gate, *Gate]
    assert all(d.took_s == pytest.approx(0.25, abs=0.05) for d in found.decisions)


def test_a_decision_that_leads_to_nothing_is_lost_and_counted() -> None:
    """It has no time, is not in the median, and its journey is not said to be finished."""
    found = played(Obedient(None), ["a/b"], RANDOM).figures()
    assert found["approve"] == {"n": 1, "lost": 1}
    assert found["journeys_finished"] == 0


def test_a_decision_comes_as_long_after_the_gate_as_it_was_to() -> None:
    """Not as long after it was seen to be open."""
    system = Obedient(0.0)
    system.open["a/b", Gate.APPROVE] = time.time() - 0.3
    began = time.time()
    decided(system, "a/b", Gate.APPROVE, 0.5)
    assert system.next["a/b", Gate.APPROVE] - began == pytest.approx(0.2, abs=0.1)


def test_after_a_kill_the_decision_comes_first_and_the_start_second() -> None:
    """The clock runs from the start of the new process."""
    system = Obedient(0.0)
    found = resumed_after_kill(system, "a/b", 0.0)
    assert system.said == ["kill", "start"]
    assert found.took_s is not None


def test_the_summary_is_of_those_that_were_not_lost() -> None:
    """Median and 95th percentile between the nearest values, as NumPy has them by default."""
    times = [*(n / 10 for n in range(1, 21)), None]
    told = summary(Decision("a/b", Gate.APPROVE, 0, took) for took in times)
    assert told == {"n": 21, "lost": 1, "median_s": 1.05, "p95_s": 1.905, "longest_s": 2.0}
    assert percentile([7.0], 95) == 7.0
