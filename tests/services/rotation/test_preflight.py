"""When a rotation may begin, and what it takes up that another one left."""

from __future__ import annotations

from dataclasses import replace

from keyturn.domain.attempt import AttemptState, Stage, Terms
from keyturn.domain.gate import GateKind
from keyturn.errors import RefusedError, StageFailedError
from keyturn.sandbox.people import Pair
from tests.services.rotation.turned import Turned
from tests.services.world import World

COMPROMISED = Terms(compromised=True)
TUESDAYS = {"window": {"days": ["tue"], "from": "09:00", "until": "12:00", "timezone": "Europe/Berlin"}}


def onboarded(world: World, **rotation: object) -> Turned:
    """An onboarded integration whose manifest says this of rotations."""
    world.start(sealed=world.sealed(rotation=rotation))
    world.waits()
    world.approve()
    world.go_on()
    pair = world.create_integration()
    world.submit(pair)
    world.go_on()
    world.consent(world.link())
    world.go_on()
    return Turned(world, pair)


def test_outside_of_the_window(world: World) -> None:
    """It is refused with the moment when the window opens; a person may ignore that, and a leak does not wait."""
    turned = onboarded(world, **TUESDAYS)
    with world.refused(RefusedError, "it opens at 2026-03-03 08:00 UTC"):
        turned.start()
    assert turned.start(terms=Terms(ignore_window=True)).terms.ignore_window
    turned.at(GateKind.APPROVE)
    turned.abandon()
    at_once = turned.start(terms=COMPROMISED)
    turned.at(GateKind.GONG_ROTATION)
    assert at_once.terms.compromised


def test_the_window_closes_before_the_run(world: World) -> None:
    """The preflight looks again: the rotation ends before anybody was asked, and nothing was changed."""
    turned = onboarded(world, **TUESDAYS)
    turned.pass_time(hours=24)
    turned.start()
    turned.pass_time(hours=3)
    before = world.pointer
    with world.refused(StageFailedError, "its rotation window is closed"):
        turned.run()
    assert turned.attempt.state is AttemptState.ABANDONED
    assert world.pointer == before
    assert world.gates(GateKind.GONG_ROTATION) == []


def test_inside_a_running_grace(turned: Turned) -> None:
    """Gong would kill the older secret at once: no click is asked for before the grace is over."""
    turned.to_proof()
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)
    turned.abandon()
    turned.start()
    with turned.world.refused(StageFailedError, "runs until 2026-03-09 09:00 UTC"):
        turned.run()
    assert turned.attempt.state is AttemptState.ABANDONED
    turned.pass_time(days=6)
    turned.start()
    turned.at(GateKind.APPROVE)


def test_what_an_abandoned_rotation_left_is_taken_up(turned: Turned) -> None:
    """Gong shows a secret once: nobody clicks again, and the older one's grace is the one that runs already."""
    new = turned.handed_in()
    turned.run(Stage.STAGE_SECRET)
    ends_at = turned.world.pointer.grace_ends_at
    turned.abandon()
    turned.pass_time(hours=2)
    turned.start()
    turned.at(GateKind.APPROVE)
    turned.world.approve()
    turned.at(GateKind.PROOF)
    body = turned.world.receipt(Stage.GONG_ROTATION).body
    assert (body["adopted"], body["grace_ends_at"]) == (True, ends_at)
    assert body["grace_ends_earliest"] <= ends_at  # type: ignore[operator]
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)
    pointer = turned.world.pointer
    assert turned.secret_of(pointer.current) == new.client_secret
    assert pointer.previous
    assert turned.world.versions() == 2


def test_what_gong_refuses_is_not_taken_up(turned: Turned) -> None:
    """Somebody has turned the secret since: PENDING is dead, and a new click is asked for when the grace is over."""
    turned.handed_in()
    turned.run(Stage.STAGE_SECRET)
    turned.abandon()
    turned.world.secrets.append(turned.world.twins.rotate(turned.pair, 0).client_secret)
    turned.start()
    with turned.world.refused(StageFailedError, "the grace of the rotation before runs until"):
        turned.run()
    turned.pass_time(days=7)
    assert turned.to_click().question["in_use"]


def test_what_cannot_be_right_is_not_taken_up(turned: Turned) -> None:
    """A pair with another Client ID that Gong said nothing of: no rotation after it is halted by it again and again."""
    turned.to_click()
    new = turned.click()
    twins = turned.world.twins
    twins.options(twins.gong, token_error_body="text")
    turned.submit(replace(new, client_id="ANOTHER0CLIENT0ID000"))
    turned.abandon()
    turned.pass_time(days=7, hours=1)
    assert turned.to_click().kind is GateKind.GONG_ROTATION


def test_one_attempt_an_integration(turned: Turned) -> None:
    """No onboarding begins while a rotation runs, nor the other way round; a second start gives the first."""
    world = turned.world
    first = turned.start()
    assert turned.start("bob").id == first.id
    with world.refused(RefusedError, "a rotation is under way"):
        world.start(sealed=world.sealed("Other words"))
    with world.refused(RefusedError, "on other terms"):
        turned.start(terms=COMPROMISED)
    turned.abandon()
    world.start(sealed=world.sealed("Other words"))
    with world.refused(RefusedError, "an onboarding is under way"):
        turned.start()


def test_what_was_never_onboarded_is_not_rotated(world: World) -> None:
    """Neither before its onboarding is complete, nor when nobody knows it."""
    turned = Turned(world, Pair("", "", ""))
    with world.refused(RefusedError, "never onboarded to its end"):
        turned.asking.start(world.key, world.person("alice"), Terms())
    world.to_consent()
    with world.refused(RefusedError, "never onboarded to its end"):
        turned.start()


def test_a_compromised_secret_is_turned_although_a_pending_one_lies_there(turned: Turned) -> None:
    """Taking up what an abandoned rotation left would let the known secret live on until its grace ends."""
    turned.handed_in()
    turned.run(Stage.STAGE_SECRET)
    turned.abandon()
    gate = turned.to_click(COMPROMISED)
    assert gate.question["grace_hours"] == 0
    turned.submit(turned.click(0))
    assert not turned.works(turned.pair)
    turned.at(GateKind.PROOF)
