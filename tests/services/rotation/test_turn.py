"""The click in Gong: what is asked, which secrets are taken, when it may be asked for, and if the secret is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from keyturn.domain.attempt import AttemptState, Halt, Stage, Terms, Wish
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.notice import Event
from keyturn.domain.rotation import RotationState
from keyturn.errors import CredentialRefusedError, GateClosedError, NotPermittedError, RefusedError, StageFailedError
from keyturn.sandbox.people import Pair
from keyturn.services.intake import Told
from tests.services.rotation.turned import Turned
from tests.services.told import told
from tests.services.world import World

WEEK = timedelta(days=7)
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


def abandon(turned: Turned) -> None:
    """`keyturn rotate abandon`."""
    turned.asking.abandon(turned.world.key, turned.world.person("alice"), "not now")


@contextmanager
def silent_gong(turned: Turned) -> Iterator[None]:
    """While a secret is handed in Gong says nothing of it; the worker hears more."""
    gong = turned.world.twins.gong
    turned.world.twins.options(gong, token_error_body="ip_rejected")
    yield
    turned.world.twins.options(gong, token_error_body="oauth")


# --- which secret is taken


def test_wrong_at_the_hand_in(turned: Turned) -> None:
    """Nothing is kept of a wrong pair, the gate stays open, and the right one is taken afterwards."""
    gate = turned.to_click()
    new = turned.click()
    refused = turned.world.refused
    with refused(CredentialRefusedError, "Gong does not accept this pair"):
        turned.submit(replace(new, client_secret=new.client_secret[:-3]))
    with refused(CredentialRefusedError, "Gong does not accept this pair"):
        turned.submit(replace(new, client_id="ANOTHER0CLIENT0ID000"))
    with refused(CredentialRefusedError, "this is the secret that is in use already"):
        turned.submit(turned.pair)
    assert (turned.world.gate(GateKind.GONG_ROTATION).id, turned.world.versions()) == (gate.id, 1)
    turned.submit(new)
    assert turned.world.versions() == 2


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda new: replace(new, client_secret=new.client_secret[:-3]), "Gong does not accept this pair"),
        (lambda new: replace(new, client_id="ANOTHER0CLIENT0ID000"), "the Client ID is another one"),
    ],
    ids=["garbled", "another client"],
)
def test_wrong_as_the_worker_sees(turned: Turned, spoil: Callable[[Pair], Pair], why: str) -> None:
    """It is asked for again with the reason, the refused pair is not taken twice, and the right one goes on."""
    first = turned.to_click()
    new = turned.click()
    with silent_gong(turned):
        turned.submit(spoil(new))
    gate = turned.at(GateKind.GONG_ROTATION)
    assert gate.id != first.id
    assert why in str(gate.question["refused_because"])
    assert (turned.world.gates(GateKind.GONG_ROTATION)[0].state, turned.state) == (
        GateState.VOID,
        RotationState.AWAITING_GONG,
    )
    with silent_gong(turned), turned.world.refused(CredentialRefusedError, "Gong refused before"):
        turned.submit(spoil(new))
    turned.submit(new)
    turned.at(GateKind.PROOF)
    assert turned.world.versions() == 3


def test_the_grace_of_a_click_whose_secret_came_late(turned: Turned) -> None:
    """A wrong secret proves that the click had been: the grace began then, and not when the right one came."""
    turned.to_click()
    turned.pass_time(hours=5)
    new = turned.click()
    first = turned.world.clock.now()
    with silent_gong(turned):
        turned.submit(replace(new, client_secret=new.client_secret[:-3]))
    turned.at(GateKind.GONG_ROTATION)
    turned.pass_time(days=3)
    turned.submit(new)
    turned.at(GateKind.PROOF)
    body = turned.world.receipt(Stage.GONG_ROTATION).body
    assert body["grace_ends_earliest"] == (first - timedelta(hours=1) + WEEK).isoformat()
    assert body["grace_ends_at"] == (turned.world.clock.now() + WEEK).isoformat()


def test_declined_after_a_refused_secret(turned: Turned) -> None:
    """The click has been, so a no is no end: the secret in use dies. Somebody is paged, and resume asks again."""
    turned.to_click()
    new = turned.click()
    with silent_gong(turned):
        turned.submit(replace(new, client_secret=new.client_secret[:-3]))
    turned.at(GateKind.GONG_ROTATION)
    turned.world.reject("grace", "I closed the window")
    with turned.world.refused(StageFailedError, "was declined after a wrong one had come"):
        turned.run()
    assert (turned.attempt.state, turned.attempt.halt) == (AttemptState.ACTIVE, Halt.ORPHANED)
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "it is in the clipboard")
    gate = turned.at(GateKind.GONG_ROTATION)
    assert gate.question["clicked_since"] == turned.world.clock.now().isoformat(), (
        "what is known of the click stays known"
    )


def test_declined_before_the_click(turned: Turned) -> None:
    """Nothing has happened yet, so the rotation ends, and another one may begin."""
    turned.to_click()
    turned.world.reject("grace", "not this week")
    with turned.world.refused(StageFailedError, "not this week"):
        turned.run()
    assert (turned.attempt.state, turned.attempt.halt) == (AttemptState.REJECTED, Halt.NONE)
    turned.start()
    turned.at(GateKind.APPROVE)


# --- the grace


@pytest.mark.parametrize(
    ("told_of", "began_hours_ago", "earliest_hours", "latest_hours"),
    [
        (lambda _: Told(), 1, 167, 168),
        (lambda now: Told(clicked_at=now - timedelta(hours=3), grace_hours=48), 3, 45, 45),
    ],
    ids=["nothing", "click and hours"],
)
def test_what_is_told_moves_both_ends_of_the_grace(
    turned: Turned, told_of: Callable[..., Told], began_hours_ago: int, earliest_hours: int, latest_hours: int
) -> None:
    """Without a word the click counts as within the hour, and the grace as the one that was asked for."""
    turned.to_click()
    turned.pass_time(hours=4)
    now = turned.world.clock.now()
    turned.submit(turned.click(), told_of(now))
    turned.run(Stage.STAGE_SECRET)
    body = turned.world.receipt(Stage.GONG_ROTATION).body
    assert (body["grace_began"], body["grace_ends_earliest"], body["grace_ends_at"]) == (
        (now - timedelta(hours=began_hours_ago)).isoformat(),
        (now + timedelta(hours=earliest_hours)).isoformat(),
        (now + timedelta(hours=latest_hours)).isoformat(),
    )
    assert turned.world.pointer.grace_ends_at == body["grace_ends_at"]


def test_a_grace_that_gong_does_not_offer(turned: Turned) -> None:
    """More than a week cannot have been chosen, and the hand-in can be repeated."""
    turned.to_click()
    new = turned.click()
    with turned.world.refused(RefusedError, "0 to 168 hours"):
        turned.submit(new, Told(grace_hours=169))
    turned.submit(new)


# --- the new secret is lost


def lose(turned: Turned) -> Gate:
    """Up to the approval of a second click; the first one's secret is gone."""
    turned.to_click()
    turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window too early")
    return turned.at(GateKind.APPROVE)


def second_click(turned: Turned) -> Pair:
    """The second click is approved and done, and its secret handed in."""
    lose(turned)
    turned.world.approve()
    assert turned.at(GateKind.GONG_ROTATION).question["second"]
    assert turned.works(turned.pair)
    new = turned.click()
    turned.submit(new)
    return new


def test_a_second_click_has_to_be_approved(turned: Turned) -> None:
    """By somebody else than the requester, who sees what it does; until then nobody is asked for a secret."""
    gate = lose(turned)
    assert gate.question["second"]
    assert "KILLS THE SECRET IN USE AT ONCE" in str(gate.question["warning"])
    assert [g.state for g in turned.world.gates(GateKind.GONG_ROTATION)] == [GateState.VOID]
    with turned.world.refused(GateClosedError):
        turned.submit(turned.pair)
    with turned.world.refused(NotPermittedError, "cannot approve it"):
        turned.world.approve("alice")
    turned.world.approve("bob")
    gate = turned.at(GateKind.GONG_ROTATION)
    assert (gate.question["second"], turned.attempt.wish) == (True, Wish.NONE)


def test_a_second_click_kills_the_secret_in_use(turned: Turned) -> None:
    """It is dead at once, so there is no way back and no PREVIOUS; the newest is applied at once and completes."""
    new = second_click(turned)
    assert not turned.works(turned.pair)
    turned.at(GateKind.PROOF)
    with turned.world.refused(RefusedError, "has been dead"):
        turned.asking.roll_back(turned.world.key, turned.world.person("alice"), "why not")
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)
    pointer = turned.world.pointer
    assert pointer.previous is None
    assert turned.secret_of(pointer.current) == new.client_secret
    turned.pass_time(days=6)
    assert turned.run() is None
    assert turned.attempt.state is AttemptState.COMPLETED


def test_a_second_click_that_is_rejected(turned: Turned) -> None:
    """The secret in use will die all the same, so somebody is paged; resume asks for the approval again."""
    lose(turned)
    turned.world.reject("bob", "not on a Friday")
    with turned.world.refused(StageFailedError, "the secret that the first one made is lost"):
        turned.run()
    assert (turned.attempt.halt, turned.attempt.wish) == (Halt.ORPHANED, Wish.LOST_SECRET)
    assert told(turned.world, Event.ROTATION_ORPHANED)
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "it is Monday")
    assert turned.at(GateKind.APPROVE).question["second"]


def test_a_lost_secret_that_is_found_in_time(turned: Turned) -> None:
    """Handed in before the run has asked for a second click: there is none, and the way back stays open."""
    turned.to_click()
    new = turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "where is it")
    turned.submit(new)
    turned.at(GateKind.PROOF)
    assert turned.attempt.terms.can_go_back
    assert turned.attempt.wish is Wish.NONE


def test_who_may_call_a_secret_lost(turned: Turned) -> None:
    """Those who were asked for it and operators, while it is asked for."""
    turned.start()
    turned.run()
    with turned.world.refused(GateClosedError, "nobody waits for a new secret"):
        turned.asking.lost(turned.world.key, turned.world.person("grace"), "too early")
    turned.world.approve()
    turned.run()
    with turned.world.refused(NotPermittedError, "was not asked for the secret"):
        turned.asking.lost(turned.world.key, turned.world.person("bob"), "not mine")
    turned.asking.lost(turned.world.key, turned.world.person("alice"), "grace called")


# --- the secret is known to somebody


def test_a_compromised_secret_takes_the_shortest_path(turned: Turned) -> None:
    """Nobody approves, the grace is none, only operators may; and there is no way back."""
    with turned.world.refused(NotPermittedError, "is no operator"):
        turned.start("bob", COMPROMISED)
    gate = turned.to_click(COMPROMISED)
    assert (gate.question["grace_hours"], gate.question["compromised"]) == (0, True)
    assert turned.world.receipt(Stage.APPROVE).body == {"by": [], "compromised": True}
    new = turned.click(0)
    turned.submit(new)
    assert not turned.works(turned.pair)
    turned.at(GateKind.PROOF)
    with turned.world.refused(RefusedError, "has been dead"):
        turned.asking.roll_back(turned.world.key, turned.world.person("alice"), "why not")
    turned.pass_time(hours=26)
    assert turned.run() is None
    assert turned.world.pointer.previous is None


def test_a_compromised_secret_is_turned_although_a_pending_one_lies_there(turned: Turned) -> None:
    """Taking up what an abandoned rotation left would let the known secret live on until its grace ends."""
    turned.handed_in()
    turned.run(Stage.STAGE_SECRET)
    abandon(turned)
    gate = turned.to_click(COMPROMISED)
    assert gate.question["grace_hours"] == 0
    turned.submit(turned.click(0))
    assert not turned.works(turned.pair)
    turned.at(GateKind.PROOF)


# --- when one may begin


def test_outside_of_the_window(world: World) -> None:
    """It is refused with the moment when the window opens; a person may ignore that, and a leak does not wait."""
    turned = onboarded(world, **TUESDAYS)
    with world.refused(RefusedError, "it opens at 2026-03-03 08:00 UTC"):
        turned.start()
    assert turned.start(terms=Terms(ignore_window=True)).terms.ignore_window
    turned.at(GateKind.APPROVE)
    abandon(turned)
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
    abandon(turned)
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
    abandon(turned)
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
    abandon(turned)
    turned.world.secrets.append(turned.world.twins.rotate(turned.pair, 0).client_secret)
    turned.start()
    with turned.world.refused(StageFailedError, "the grace of the rotation before runs until"):
        turned.run()
    turned.pass_time(days=7)
    assert turned.to_click().question["in_use"]


def test_what_a_second_click_left_is_taken_up_without_a_way_back(turned: Turned) -> None:
    """The secret in use died at that click, whatever its grace says: it becomes no PREVIOUS."""
    second_click(turned)
    turned.run(Stage.STAGE_SECRET)
    abandon(turned)
    turned.start()
    turned.at(GateKind.APPROVE)
    turned.world.approve()
    turned.at(GateKind.PROOF)
    with turned.world.refused(RefusedError, "has been dead"):
        turned.asking.roll_back(turned.world.key, turned.world.person("alice"), "why not")
    turned.pass_time(hours=26)
    turned.run()
    pointer = turned.world.pointer
    assert pointer.pending is None
    assert pointer.previous is None


def test_one_attempt_an_integration(turned: Turned) -> None:
    """No onboarding begins while a rotation runs, nor the other way round; a second start gives the first."""
    world = turned.world
    first = turned.start()
    assert turned.start("bob").id == first.id
    with world.refused(RefusedError, "a rotation is under way"):
        world.start(sealed=world.sealed("Other words"))
    with world.refused(RefusedError, "on other terms"):
        turned.start(terms=COMPROMISED)
    abandon(turned)
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
