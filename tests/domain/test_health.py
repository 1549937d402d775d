"""A condition is raised when it was seen twice in a row, and cleared on real recovery."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.health import (
    Cause,
    Condition,
    Drift,
    Health,
    Observation,
    Outcome,
    Subject,
    Transition,
    Turn,
    advance,
    progress,
    severity_of,
)
from keyturn.domain.notice import SEVERITIES, Event, Severity

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CAUSE = Cause.PROFILE_EDITED


def drift(cause: Cause = CAUSE, evidence: str = "it was edited") -> Drift:
    """Something seen."""
    return Drift(cause, evidence, "ask who did it")


def played(looks: str) -> tuple[Condition | None, list[Turn]]:
    """A condition after looks: x it is there, o it is not."""
    condition: Condition | None = None
    turns = []
    for minute, what in enumerate(looks):
        now = START + timedelta(minutes=minute)
        there = what == "x"
        condition, turn = advance(condition, seen=there, drift=drift() if there else None, now=now)
        turns += [turn] if turn else []
    return condition, turns


class Rounds:
    """One round after the other."""

    def __init__(self) -> None:
        self.conditions: dict[Cause, Condition] = {}
        self.now = START

    def round(self, *causes: Cause, unknown: Collection[Cause] = ()) -> list[tuple[Cause, Turn]]:
        """What a round raises and clears."""
        self.now += timedelta(minutes=15)
        known = list(self.conditions.values())
        changed, turned = progress(known, [drift(c) for c in causes], unknown, self.now)
        self.conditions |= {c.cause: c for c in changed}
        return [(t.condition.cause, t.turn) for t in turned]

    @property
    def raised(self) -> set[Cause]:
        """What stands."""
        return {c.cause for c in self.conditions.values() if c.raised}


@pytest.mark.parametrize(
    ("looks", "turns"),
    [
        ("ooo", []),
        ("x", []),
        ("xox", []),
        ("xoxoxoxo", []),
        ("xx", [Turn.RAISED]),
        ("xxxxx", [Turn.RAISED]),
        ("xxo", [Turn.RAISED]),
        ("xxoxo", [Turn.RAISED]),
        ("xxoo", [Turn.RAISED, Turn.CLEARED]),
        ("xxooxx", [Turn.RAISED, Turn.CLEARED, Turn.RAISED]),
    ],
)
def test_twice_in_a_row(looks: str, turns: list[Turn]) -> None:
    """Two looks in a row raise, two in a row clear, and nothing else does."""
    assert played(looks)[1] == turns


def test_since_is_when_it_was_raised() -> None:
    """Later sightings bring newer evidence, and leave since as it was."""
    condition, _ = played("xx")
    assert condition
    later, turn = advance(condition, seen=True, drift=drift(evidence="again"), now=START + timedelta(days=1))
    assert (later, turn) == (Condition(CAUSE, True, 0, START + timedelta(minutes=1), "again", "ask who did it"), None)


def test_what_is_unknown_stays_as_it_is() -> None:
    """A round that says nothing of a cause neither counts for it nor against it."""
    rounds = Rounds()
    assert rounds.round(CAUSE) == []
    assert rounds.round(unknown=[CAUSE]) == []
    assert rounds.round(CAUSE) == [(CAUSE, Turn.RAISED)]
    assert rounds.round() == []
    assert rounds.round(unknown=[CAUSE]) == []
    assert rounds.round() == [(CAUSE, Turn.CLEARED)]


def test_not_seen_counts_its_own_rounds() -> None:
    """NOT_SEEN is raised at once, since it is only said after several rounds, and cleared after two."""
    rounds = Rounds()
    assert rounds.round(Cause.NOT_SEEN) == [(Cause.NOT_SEEN, Turn.RAISED)]
    assert rounds.round() == []
    assert rounds.round() == [(Cause.NOT_SEEN, Turn.CLEARED)]


def test_a_vague_cause_is_not_raised_beside_a_precise_one() -> None:
    """While the connection is known to be down, failing accounts are no further alarm."""
    rounds = Rounds()
    rounds.round(Cause.CONNECTION_DOWN)
    rounds.round(Cause.CONNECTION_DOWN)
    for _ in range(3):
        assert rounds.round(Cause.ACCOUNTS_FAILING, Cause.SECRET_RESET, unknown=[Cause.CONNECTION_DOWN]) == []
    assert rounds.raised == {Cause.CONNECTION_DOWN}


def test_a_vague_cause_takes_over_when_the_precise_one_is_over() -> None:
    """Accounts that work again leave the secret that is refused, and that is raised then."""
    rounds = Rounds()
    rounds.round(Cause.CONNECTION_DOWN)
    rounds.round(Cause.CONNECTION_DOWN)
    assert rounds.round(Cause.SECRET_RESET) == []
    assert rounds.round(Cause.SECRET_RESET) == [(Cause.CONNECTION_DOWN, Turn.CLEARED)]
    assert rounds.round(Cause.SECRET_RESET) == [(Cause.SECRET_RESET, Turn.RAISED)]


def test_only_what_changed_is_given_back() -> None:
    """A healthy round over a healthy integration writes nothing."""
    assert progress([], [], (), START) == ([], [])
    stands = [Condition(CAUSE, True, 0, START, "it was edited", "ask who did it")]
    assert progress(stands, [drift()], (), START + timedelta(days=1)) == ([], [])


@pytest.mark.parametrize("cause", Cause)
def test_severity_is_allowed(cause: Cause) -> None:
    """Every cause is as urgent as a drift may be."""
    lowest, highest = SEVERITIES[Event.DRIFT_RAISED]
    assert severity_of(cause).reaches(lowest)
    assert highest.reaches(severity_of(cause))


def test_what_stops_the_connection_pages_somebody() -> None:
    """The causes that end a connection are critical."""
    paging = {c for c in Cause if severity_of(c) is Severity.CRITICAL}
    assert paging == {Cause.CONNECTION_DOWN, Cause.SECRET_RESET, Cause.SECRET_MISSING, Cause.PROFILE_GONE}


def test_health_in_words() -> None:
    """Never checked, the causes that stand, unknown, or ok: and unknown is never ok."""
    fine, lost = (Observation(Subject.PAIR, o, "", START) for o in (Outcome.OK, Outcome.UNKNOWN))
    stands = Transition(Turn.RAISED, Condition(CAUSE, True, 0, START, "", "")).condition
    assert Health().words == "never checked"
    assert Health([fine]).words == "ok"
    assert Health([fine, lost]).words == "unknown"
    assert Health([fine], [stands]).words == "profile_edited"
