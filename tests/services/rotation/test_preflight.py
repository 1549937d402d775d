"""When a rotation may begin, and what it takes up that another one left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

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
    assert turned.attempt.state is AttemptState.REFUSED
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
    assert turned.attempt.state is AttemptState.REFUSED
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


@pytest.mark.parametrize("then", ["abandoned", "abandoned after a no"])
def test_a_lost_secret_is_not_forgotten_with_its_rotation(turned: Turned, then: str) -> None:
    """The click has been, so another one kills the secret in use: the next rotation has that approved, too."""
    world = turned.world
    turned.to_click()
    world.secrets.append(turned.click().client_secret)
    turned.asking.lost(world.key, world.person("grace"), "closed the window")
    turned.at(GateKind.APPROVE)
    if then == "abandoned after a no":
        world.reject("bob", "no")
        with world.refused(StageFailedError, "is lost"):
            turned.run()
    turned.abandon()
    turned.start()
    turned.at(GateKind.APPROVE)
    world.approve()
    assert turned.at(GateKind.APPROVE).question["second"]
    world.approve()
    assert turned.at(GateKind.GONG_ROTATION).question["second"]


@pytest.mark.parametrize("kept", [True, False], ids=["", "by an older keyturn"])
def test_a_lost_secret_of_a_rotation_before_and_a_no_to_a_second_click(turned: Turned, kept: bool) -> None:  # noqa: FBT001
    """Nobody is asked to click as if it were the first time: only the lost secret is asked for, should it turn up."""
    world = turned.world
    turned.to_click()
    began = world.clock.now()
    new = turned.click()
    turned.asking.lost(world.key, world.person("grace"), "closed the window")
    turned.at(GateKind.APPROVE)
    turned.abandon()
    turned.pass_time(hours=2)
    turned.start()
    turned.at(GateKind.APPROVE)
    world.approve()
    turned.at(GateKind.APPROVE)
    if not kept:
        with psycopg.connect(world.ports.settings.require_ledger_url()) as ledger:
            ledger.execute("UPDATE receipts SET body = body - 'lost_click' WHERE stage = 'preflight'")
    world.reject("bob", "look again")
    with world.refused(StageFailedError, "is lost"):
        turned.run()
    turned.asking.resume(world.key, world.person("alice"), "found it")
    gate = turned.at(GateKind.GONG_ROTATION)
    assert "declined" in str(gate.question["refused_because"])
    assert gate.question["clicked_since"] == (began.isoformat() if kept else "")
    turned.submit(new)
    turned.at(GateKind.PROOF)
    began = began if kept else gate.opened_at
    assert world.receipt(Stage.GONG_ROTATION).body["grace_ends_earliest"] == (began + timedelta(days=7)).isoformat()


def test_after_the_grace_of_a_lost_secret_a_click_is_as_any_other(turned: Turned) -> None:
    """The secret in use is dead by then, and there is nothing left that the click could kill."""
    turned.to_click()
    turned.world.secrets.append(turned.click().client_secret)
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window")
    turned.at(GateKind.APPROVE)
    turned.abandon()
    turned.pass_time(days=7)
    assert not turned.to_click().question["second"]


def test_what_was_disproven_is_not_taken_up_by_a_later_rotation(turned: Turned) -> None:
    """Not even when another rotation has begun and ended in between."""
    world = turned.world
    twins = world.twins
    turned.to_click()
    world.secrets.append(turned.click().client_secret)
    twins.options(twins.gong, token_error_body="text")
    turned.submit(replace(turned.pair, client_secret="not-a-secret-of-gong-at-all"))
    turned.at(GateKind.PROOF)
    world.reject("grace", "nobody gets in")
    turned.run()
    turned.abandon()
    turned.pass_time(days=8)
    for _ in range(2):
        turned.start()
        turned.at(GateKind.APPROVE)
        assert world.receipt(Stage.PREFLIGHT).body["adopt"] is None
        world.reject("bob", "not now")
        with world.refused(StageFailedError, "not now") as refused:
            turned.run()
        assert "keyturn rotate" in refused.value.remedy


def test_an_approval_that_took_its_time(turned: Turned) -> None:
    """Before anybody clicks, all that the click needs is looked at again; within the hour once is enough."""
    world = turned.world
    turned.start()
    turned.at(GateKind.APPROVE)
    first = world.receipt(Stage.PREFLIGHT)
    turned.pass_time(minutes=59)
    turned.at(GateKind.APPROVE)
    assert world.receipt(Stage.PREFLIGHT) == first
    turned.pass_time(days=3)
    (profile,) = world.twins.profiles()
    world.twins.stackone_admin.press(profile["id"], "disable")
    world.approve()
    with world.refused(StageFailedError, "is disabled"):
        turned.run()
    assert turned.attempt.state is AttemptState.REFUSED
    assert world.gates(GateKind.GONG_ROTATION) == []


def test_a_window_that_has_closed_keeps_nobody_from_the_rotation_under_way(world: World) -> None:
    """Whoever asks for it gets it; the window says when one may begin, and an approval has no hours."""
    turned = onboarded(world, **TUESDAYS)
    turned.pass_time(hours=24)
    first = turned.start()
    turned.at(GateKind.APPROVE)
    turned.pass_time(hours=30)
    assert turned.start().id == first.id
    world.approve()
    turned.at(GateKind.GONG_ROTATION)


def test_a_previous_that_was_left_is_marked_dead_in_its_time(turned: Turned) -> None:
    """A rotation abandoned in its grace leaves it behind; the next one finds that its time is over."""
    turned.to_proof()
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)
    turned.abandon()
    assert turned.world.pointer.previous
    turned.pass_time(days=6)
    turned.start()
    turned.at(GateKind.APPROVE)
    pointer = turned.world.pointer
    assert (pointer.previous, turned.secret_of(pointer.retired)) == (None, turned.pair.client_secret)


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
