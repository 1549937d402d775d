"""One sweep over a fleet: who is started, who waits, and that nothing is started twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from keyturn.domain.attempt import AttemptKind, AttemptState, Halt, Stage, Terms
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Severity
from keyturn.domain.sweep import What
from keyturn.errors import UnavailableError
from tests.services.fleet import ALICE, Fleet


def rotations(fleet: Fleet, *keys: IntegrationKey) -> list[int]:
    """How many rotations each integration ever had."""
    return [sum(a.kind is AttemptKind.ROTATION for a in fleet.ledger.attempts(key)) for key in keys]


def at_once(*calls: Callable[[], object]) -> Sequence[object]:
    """Do things at the same moment."""
    together = Barrier(len(calls))

    def one(call: Callable[[], object]) -> object:
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def test_canaries_go_first_and_no_more_at_once_than_allowed(fleet: Fleet) -> None:
    """The others follow when the canary is verified, one after the other; a plan alone starts nothing."""
    canary = fleet.onboarded("zoo", canary=True)
    others = fleet.onboarded("acme"), fleet.onboarded("initech")
    fleet.clock.move(days=89)
    assert fleet.sweep.run(2).started == ()
    fleet.clock.move(days=1)
    assert [e.key for e in fleet.sweep.plan(2) if e.what is What.START] == [canary]
    assert fleet.runs.states == {}
    assert fleet.sweep.run(2).started == (canary,)
    assert fleet.attempt(canary).requester == "system:sweep"
    assert fleet.sweep.run(2).started == ()
    fleet.done(fleet.begun(fleet.attempt(canary)), Stage.VERIFY)
    assert fleet.sweep.run(1).started == others[:1]
    assert fleet.sweep.run(1).started == ()
    assert fleet.sweep.run(2).started == others[1:]
    assert rotations(fleet, canary, *others) == [1, 1, 1]


def test_the_first_failure_stops_it(fleet: Fleet) -> None:
    """While one is halted none is started, and that is told once a day; to abandon it resolves nothing."""
    failed, other = fleet.onboarded("acme"), fleet.onboarded("initech")
    run = fleet.turning(failed)
    fleet.ledger.halt(run, Halt.ORPHANED, "lost")
    fleet.clock.move(days=91)
    for _ in range(2):
        swept = fleet.sweep.run(5)
        assert swept.started == ()
        assert {e.what for e in swept.entries} == {What.STOPPED}
    (notice,) = fleet.told(Event.SWEEP_STOPPED)
    assert (notice.severity, notice.facts["waiting"]) == (Severity.ERROR, "2")
    fleet.rotating.abandon(failed, ALICE, "no")
    assert fleet.sweep.run(5).started == ()
    fleet.clock.move(days=1)
    fleet.sweep.run(5)
    assert len(fleet.told(Event.SWEEP_STOPPED)) == 2
    again = fleet.turning(failed)
    fleet.ledger.finish(again, AttemptState.REFUSED, "preflight: the grace of the rotation before runs")
    assert fleet.sweep.run(5).started == (), "a new try that was refused has resolved nothing"
    fleet.turning(failed)
    assert fleet.sweep.run(5).started == (other,)


def test_a_refused_preflight_is_told_and_tried_once_a_day(fleet: Fleet) -> None:
    """Not each hour in silence: whoever is told can read why, and the day after it is tried again."""
    key = fleet.onboarded("acme")
    fleet.clock.move(days=91)
    assert fleet.sweep.run(5).started == (key,)
    fleet.ledger.finish(fleet.begun(fleet.attempt(key)), AttemptState.REFUSED, "preflight: its profile is gone")
    (notice,) = fleet.told(Event.ATTEMPT_REFUSED, key)
    assert notice.severity is Severity.ERROR
    fleet.clock.move(hours=19)
    (entry,) = fleet.sweep.run(5).entries
    assert (entry.what, f"keyturn status {key}" in entry.why) == (What.WAITS, True)
    fleet.clock.move(hours=1)
    assert fleet.sweep.run(5).started == (key,)


def test_a_manifest_that_nobody_has_approved_changes_no_schedule(fleet: Fleet) -> None:
    """What is due is said by the manifest that was applied, as `keyturn status` says it; not by one just registered."""
    fleet.onboarded("acme", every_days=30)
    fleet.registered("acme", every_days=365)
    fleet.clock.move(days=31)
    assert [e.what for e in fleet.sweep.plan(5)] == [What.START]


def test_a_promoted_secret_is_not_due_again(fleet: Fleet) -> None:
    """Also when its rotation was abandoned before the grace had ended: the next one is due in ninety days."""
    key = fleet.onboarded("acme")
    fleet.clock.move(days=90)
    assert fleet.sweep.run(5).started == (key,)
    run = fleet.begun(fleet.attempt(key))
    fleet.clicked(run)
    fleet.done(run, Stage.VERIFY, Stage.PROMOTE)
    fleet.rotating.abandon(key, ALICE, "I know better")
    (entry,) = fleet.sweep.plan(5)
    assert (entry.what, entry.due_at) == (
        What.NOT_DUE,
        fleet.ledger.receipts(run.attempt_id)[-1].at.replace(month=8, day=29),
    )
    assert fleet.sweep.run(5).started == ()


def test_one_that_cannot_be_started_stops_nobody_else(fleet: Fleet) -> None:
    """It is reported; its attempt is there, and the watch finds it without a run."""
    first, second = fleet.onboarded("acme"), fleet.onboarded("initech")
    fleet.clock.move(days=90)
    fleet.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    swept = fleet.sweep.run(5)
    assert swept.problems == ("Prefect: cannot be reached",)
    assert swept.started == (second,)
    fleet.clock.move(minutes=1)
    assert fleet.find_lost().restarted == (fleet.attempt(first).id,)


def test_two_sweeps_at_once(fleet: Fleet) -> None:
    """Each integration gets one attempt and one run, and is counted as started once."""
    keys = [fleet.onboarded(f"tenant-{n}") for n in range(5)]
    fleet.clock.move(days=90)
    swept = at_once(*[lambda: fleet.sweep.run(5)] * 3)
    assert sorted(key for one in swept for key in one.started) == keys  # type: ignore[attr-defined]
    assert [p for one in swept for p in one.problems] == []  # type: ignore[attr-defined]
    assert rotations(fleet, *keys) == [1] * 5
    assert len(fleet.runs.states) == 5


def test_sweep_watch_and_a_person_at_once(fleet: Fleet) -> None:
    """Whoever comes first, there is one attempt and one run (acceptance 3)."""
    key = fleet.onboarded("acme")
    fleet.clock.move(days=90)

    def person() -> object:
        return fleet.rotating.start(key, ALICE, Terms())

    for _ in range(3):
        at_once(
            lambda: fleet.sweep.run(5), fleet.find_lost, person, lambda: fleet.sweep.run(5), fleet.find_lost, person
        )
        assert rotations(fleet, key) == [1]
        assert len(fleet.runs.states) == 1
        fleet.clock.move(minutes=2)
    run = fleet.begun(fleet.attempt(key))
    fleet.done(run, Stage.PROMOTE)
    fleet.ledger.finish(run, AttemptState.COMPLETED, "")
    at_once(lambda: fleet.sweep.run(5), fleet.find_lost)
    assert rotations(fleet, key) == [1]
