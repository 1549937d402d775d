"""The click in Gong: which secrets are taken, when the grace ends, and what if the secret is lost, or known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyturn.domain.attempt import AttemptState, Halt, Stage, Terms, Wish
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Gate, GateKind, GateState, admit
from keyturn.domain.notice import Event
from keyturn.domain.rotation import RotationState
from keyturn.domain.turn_kit import turn_kit
from keyturn.errors import CredentialRefusedError, GateClosedError, NotPermittedError, RefusedError, StageFailedError
from keyturn.sandbox.people import Pair
from keyturn.services import decide
from keyturn.services.intake import Told
from tests.services.rotation.turned import Turned
from tests.services.told import told

WEEK = timedelta(days=7)
COMPROMISED = Terms(compromised=True)


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


def test_a_click_that_is_still_to_come(turned: Turned) -> None:
    """The grace would be believed to begin later than it does; nothing is kept, and the hand-in can be repeated."""
    turned.to_click()
    new = turned.click()
    with turned.world.refused(RefusedError, "which is still to come"):
        turned.submit(new, Told(clicked_at=turned.world.clock.now() + timedelta(minutes=6)))
    assert turned.world.versions() == 1
    turned.submit(new, Told(clicked_at=turned.world.clock.now() + timedelta(minutes=4)))  # clocks differ a little


@pytest.mark.parametrize(
    "clicked_at",
    [
        datetime(2026, 3, 2, 8, 50, tzinfo=UTC),
        datetime(2025, 3, 2, 9, 10, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
    ],
    ids=["ten minutes before it began", "the year before", "the first moment of all", "the last one"],
)
def test_a_click_that_nobody_can_have_done(turned: Turned, clicked_at: datetime) -> None:
    """A year that is typed wrong would have the grace end in the past, and so the older secret retired at once."""
    turned.to_click()
    new = turned.click()
    with turned.world.refused(RefusedError, "the click is said to have been at"):
        turned.submit(new, Told(clicked_at=clicked_at))
    assert turned.world.versions() == 1
    turned.submit(new, Told(clicked_at=turned.attempt.started_at - timedelta(minutes=4)))  # clocks differ a little


def test_a_click_of_a_rotation_before(turned: Turned) -> None:
    """Its secret never came and is asked for again by another rotation: it was before that one began, and may be."""
    turned.to_click()
    clicked_at, new = turned.world.clock.now(), turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window")
    turned.at(GateKind.APPROVE)
    turned.abandon()
    turned.pass_time(days=2)
    turned.start()
    turned.at(GateKind.APPROVE)
    turned.world.approve()
    turned.at(GateKind.APPROVE)
    turned.world.reject("bob", "it has turned up")
    with turned.world.refused(StageFailedError):
        turned.run()
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "it has turned up")
    turned.at(GateKind.GONG_ROTATION)
    with turned.world.refused(RefusedError, "nobody was to click by then"):
        turned.submit(new, Told(clicked_at=clicked_at - timedelta(hours=2)))
    turned.submit(new, Told(clicked_at=clicked_at))
    turned.run(Stage.STAGE_SECRET)
    assert turned.world.receipt(Stage.GONG_ROTATION).body["grace_began"] == clicked_at.isoformat()


@pytest.mark.parametrize("hours", [24, 0])
def test_the_hours_told_with_a_refused_secret_stay_known(turned: Turned, hours: int) -> None:
    """Somebody chose Gong's default, or none, and handed in a wrong pair: the right one has no grace of a week."""
    turned.to_click()
    new = turned.click(hours)
    with silent_gong(turned):
        turned.submit(replace(new, client_secret=new.client_secret[:-3]), Told(grace_hours=hours))
    turned.at(GateKind.GONG_ROTATION)
    turned.submit(new)
    turned.at(GateKind.PROOF)
    body = turned.world.receipt(Stage.GONG_ROTATION).body
    assert body["grace_ends_at"] == (turned.world.clock.now() + timedelta(hours=hours)).isoformat()


def test_a_secret_that_was_dead_before_has_no_grace(turned: Turned) -> None:
    """Somebody had reset it in Gong: the rotation that mends that has no way back, and says so at once."""
    turned.world.secrets.append(turned.world.twins.rotate(turned.pair, 0).client_secret)
    turned.handed_in()
    turned.at(GateKind.PROOF)
    body = turned.world.receipt(Stage.GONG_ROTATION).body
    assert body["grace_ends_earliest"] == body["grace_began"]
    with turned.world.refused(RefusedError, "has been dead since"):
        turned.asking.roll_back(turned.world.key, turned.world.person("alice"), "why not")
    turned.world.consent(turned.world.link())
    turned.at(GateKind.GRACE)
    assert turned.world.pointer.previous is None


def test_nobody_is_told_to_click_twice(turned: Turned) -> None:
    """Once a refused secret has shown that the click was, the kit asks for the secret alone, and warns of a click."""
    first = turned.to_click()
    new = turned.click()
    with silent_gong(turned):
        turned.submit(replace(new, client_secret=new.client_secret[:-3]))
    again = turned.at(GateKind.GONG_ROTATION)
    sealed = turned.world.ports.ledger.manifest(first.digest)
    asked, asked_again = (turn_kit(sealed, gate.question, "https://gong.example") for gate in (first, again))
    assert ["Rotate the secret" in [step.title for step in kit.steps] for kit in (asked, asked_again)] == [True, False]
    assert "DO NOT ROTATE AGAIN" in " ".join(asked_again.warnings)


def test_whoever_calls_a_secret_compromised_does_not_hand_in_the_new_one(turned: Turned) -> None:
    """Nobody has approved such a rotation, so the click is another person's."""
    world = turned.world
    turned.to_click(COMPROMISED)
    new = turned.click(0)
    gate = replace(world.gate(GateKind.GONG_ROTATION), requester=world.person("grace").id)
    with world.refused(NotPermittedError, "started this attempt and cannot finish it"):
        admit(gate, world.person("grace"), gate.digest)
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


def test_a_yes_to_the_rotation_is_none_to_a_second_click(turned: Turned) -> None:
    """Both are about one digest: what was said to the first question does not answer the other, nor does a no."""
    turned.start()
    first = turned.at(GateKind.APPROVE)
    turned.world.approve()
    turned.at(GateKind.GONG_ROTATION)
    turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window too early")
    second = turned.at(GateKind.APPROVE)
    assert second.digest == first.digest
    ledger, runs, bob = turned.world.ports.ledger, turned.world.runs, turned.world.person("bob")
    with turned.world.refused(GateClosedError, "another question is asked by now"):
        decide.approve(ledger, runs, bob, turned.world.key, first.digest, "", gate_id=first.id)
    with turned.world.refused(GateClosedError, "another question is asked by now"):
        decide.reject(ledger, runs, bob, turned.world.key, "no", first.id)
    assert ledger.gate(second.id).decisions == ()
    assert decide.approve(ledger, runs, bob, turned.world.key, first.digest, "", gate_id=second.id).gate.id == second.id


def test_a_pair_goes_to_the_question_that_was_seen(turned: Turned) -> None:
    """A hand-in for the first click does not answer for the second one."""
    first = turned.to_click()
    turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "closed the window too early")
    turned.at(GateKind.APPROVE)
    turned.world.approve()
    second, new = turned.at(GateKind.GONG_ROTATION), turned.click()
    intake, credential = turned.world.intake("grace"), Credential(new.client_id, new.client_secret)
    with turned.world.refused(GateClosedError, "another question is asked by now"):
        intake.submit(turned.world.key, credential, gate_id=first.id)
    with turned.world.refused(GateClosedError, "another question is asked by now"):
        intake.submit_wrapped(turned.world.key, "a token that nobody opens", gate_id=first.id)
    assert intake.submit(turned.world.key, credential, gate_id=second.id).gate.id == second.id


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
    """The secret in use will die all the same, so somebody is paged; resume asks for the lost one, and for no click."""
    lose(turned)
    turned.world.reject("bob", "not on a Friday")
    with turned.world.refused(StageFailedError, "the secret that the first one made is lost"):
        turned.run()
    assert (turned.attempt.halt, turned.attempt.wish) == (Halt.ORPHANED, Wish.LOST_SECRET)
    assert told(turned.world, Event.ROTATION_ORPHANED)
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "it is Monday")
    gate = turned.at(GateKind.GONG_ROTATION)
    assert ("declined" in str(gate.question["refused_because"]), gate.question["second"]) == (True, False)
    assert turned.attempt.wish is Wish.NONE
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "it is really gone")
    assert turned.at(GateKind.APPROVE).question["second"]
    turned.world.approve()
    assert turned.at(GateKind.GONG_ROTATION).question["second"]


def test_a_declined_second_click_and_the_secret_turns_up(turned: Turned) -> None:
    """Whoever finds it hands it in: nobody has clicked again, so the way back is still open."""
    turned.to_click()
    new = turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "where is it")
    turned.at(GateKind.APPROVE)
    with turned.world.refused(GateClosedError, "a second rotation waits for approval"):
        turned.submit(new)
    turned.world.reject("bob", "look again")
    with turned.world.refused(StageFailedError, "asks for the new one again"):
        turned.run()
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "found it")
    turned.at(GateKind.GONG_ROTATION)
    turned.submit(new)
    turned.at(GateKind.PROOF)
    assert turned.attempt.terms.can_go_back


def test_an_approval_is_for_one_click(turned: Turned) -> None:
    """A second secret that is lost as well needs an approval of its own: the older one is not used twice."""
    lose(turned)
    turned.world.approve()
    turned.at(GateKind.GONG_ROTATION)
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "again")
    gate = turned.at(GateKind.APPROVE)
    assert (gate.question["second"], gate.decisions) == (True, ())
    turned.world.approve()
    assert turned.at(GateKind.GONG_ROTATION).question["second_approval"] == str(gate.id)


def test_a_lost_secret_that_is_found_in_time(turned: Turned) -> None:
    """Handed in before the run has asked for a second click: there is none, and the way back stays open."""
    turned.to_click()
    new = turned.click()
    turned.asking.lost(turned.world.key, turned.world.person("grace"), "where is it")
    turned.submit(new)
    turned.at(GateKind.PROOF)
    assert turned.attempt.terms.can_go_back
    assert turned.attempt.wish is Wish.NONE


def test_what_a_second_click_left_is_taken_up_without_a_way_back(turned: Turned) -> None:
    """The secret in use died at that click, whatever its grace says: it becomes no PREVIOUS."""
    second_click(turned)
    turned.run(Stage.STAGE_SECRET)
    turned.abandon()
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
