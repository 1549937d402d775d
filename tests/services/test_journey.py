"""Where an integration stands, stage by stage, in words for people."""

from __future__ import annotations

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind
from keyturn.errors import StageFailedError
from keyturn.services.journey import Journey, StepState, journey, waits_for
from tests.services.world import World

DONE, NEXT, WAITING, STOPPED, LATER = (
    StepState.DONE,
    StepState.NEXT,
    StepState.WAITING,
    StepState.STOPPED,
    StepState.LATER,
)


def now(world: World) -> Journey:
    """The journey at this moment."""
    return journey(world.ports.ledger, world.key)


def states(world: World) -> list[StepState]:
    """The states of all stages."""
    return [step.state for step in now(world).steps]


def says(world: World, stage: Stage) -> str:
    """What is said of one stage."""
    return next(step.says for step in now(world).steps if step.stage is stage)


def test_never_started(world: World) -> None:
    """Without an attempt everything is still to come."""
    assert (now(world).attempt, states(world)) == (None, [LATER] * 8)


def test_just_started(world: World) -> None:
    """The stage that the run is at is the next one."""
    world.start()
    assert states(world) == [NEXT, *[LATER] * 7]


def test_waiting_for_people(world: World) -> None:
    """At a gate the journey says who must do what, with the command for it."""
    world.to_approval()
    assert states(world) == [DONE, WAITING, *[LATER] * 6]
    assert says(world, Stage.APPROVE) == f"1 approval by one of approver: keyturn approve {world.key}"
    world.approve()
    world.waits()
    assert f"keyturn submit {world.key}" in says(world, Stage.GONG_ADMIN)
    assert len(now(world).gates) == 1


def test_two_approvals_wanted(world: World) -> None:
    """The number counts down."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    world.waits()
    assert says(world, Stage.APPROVE).startswith("2 approvals by")
    world.approve()
    assert says(world, Stage.APPROVE).startswith("1 approval by")


def test_waiting_for_the_form(world: World) -> None:
    """Whoever fills in StackOne's form is told how to see the pair."""
    world.to_form()
    assert f"keyturn reveal {world.key}" in says(world, Stage.CREATE_PROFILE)


def test_waiting_for_the_consent(world: World) -> None:
    """At the consent the journey says what became of the last link."""
    world.to_consent()
    assert waits_for(world.gate(GateKind.CONSENT), world.key).endswith(f"keyturn link {world.key}")
    world.consent(world.link(), approve=False)
    world.waits()
    assert "(last link: cancelled: access_denied" in says(world, Stage.LINK_ACCOUNT)


def test_completed(world: World) -> None:
    """At the end every stage says what it came to."""
    world.completed()
    assert states(world) == [DONE] * 8
    assert says(world, Stage.REGISTER) == f"digest {world.sealed().digest[:12]}"
    assert says(world, Stage.APPROVE) == "by userpass-bob"
    assert says(world, Stage.FETCH_SECRET) == "version 1, probe: valid"
    assert says(world, Stage.STORE_SECRET) == "version 1 is current"
    assert says(world, Stage.CREATE_PROFILE).endswith(" by api")
    assert says(world, Stage.LINK_ACCOUNT) == f"account {world.twins.accounts()[0]['id']}"
    assert says(world, Stage.TEST_CONNECTION) == "L0 passed, L1 passed, L2 passed, L3 passed"


def test_rejected(world: World) -> None:
    """A rejected attempt stopped at its gate, and goes no further."""
    world.to_approval()
    world.reject()
    with world.refused(StageFailedError):
        world.run()
    assert states(world) == [DONE, STOPPED, *[LATER] * 6]
    assert now(world).gates == ()


def test_newest_attempt_counts(world: World) -> None:
    """After a completed attempt the journey is the next one's."""
    world.completed()
    world.start()
    assert states(world)[0] is NEXT
