"""Pictures of the fleet: what they count, and that they are counted once for everybody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from keyturn.domain.attempt import Halt, Stage
from keyturn.domain.fleet import FleetHealth, FleetState, StageTimes
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause, Outcome
from keyturn.ledger import pictures
from tests.ledger.booked import Booked


@pytest.fixture
def fleet(engine: Engine) -> Booked:
    """An empty fleet."""
    return Booked(engine)


def _counts(engine: Engine) -> list[str]:
    """From now on, a word for every time that somebody counts."""
    counted: list[str] = []

    def note(*said: Any) -> None:
        if "count(*) FILTER" in said[2]:
            counted.append("counted")

    event.listen(engine, "before_cursor_execute", note)
    return counted


def test_an_empty_fleet(fleet: Booked) -> None:
    """There is nothing to count, and that can be shown."""
    shown = fleet.book.pictures()
    assert (shown.at, shown.total, shown.overdue, shown.times, shown.graces) == (fleet.clock.now(), 0, 0, (), ())
    assert dict(shown.states) == dict.fromkeys(FleetState, 0)
    assert dict(shown.healths) == dict.fromkeys(FleetHealth, 0)
    assert dict(shown.ages) == dict.fromkeys((7, 30, 60, 90, 180, 365, 0), 0)


def test_what_is_counted(fleet: Booked) -> None:
    """Each integration counts once by state, health and age of its secret; by cause and by group as often as it has."""
    fleet.onboarded("a", every_days=400)
    fleet.clock.move(days=366)
    fleet.onboarded("b")
    fleet.clock.move(days=91)
    halted = fleet.turning(fleet.onboarded("c"))
    fleet.ledger.halt(halted, Halt.ORPHANED, "lost")
    waiting = fleet.turning(fleet.onboarded("d"))
    fleet.asked(waiting, GateKind.APPROVE)
    fleet.asked(waiting, GateKind.PROOF)
    fleet.registered("e")
    for key in (halted.key, waiting.key):
        fleet.raised(key, Cause.MANIFEST_CHANGED)
    fleet.raised(halted.key, Cause.MANIFEST_CHANGED, Cause.SECRET_RESET)
    fleet.looked(fleet.onboarded("f"), Outcome.OK)
    shown = fleet.book.pictures()
    states = {FleetState.HALTED: 1, FleetState.WAITING: 1, FleetState.MOVING: 0, FleetState.LIVE: 3}
    assert (shown.total, shown.states) == (6, {**states, FleetState.ENDED: 1})
    assert shown.healths == {
        FleetHealth.RAISED: 2,
        FleetHealth.UNKNOWN: 0,
        FleetHealth.NEVER: 3,
        FleetHealth.OK: 1,
    }
    assert shown.causes == {Cause.SECRET_RESET: 1, Cause.MANIFEST_CHANGED: 2}
    assert shown.ages == {7: 3, 30: 0, 60: 0, 90: 0, 180: 1, 365: 0, 0: 1}
    assert (shown.overdue, shown.waiting) == (2, {"gong_admin": 1})
    assert list(shown.states) == list(FleetState)
    assert list(fleet.book.pictures().ages) == list(shown.ages)


def test_counted_every_quarter_of_a_minute(fleet: Booked) -> None:
    """Less than 15 seconds old, one count serves everybody; then, or when the clock was put back, it is made anew."""
    fleet.onboarded("a")
    first = fleet.book.pictures()
    fleet.onboarded("b")
    counted = _counts(fleet.engine)
    fleet.clock.move(seconds=14.9)
    assert fleet.book.pictures() == fleet.another_book().pictures() == first
    assert counted == []
    fleet.clock.move(seconds=0.1)
    second = fleet.another_book().pictures()
    assert (second.total, second.at) == (2, fleet.clock.now())
    assert fleet.book.pictures() == second
    fleet.clock.move(hours=-1)
    assert fleet.book.pictures().at == fleet.clock.now()
    assert len(counted) == 2


def test_one_counts_for_all(fleet: Booked, threads: ThreadPoolExecutor) -> None:
    """Of eight that have nothing to show yet one counts, and the others show what it has counted."""
    fleet.onboarded("a")
    counted, start = _counts(fleet.engine), Barrier(8)

    def look() -> int:
        start.wait(10)
        return fleet.book.pictures().total

    assert [done.result(20) for done in [threads.submit(look) for _ in range(8)]] == [1] * 8
    assert len(counted) == 1


def test_who_has_something_to_show_does_not_wait(fleet: Booked) -> None:
    """While somebody is counting, others show what was counted last."""
    first = fleet.book.pictures()
    fleet.onboarded("a")
    fleet.clock.move(minutes=1)
    with fleet.engine.connect() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(pictures._LOCK)))
        assert fleet.book.pictures() == first
    assert fleet.book.pictures().total == 1


def test_history(fleet: Booked) -> None:
    """The first count of a day stands for it; days on which nobody looked are left out, and those over 30 days ago."""
    fleet.onboarded("a")
    first = fleet.book.pictures()
    fleet.onboarded("b")
    fleet.clock.move(hours=1)
    assert [(at, states[FleetState.LIVE]) for at, states in fleet.book.pictures().history] == [(first.at, 1)]
    fleet.clock.move(days=2)
    third = fleet.book.pictures()
    live = [(at, states[FleetState.LIVE]) for at, states in third.history]
    assert live == [(first.at, 1), (third.at, 2)]
    assert list(third.history[0][1]) == list(FleetState)
    fleet.clock.move(days=29)
    assert [at for at, _ in fleet.book.pictures().history] == [third.at, fleet.clock.now()]


def test_how_long_stages_take(fleet: Booked) -> None:
    """Of each stage the median time of people and of the machine: people are waited for while a gate asks them."""
    for human_s in (7200, 600, 3600):
        run = fleet.started(f"tenant-{human_s}")
        fleet.clock.move(seconds=60)
        fleet.done(run, Stage.REGISTER)
        fleet.clock.move(seconds=10)
        gate = fleet.asked(run, GateKind.APPROVE)
        fleet.clock.move(seconds=human_s)
        fleet.closed(run, gate)
        fleet.clock.move(seconds=20)
        fleet.done(run, Stage.APPROVE)
        fleet.clock.move(seconds=5)
        fleet.done(run, Stage.GONG_ADMIN)
    assert fleet.book.pictures().times == (
        StageTimes(Stage.REGISTER, 0.0, 60.0, 3),
        StageTimes(Stage.APPROVE, 3600.0, 30.0, 3),
        StageTimes(Stage.GONG_ADMIN, 0.0, 5.0, 3),
    )
    fleet.clock.move(days=91)
    assert fleet.book.pictures().times == ()


def test_running_graces(fleet: Booked) -> None:
    """The graces that end next, at most twenty; what is over is none."""
    over = fleet.turning(fleet.onboarded("over"))
    ends = fleet.clicked(over, hours=1)
    fleet.clock.move(hours=2)
    runs = [fleet.turning(fleet.onboarded(f"t{n:02}")) for n in range(21)]
    for hours, run in enumerate(reversed(runs), 1):
        fleet.clicked(run, hours)
    shown = fleet.book.pictures().graces
    assert [key for key, _ in shown] == [run.key for run in reversed(runs)][:20]
    assert shown[0][1] == fleet.clock.now() + timedelta(hours=1)
    assert ends < fleet.clock.now()
