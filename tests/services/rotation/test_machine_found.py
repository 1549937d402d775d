"""What the machine has found, each reduced to the few steps that matter."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyturn.domain.attempt import AttemptState, Halt, Stage, Terms
from keyturn.domain.credential import CredentialRef
from keyturn.domain.gate import GateKind
from keyturn.ports import RunState
from keyturn.services.intake import Told
from tests.fakes.crashing import When
from tests.services.rotation.machine_people import People
from tests.services.rotation.machine_truth import Truth
from tests.services.rotation.machine_world import ALICE, CAROL, OLGA, World

open_fault = pytest.mark.xfail(strict=True, reason="found by the machine, and not mended yet")


def _at(kind: GateKind, *, by_hand: bool = False, tells: bool = True) -> People:
    """A rotation that waits at a gate of that kind."""
    people = People(World(by_hand=by_hand, tells=tells))
    people.start(ALICE, Terms())
    _moved(people)
    while people.gate(kind) is None:
        people.cooperate()
        _moved(people)
    return people


def _moved(people: People) -> None:
    people.watch()
    for process in people.taken_up():
        process.finish()


def test_a_rollback_that_failed_and_was_resumed() -> None:
    """It may have reached the profile: what was proven before does not count, and the new secret is put in again."""
    people = _at(GateKind.GRACE)
    world = people.world
    people.say(people.rotating.roll_back, OLGA)
    for _ in range(8):
        world.troubles.lose("secrets.write_pointer", When.BEFORE)
    _moved(people)
    assert people.last().halt is Halt.ORPHANED
    world.troubles.clear()
    assert world.held() == world.secret(world.pointer.previous), "the older secret was put in, and nobody noted it"
    people.say(people.rotating.resume, OLGA)
    people.bring_to_an_end()
    assert people.last().state is AttemptState.COMPLETED
    assert world.held() == world.secret(world.pointer.current)
    assert world.works(world.held())


def test_a_wrong_secret_while_a_rollback_is_wanted() -> None:
    """What was handed in is dead before it was put in: there is nothing to put back, and the right one is asked for."""
    people = _at(GateKind.GONG_ROTATION)
    people.world.click(168)
    people.hand_in_click(people.world.clipboard[-1], tells=True)
    people.watch()
    (process,) = people.taken_up()
    for _ in range(6):
        assert process.step()
    people.world.click(0)
    people.say(people.rotating.roll_back, OLGA)
    process.finish()
    people.watch()
    gate = people.gate(GateKind.GONG_ROTATION)
    assert gate
    assert "refused_because" in gate.question
    people.bring_to_an_end()
    assert people.last().state is AttemptState.COMPLETED


def test_two_hand_ins_at_one_moment() -> None:
    """The grace of the later click counts, however long the one before it would have been."""
    people = _at(GateKind.GONG_ROTATION)
    people.world.click(168)
    people.hand_in_click(people.world.clipboard[-1], tells=True)
    people.world.click(0)
    _moved(people)
    people.cooperate()
    _moved(people)
    people.say(people.rotating.abandon, OLGA)
    people.world.click(0)
    people.start(ALICE, Terms())
    _moved(people)
    people.cooperate()
    _moved(people)
    assert people.gate(GateKind.GONG_ROTATION)
    assert not Truth(people.world).one_pending_and_no_click_inside_a_grace()


def test_abandoned_after_the_hand_in() -> None:
    """Whoever begins anew after a hand-in that was never staged is not asked to click inside the running grace."""
    people = _at(GateKind.GONG_ROTATION)
    people.world.click(168)
    people.hand_in_click(people.world.clipboard[-1], tells=True)
    people.say(people.rotating.abandon, OLGA)
    people.start(ALICE, Terms())
    _moved(people)
    people.decide(CAROL, people.world.ledger.registered(people.last().key).digest)
    _moved(people)
    assert not Truth(people.world).one_pending_and_no_click_inside_a_grace()
    assert people.gate(GateKind.GONG_ROTATION) is None


def test_edited_between_apply_and_verify() -> None:
    """A profile that somebody changed after APPLY proves nothing: a link made with the old secret is no proof."""
    people = _at(GateKind.PROOF)
    world = people.world
    world.clock.move(minutes=5)
    world.stackone.edit_profile(world.profile_id, world.pair(world.gong.values[0]))
    people.link()
    _moved(people)
    assert not Truth(world).current_was_verified()


def test_a_rollback_whose_answer_was_lost_until_the_grace_had_ended() -> None:
    """The dead secret is in the profile then, and resuming puts the new one in, as the error says."""
    people = _at(GateKind.PROOF)
    world = people.world
    people.say(people.rotating.roll_back, OLGA)
    world.troubles.crash("writer.update", When.AFTER)
    _moved(people)
    world.pass_time(timedelta(days=8), busy=False)
    _moved(people)
    assert people.last().halt is Halt.ORPHANED
    people.say(people.rotating.resume, OLGA)
    people.bring_to_an_end()
    assert world.works(world.held())


def test_a_secret_that_failed_and_that_gong_says_nothing_of() -> None:
    """A PENDING that a rotation has disproven is not taken up again and again: the next rotation asks for another."""
    people = _at(GateKind.GONG_ROTATION, tells=False)
    people.world.click(168)
    people.hand_in("not-a-secret-of-gong-at-all", Told())
    people.bring_to_an_end()
    assert people.last().halt is Halt.ROLLED_BACK
    people.say(people.rotating.abandon, OLGA)
    people.world.pass_time(timedelta(days=8), busy=False)
    people.start(ALICE, Terms())
    people.bring_to_an_end()
    assert people.world.works(people.world.held())


def test_a_resumed_run_is_not_started_twice() -> None:
    """A run that was woken a moment ago is no lost run, however long it had slept."""
    people = _at(GateKind.GRACE)
    people.world.pass_time(timedelta(days=8), busy=True)
    people.watch()
    moving = [run for run, state in people.world.runs.states.items() if state is RunState.MOVING]
    assert moving == [people.last().flow_run_id]


def test_a_link_that_failed_is_looked_at_by_the_next_round() -> None:
    """A link that Gong refused disproves the new secret, and nobody waits a day to hear of it."""
    people = _at(GateKind.PROOF)
    people.world.click(0)
    people.world.click(0)
    for _ in range(2):
        people.link()
        _moved(people)
    assert not people.last().moves or Stage.APPLY not in {r.stage for r in _receipts(people)}


def _receipts(people: People) -> list[object]:
    return list(people.world.ledger.receipts(people.last().id))


def _clicked_beside(*, tells: bool) -> tuple[People, CredentialRef]:
    """A click for a known secret, where the rotation before was abandoned with a PENDING that works, and lives on."""
    people = _at(GateKind.PROOF)
    people.say(people.rotating.abandon, OLGA)
    people.start(OLGA, Terms(compromised=True))
    _moved(people)
    left = people.world.pointer.pending
    assert left
    people.world.click(168)  # which was to leave it no grace
    people.hand_in_click(people.world.clipboard[-1], tells=tells)
    return people, left


def _kept_to_the_end(people: People, left: CredentialRef) -> None:
    """Gong takes the secret that was left, and it is not forgotten; the rotation under way completes."""
    assert people.world.takes(left)
    assert not Truth(people.world).pending_is_never_lost()
    people.bring_to_an_end()
    assert people.last().state is AttemptState.COMPLETED


def _begun_anew(people: People) -> None:
    people.say(people.rotating.abandon, OLGA)
    people.start(ALICE, Terms())
    _moved(people)


def test_a_pending_secret_that_outlives_the_click_for_a_known_one() -> None:
    """It is the older secret in Gong then, and is kept as PREVIOUS until the newest one is proven."""
    people, left = _clicked_beside(tells=True)
    _moved(people)
    assert people.world.pointer.previous == left
    assert people.world.pointer.pending not in (None, left)
    _kept_to_the_end(people, left)
    assert people.world.pointer.previous is None


def test_a_pending_secret_that_outlives_what_was_said_of_a_click() -> None:
    """The clock says that it is dead, and it is not: the next rotation does not forget it before a newer is proven."""
    people, left = _clicked_beside(tells=False)
    _moved(people)
    _begun_anew(people)
    _kept_to_the_end(people, left)
    assert people.world.pointer.previous is None


def test_a_pending_secret_that_one_handed_in_later_takes_the_place_of() -> None:
    """Both may be right: the earlier is kept as PREVIOUS until the later one is proven."""
    people, left = _clicked_beside(tells=True)
    _begun_anew(people)
    people.cooperate()
    _moved(people)
    assert people.world.pointer.pending not in (None, left)
    _kept_to_the_end(people, left)
