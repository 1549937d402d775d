"""What the watch looks after: owed resumes, gates that settle themselves, and questions grown old."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind
from keyturn.domain.schedule import after_working_days
from keyturn.errors import StageFailedError, UnavailableError
from keyturn.ports import RunState
from keyturn.services.start import abandon
from tests.services.world import World


@pytest.fixture
def ledger_url(url: str) -> str:
    """A ledger of the test's own: the watch looks at all of it."""
    return url


def test_nothing_to_do(world: World) -> None:
    """With all gates open and nothing come about, nobody is woken."""
    world.to_approval()
    tick = world.tick()
    assert (tick.woken, tick.rearmed, tick.problems) == ((), (), ())
    assert world.runs.resumes == []


def test_owed_resume_is_repeated(world: World) -> None:
    """A resume that Prefect did not take is asked for again until it is taken, and not after that."""
    gate = world.to_approval()
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    assert not world.approve().resumed
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    assert world.tick().problems == ("Prefect: cannot be reached",)
    assert world.tick().woken == (gate.id,)
    assert world.run_state is RunState.MOVING
    assert world.tick().woken == ()
    assert world.waits().kind is GateKind.GONG_ADMIN


def test_owed_resume_of_a_moving_run(world: World) -> None:
    """A run that has not suspended yet is left alone, and woken once it has."""
    world.to_approval()
    world.run_is(RunState.MOVING)
    world.approve()
    assert world.tick().woken == ()
    assert len(world.owed()) == 1
    world.run_is(RunState.SUSPENDED)
    assert len(world.tick().woken) == 1
    assert world.owed() == []


@pytest.mark.parametrize("state", [RunState.ENDED, RunState.UNKNOWN])
def test_decision_after_the_run_is_over(world: World, state: RunState) -> None:
    """A decision that finds its run dead gets another run, once."""
    gate = world.to_approval()
    before = world.run_id
    world.run_is(state)
    world.approve()
    assert world.tick().woken == (gate.id,)
    assert world.run_id != before
    world.run_is(RunState.ENDED)
    assert world.tick().woken == ()
    assert len(world.runs.states) == 2


def test_rejection_after_the_run_is_over(world: World) -> None:
    """A rejection that finds its run dead still ends the attempt."""
    world.to_approval()
    world.run_is(RunState.ENDED)
    world.reject("bob", "no")
    world.tick()
    with world.refused(StageFailedError):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_nothing_is_owed_to_an_ended_attempt(world: World) -> None:
    """When the attempt is over, its decisions wake nobody."""
    world.to_approval()
    world.run_is(RunState.MOVING)
    world.approve()
    assert len(world.owed()) == 1
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "no more")
    assert world.owed() == []
    assert world.tick().woken == ()


def test_consent_wakes_the_run(world: World) -> None:
    """A consent that is given while the run is suspended wakes it, and it completes."""
    gate = world.to_consent()
    link = world.link()
    assert world.tick().woken == ()
    world.consent(link)
    assert world.tick().woken == (gate.id,)
    assert world.run_state is RunState.MOVING
    assert world.ends().proven


def test_consent_without_an_active_account(world: World) -> None:
    """A consent whose account does not work wakes nobody again and again; when it works, it does."""
    world.to_consent()
    world.consent(world.link())
    account_id = world.twins.accounts()[0]["id"]
    world.twins.account_is(account_id, "error")
    assert world.tick().woken == ()
    world.twins.account_is(account_id, "active")
    assert len(world.tick().woken) == 1


@pytest.mark.parametrize("approve", [True, False])
def test_failed_consent_wakes_nobody(world: World, approve: bool) -> None:  # noqa: FBT001  a parameter of pytest's
    """A link that expired or was cancelled leaves the run asleep."""
    world.to_consent()
    link = world.link()
    if approve:
        world.twins.advance(2000)
    world.consent(link, approve=approve)
    assert world.tick().woken == ()


def test_profile_made_by_hand_wakes_the_run(world: World) -> None:
    """A profile that appears while the run is suspended wakes it."""
    gate = world.to_form()
    assert world.tick().woken == ()
    world.fill_in_stackone("Another name")
    assert world.tick().woken == ()
    world.fill_in_stackone()
    assert world.tick().woken == (gate.id,)
    assert world.waits().kind is GateKind.CONSENT


def test_watch_itself_decides_nothing(world: World) -> None:
    """The watch only wakes: the gate stays open, and the run writes the receipt."""
    world.to_form()
    world.fill_in_stackone()
    world.tick()
    assert world.gate(GateKind.STACKONE_FORM).decisions == ()
    assert Stage.CREATE_PROFILE not in world.stages


def test_old_questions_are_asked_afresh(world: World) -> None:
    """A question nobody answered in fourteen working days is asked anew; the run is not failed for it."""
    old = world.to_approval()
    world.clock.move(days=17)
    assert world.tick().rearmed == ()
    world.clock.move(days=1)
    (fresh,) = world.tick().rearmed
    assert (fresh != old.id, world.gate(GateKind.APPROVE).id) == (True, fresh)
    assert world.gate(GateKind.APPROVE).rearm_at == after_working_days(world.clock.now(), 14)
    assert world.run_state is RunState.SUSPENDED
    assert world.approve().resumed


def test_failing_look_stops_nobody_else(new_world: Callable[..., World]) -> None:
    """A look at StackOne that fails is reported, and the other integrations are looked after all the same."""
    first, second = new_world(), new_world()
    first.runs = second.runs
    first.to_consent()
    first.consent(first.link())
    gate = second.to_approval()
    second.run_is(RunState.MOVING)
    second.approve()
    second.run_is(RunState.SUSPENDED)
    first.twins.fault(first.twins.stackone, "GET /connect_sessions/*", "status", status=500)
    tick = second.tick()
    assert tick.woken == (gate.id,)
    assert len(tick.problems) == 1
    assert "failed with 500" in tick.problems[0]
    assert second.tick().woken == (first.gate(GateKind.CONSENT).id,)


def test_attempt_without_a_run(world: World) -> None:
    """An open gate of an attempt that no run carries is left to whoever starts one."""
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    with world.refused(UnavailableError):
        world.start()
    tick = world.tick()
    assert (tick.woken, tick.problems) == ((), ())
