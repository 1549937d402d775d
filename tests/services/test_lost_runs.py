"""Attempts whose run is gone are started again: a few times, with growing pauses, and never beside a living one."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import Halt, Stage, Wish
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Severity
from keyturn.errors import UnavailableError
from keyturn.ports import RunState
from tests.services.fleet import ALICE, Fleet


@pytest.fixture
def key(fleet: Fleet) -> IntegrationKey:
    """An integration whose rotation is running."""
    key = fleet.onboarded("acme")
    fleet.turning(key)
    return key


def run_is(fleet: Fleet, key: IntegrationKey, state: RunState, for_s: float = 0.0) -> None:
    """Have Prefect say so of the run that carries the attempt."""
    run = fleet.attempt(key).flow_run_id
    assert run
    fleet.runs.states[run], fleet.runs.for_s[run] = state, for_s


@pytest.mark.parametrize(
    ("state", "too_soon_s", "lost_s"),
    [
        (RunState.ENDED, None, 0),
        (RunState.UNKNOWN, None, 0),
        (RunState.RUNNING, 59, 60),
        (RunState.MOVING, 14 * 60, 15 * 60),
    ],
)
def test_a_run_that_nobody_carries(
    fleet: Fleet, key: IntegrationKey, state: RunState, too_soon_s: float | None, lost_s: float
) -> None:
    """Over, unknown, running without a sign of life, or never taken up: another one is started, bound and counted."""
    first = fleet.attempt(key)
    if too_soon_s is not None:
        run_is(fleet, key, state, too_soon_s)
        assert fleet.find_lost().restarted == ()
    run_is(fleet, key, state, lost_s)
    assert fleet.find_lost().restarted == (first.id,)
    again = fleet.attempt(key)
    assert (again.flow_run_id != first.flow_run_id, again.restarts) == (True, 1)
    assert fleet.find_lost().restarted == ()


def test_a_living_process_is_left_alone(fleet: Fleet, key: IntegrationKey) -> None:
    """However long it runs; when it dies, its lock goes with it, and its work is taken over."""
    process = fleet.another_ledger()
    process.hold(fleet.begun(fleet.attempt(key)))
    run_is(fleet, key, RunState.RUNNING, 3 * 86_400)
    assert fleet.find_lost().restarted == ()
    process._signs_of_life.end()
    assert fleet.find_lost().restarted == (fleet.attempt(key).id,)


def test_the_lock_of_an_older_execution_says_nothing(fleet: Fleet, key: IntegrationKey) -> None:
    """A process that was overtaken still lives, and the one that overtook it is dead."""
    process = fleet.another_ledger()
    process.hold(fleet.begun(fleet.attempt(key)))
    fleet.begun(fleet.attempt(key))
    run_is(fleet, key, RunState.RUNNING, 60)
    assert len(fleet.find_lost().restarted) == 1
    process._signs_of_life.end()


@pytest.mark.parametrize("clicked", [True, False])
def test_what_dies_again_and_again(fleet: Fleet, key: IntegrationKey, clicked: bool) -> None:  # noqa: FBT001  pytest's
    """Six times, after 1, 2, 4, 8 and 16 minutes more; then people are told, and after the click it is orphaned."""
    if clicked:
        fleet.clicked(fleet.begun(fleet.attempt(key)))
    began, minutes = fleet.clock.now(), []
    for _ in range(40):
        run_is(fleet, key, RunState.ENDED)
        found = fleet.find_lost()
        minutes += [(fleet.clock.now() - began).seconds // 60] * len(found.restarted)
        if found.stuck:
            break
        fleet.clock.move(minutes=1)
    assert minutes == [0, 1, 3, 7, 15, 31]
    assert (fleet.clock.now() - began).seconds // 60 == 32
    (notice,) = fleet.told(Event.ATTEMPT_STUCK, key)
    assert (notice.severity, notice.facts["restarts"]) == (Severity.ERROR, "6")
    assert fleet.attempt(key).halt is (Halt.ORPHANED if clicked else Halt.NONE)
    assert len(fleet.told(Event.ROTATION_ORPHANED, key)) == clicked
    fleet.find_lost()
    assert len(fleet.told(Event.ATTEMPT_STUCK, key)) == 1


def test_a_receipt_is_progress(fleet: Fleet, key: IntegrationKey) -> None:
    """The count begins anew with it, and so do the pauses."""
    for minutes in (0, 1, 2):
        fleet.clock.move(minutes=minutes)
        run_is(fleet, key, RunState.ENDED)
        assert fleet.find_lost().restarted
    assert fleet.attempt(key).restarts == 3
    fleet.done(fleet.begun(fleet.attempt(key)), Stage.PREFLIGHT)
    assert fleet.attempt(key).restarts == 0
    run_is(fleet, key, RunState.ENDED)
    assert fleet.find_lost().restarted


def test_a_suspended_run_is_woken_only_for_a_wish(fleet: Fleet, key: IntegrationKey) -> None:
    """It waits for people, for weeks if need be; but what a person wants of it must not wait for that."""
    fleet.asked(fleet.begun(fleet.attempt(key)), GateKind.GONG_ROTATION)
    run_is(fleet, key, RunState.SUSPENDED, 20 * 86_400)
    assert (fleet.find_lost().restarted, fleet.runs.resumes) == ((), [])
    fleet.ledger.wish(fleet.attempt(key).id, ALICE, Wish.LOST_SECRET, "closed the window")
    assert fleet.find_lost().restarted == ()
    assert fleet.runs.resumes == [fleet.attempt(key).flow_run_id]


def test_a_suspended_run_that_nothing_is_asked_for_is_woken(fleet: Fleet, key: IntegrationKey) -> None:
    """A Prefect that was restored has forgotten a resume that nobody owes any more; one that comes at once is early."""
    run_is(fleet, key, RunState.SUSPENDED, 59)
    assert (fleet.find_lost().restarted, fleet.runs.resumes) == ((), [])
    run_is(fleet, key, RunState.SUSPENDED, 60)
    assert fleet.find_lost().restarted == ()
    assert fleet.runs.resumes == [fleet.attempt(key).flow_run_id]


def test_a_wish_that_is_being_served_wakes_nobody(fleet: Fleet, key: IntegrationKey) -> None:
    """While people are asked for what the wish needs, waking the run would only ask them again, each minute."""
    run = fleet.begun(fleet.attempt(key))
    fleet.ledger.wish(run.attempt_id, ALICE, Wish.LOST_SECRET, "closed the window")
    fleet.asked(run, GateKind.APPROVE)
    run_is(fleet, key, RunState.SUSPENDED, 3600)
    assert (fleet.find_lost().restarted, fleet.runs.resumes) == ((), [])


def test_a_rollback_by_hand_wakes_nobody_until_it_may_be_too_late(fleet: Fleet, key: IntegrationKey) -> None:
    """StackOne's form is waited for; at the end of the grace the run looks whether the older secret is dead."""
    run = fleet.begun(fleet.attempt(key))
    ends_at = fleet.clicked(run)
    fleet.ledger.wish(run.attempt_id, ALICE, Wish.ROLL_BACK, "customers complain")
    fleet.asked(run, GateKind.STACKONE_FORM, stage=Stage.ROLL_BACK.value)
    run_is(fleet, key, RunState.SUSPENDED, 3600)
    assert (fleet.find_lost().restarted, fleet.runs.resumes) == ((), [])
    fleet.move_to(ends_at)
    fleet.find_lost()
    assert fleet.runs.resumes == [fleet.attempt(key).flow_run_id]


def test_a_halted_rotation_is_not_moved(fleet: Fleet, key: IntegrationKey) -> None:
    """Only a person's resume lets it go on; that starts a run at once."""
    fleet.ledger.halt(fleet.begun(fleet.attempt(key)), Halt.ORPHANED, "lost")
    run_is(fleet, key, RunState.ENDED)
    assert fleet.find_lost().restarted == ()
    resumed = fleet.rotating.resume(key, ALICE, "again")
    assert fleet.runs.states[resumed.flow_run_id or resumed.id] is RunState.MOVING


def test_prefect_is_away(fleet: Fleet, key: IntegrationKey) -> None:
    """What cannot be looked at is reported, the others are looked after, and an attempt without a run gets one."""
    other = fleet.onboarded("initech")
    fleet.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    with pytest.raises(UnavailableError):
        fleet.turning(other)
    fleet.clock.move(minutes=1)
    fleet.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    found = fleet.find_lost()
    assert found.problems == ("Prefect: cannot be reached",)
    assert found.restarted == (fleet.attempt(other).id,)
    run_is(fleet, key, RunState.ENDED)
    assert fleet.find_lost().restarted == (fleet.attempt(key).id,)
