"""The older secret is put back: by the machine itself, by a person's wish, by hand; and when it cannot be."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import AttemptState, Halt, Stage, Wish
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.notice import Event, Severity
from keyturn.domain.rotation import RotationState
from keyturn.errors import NotPermittedError, RefusedError, RollBackWantedError, StageFailedError
from keyturn.sandbox.people import Pair
from keyturn.services.rotation.orphan import heeding, orphan
from keyturn.services.rotation.proof import Proving
from keyturn.services.standing import standing
from tests.services.rotation.turned import Turned
from tests.services.told import told


def call_works(turned: Turned) -> bool:
    """Whether a customer's call goes through."""
    return turned.world.ports.hub.list_users(turned.account).ok


def wish_back(turned: Turned) -> None:
    """`keyturn rotate rollback`."""
    turned.asking.roll_back(turned.world.key, turned.world.person("alice"), "customers complain")


def resume(turned: Turned) -> Gate | None:
    """`keyturn rotate resume`, and the run that it starts."""
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "found it")
    return turned.run()


def goes_on_to_promotion(turned: Turned) -> None:
    """Have the new secret proven by a refresh, and promoted."""
    turned.pass_time(hours=26)
    turned.at(GateKind.GRACE)


def is_rolled_back(turned: Turned, new: Pair) -> bool:
    """Whether the rotation is halted with the older secret in use and in the profile, and the new one PENDING."""
    pointer = turned.world.pointer
    return (
        turned.state is RotationState.ROLLED_BACK
        and turned.attempt.halt is Halt.ROLLED_BACK
        and turned.attempt.wish is Wish.NONE
        and turned.secret_of(pointer.current) == turned.pair.client_secret
        and turned.secret_of(pointer.pending) == new.client_secret
        and pointer.previous is None
        and turned.world.ports.ledger.gates(key=turned.world.key) == []
        and Stage.APPLY not in turned.world.stages
    )


def test_a_secret_that_stackone_keeps_garbled_is_rolled_back_by_itself(turned: Turned) -> None:
    """A refresh fails after a day, a second look agrees, the older one is put back, and people are told."""
    turned.stackone_is(write_effect="garbled")
    new = turned.to_proof()
    assert call_works(turned), "the old access token lives on, so nobody sees it at first"
    turned.pass_time(hours=26)
    gate = turned.run()
    assert gate
    assert gate.question["failures"] == 1
    assert "invalid_client" in str(gate.question["last"])
    turned.stackone_is(write_effect="kept")
    turned.pass_time(minutes=5)
    assert turned.run() is None
    assert is_rolled_back(turned, new)
    assert call_works(turned)
    (notice,) = told(turned.world, Event.ROTATION_ROLLED_BACK)
    assert notice.severity is Severity.WARNING


def test_resume_applies_again_and_completes(turned: Turned) -> None:
    """A status `error` that is left of the first try is no second disproof: StackOne is asked again."""
    turned.stackone_is(write_effect="garbled")
    new = turned.to_proof()
    turned.pass_time(hours=26)
    turned.run()
    turned.stackone_is(write_effect="kept")
    turned.pass_time(minutes=5)
    turned.run()
    turned.world.twins.account_is(turned.account, "error")
    gate = resume(turned)
    assert gate
    assert (gate.kind, gate.question["failures"]) == (GateKind.PROOF, 0)
    turned.world.twins.account_is(turned.account, "error")
    gate = turned.run()
    assert gate
    assert (gate.kind, gate.question["failures"]) == (GateKind.PROOF, 0)
    goes_on_to_promotion(turned)
    turned.pass_time(days=6)
    assert turned.run() is None
    assert turned.attempt.state is AttemptState.COMPLETED
    assert turned.secret_of(turned.world.pointer.current) == new.client_secret
    assert call_works(turned)
    assert turned.world.versions() == 2


def test_rollback_before_promotion(turned: Turned) -> None:
    """The wish wakes the run, which puts the older secret back; when that dies, so does the account."""
    new = turned.to_proof()
    wish_back(turned)
    assert turned.world.runs.resumes
    assert turned.run() is None
    assert is_rolled_back(turned, new)
    assert turned.world.events.count("rotation.wished") == 1
    turned.pass_time(hours=30)
    assert call_works(turned)
    turned.pass_time(days=7)
    assert not call_works(turned)


def test_rollback_after_promotion(turned: Turned) -> None:
    """While PREVIOUS lives it becomes CURRENT again, and a resume promotes the new one a second time."""
    new = turned.to_proof()
    goes_on_to_promotion(turned)
    assert turned.secret_of(turned.world.pointer.previous) == turned.pair.client_secret
    wish_back(turned)
    assert turned.run() is None
    assert is_rolled_back(turned, new)
    assert Stage.PROMOTE not in turned.world.stages
    gate = resume(turned)
    assert gate
    assert gate.kind is GateKind.PROOF
    goes_on_to_promotion(turned)
    pointer = turned.world.pointer
    assert turned.secret_of(pointer.current) == new.client_secret
    assert turned.secret_of(pointer.previous) == turned.pair.client_secret
    assert pointer.pending is None


def test_rollback_is_refused_with_the_reason(turned: Turned) -> None:
    """To whoever is no operator, before there is anything to put back, and after the grace."""
    turned.to_click()
    with turned.world.refused(NotPermittedError, "is no operator"):
        turned.asking.roll_back(turned.world.key, turned.world.person("bob"), "why not")
    with turned.world.refused(RefusedError, "no new secret was handed in"):
        wish_back(turned)
    turned.submit(turned.click())
    turned.run()
    turned.pass_time(days=7)
    with turned.world.refused(RefusedError, r"has been dead since 2026-03-09 09:00 UTC") as refused:
        wish_back(turned)
    assert "another rotation" in refused.value.remedy
    assert turned.attempt.wish is Wish.NONE


def test_an_orphaned_rotation_is_rolled_back(turned: Turned) -> None:
    """Nobody has to let it go on first: while the older secret works, that is what a person may want at once."""
    new = turned.to_proof()
    run = turned.begin()
    assert orphan(turned.world.ports.ledger, run, "the worker went away")
    wish_back(turned)
    assert (turned.attempt.halt, turned.attempt.wish) == (Halt.NONE, Wish.ROLL_BACK)
    assert turned.run() is None
    assert is_rolled_back(turned, new)
    assert call_works(turned)


def test_abandoned_right_after_a_resume_it_was_not_edited_by_hand(turned: Turned) -> None:
    """What the rollback has written is what stands, until something else is written."""
    turned.to_proof()
    wish_back(turned)
    turned.run()
    turned.asking.resume(turned.world.key, turned.world.person("alice"), "found it")
    turned.abandon()
    ports, world = turned.world.ports, turned.world
    stands = standing(ports.ledger, ports.secrets, world.key)
    (profile,) = world.twins.profiles()
    assert stands
    assert stands.profile
    assert stands.profile["updated_at"] == profile["updated_at"]


def test_a_wish_that_comes_true_too_late(turned: Turned) -> None:
    """The grace ends between the wish and the run: nothing dead is put back, and somebody is paged."""
    turned.to_proof()
    wish_back(turned)
    turned.pass_time(days=7)
    before = turned.world.twins.effects(turned.world.twins.stackone)["profiles_updated"]
    with turned.world.refused(RefusedError, "cannot be put back"):
        turned.run()
    assert (turned.attempt.halt, turned.attempt.wish) == (Halt.ORPHANED, Wish.NONE)
    assert turned.world.twins.effects(turned.world.twins.stackone)["profiles_updated"] == before
    assert told(turned.world, Event.ROTATION_ORPHANED)


def test_gongs_refusal_outweighs_the_clock(turned: Turned) -> None:
    """Somebody rotated again by themselves: the older secret is dead, whatever its grace says, and stays out."""
    turned.to_proof()
    turned.world.secrets.append(turned.world.twins.rotate(turned.pair, 168).client_secret)
    wish_back(turned)
    before = turned.world.twins.effects(turned.world.twins.stackone)["profiles_updated"]
    with turned.world.refused(RefusedError, "cannot be put back: Gong refuses it"):
        turned.run()
    assert turned.attempt.halt is Halt.ORPHANED
    assert turned.world.twins.effects(turned.world.twins.stackone)["profiles_updated"] == before
    gate = resume(turned)
    assert gate
    assert gate.kind is GateKind.PROOF, "the new one is still in the profile, and is still looked after"


# --- StackOne has no write API


@pytest.fixture
def by_hand(turned: Turned) -> Turned:
    """A rotation whose profile only people can write."""
    turned.stackone_is(write_api="off")
    return turned


def fill_in(turned: Turned) -> str:
    """Grace opens the reveal, and edits the profile; the secret that she typed."""
    client_id, secret = turned.world.revealed()
    (profile,) = turned.world.twins.profiles()
    turned.world.twins.stackone_admin.edit_profile(profile["id"], client_id=client_id, client_secret=secret)
    return secret


def test_by_hand_there_and_back(by_hand: Turned) -> None:
    """The form is asked for twice, each time with the right version to reveal, and the watch sees what was typed."""
    new = by_hand.handed_in()
    assert by_hand.at(GateKind.STACKONE_FORM).question["stage"] == "apply"
    assert not by_hand.woken()
    assert fill_in(by_hand) == new.client_secret
    assert by_hand.woken()
    by_hand.at(GateKind.PROOF)
    wish_back(by_hand)
    assert by_hand.at(GateKind.STACKONE_FORM).question["stage"] == "roll_back"
    assert by_hand.attempt.halt is Halt.NONE
    assert fill_in(by_hand) == by_hand.pair.client_secret
    assert by_hand.woken()
    assert by_hand.run() is None
    assert is_rolled_back(by_hand, new)
    gate = resume(by_hand)
    assert gate
    assert (gate.kind, gate.question["stage"]) == (GateKind.STACKONE_FORM, "apply")
    assert fill_in(by_hand) == new.client_secret
    by_hand.at(GateKind.PROOF)
    goes_on_to_promotion(by_hand)


def test_a_wish_while_the_form_is_open(by_hand: Turned) -> None:
    """The form for the new secret is closed; what is asked for instead is the older one."""
    by_hand.handed_in()
    applying = by_hand.at(GateKind.STACKONE_FORM)
    wish_back(by_hand)
    gate = by_hand.at(GateKind.STACKONE_FORM)
    assert gate.question["stage"] == "roll_back"
    forms = by_hand.world.gates(GateKind.STACKONE_FORM)
    assert [(g.id, g.state) for g in forms] == [(applying.id, GateState.VOID), (gate.id, GateState.OPEN)]
    assert by_hand.world.revealed()[1] == by_hand.pair.client_secret


def test_a_declined_form_halts(by_hand: Turned) -> None:
    """After the click a no is no end: the rotation is orphaned, somebody is paged, and resume asks again."""
    by_hand.handed_in()
    by_hand.run()
    by_hand.world.reject("grace", "I have no access")
    with by_hand.world.refused(StageFailedError, "was declined") as refused:
        by_hand.run()
    assert "resume" in refused.value.remedy
    assert (by_hand.attempt.state, by_hand.attempt.halt) == (AttemptState.ACTIVE, Halt.ORPHANED)
    (notice,) = told(by_hand.world, Event.ROTATION_ORPHANED)
    assert notice.severity is Severity.CRITICAL
    gate = resume(by_hand)
    assert gate
    assert (gate.kind, gate.state) == (GateKind.STACKONE_FORM, GateState.OPEN)


def test_a_run_that_waits_in_its_process_heeds_the_wish_at_its_next_look(turned: Turned) -> None:
    """It is not suspended yet, so nobody can wake it; customers complain meanwhile."""
    turned.to_proof()
    ports, run = turned.world.ports, turned.begin()
    look = heeding(ports.ledger, run, Proving(ports.ledger, ports.hub, turned.world.clock).verify)
    assert isinstance(look(), Gate)
    wish_back(turned)
    with pytest.raises(RollBackWantedError):
        look()
