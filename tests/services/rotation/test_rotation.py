from __future__ import annotations

from keyturn.domain.attempt import ROTATION_STAGES, AttemptState, Halt
from keyturn.domain.credential import Credential, ProbeOutcome
from keyturn.domain.gate import GateKind
from keyturn.domain.rotation import RotationState
from keyturn.errors import NotPermittedError
from keyturn.services.start import abandon
from tests.services.rotation.turned import Turned


def test_a_rotation_goes_from_due_to_done_and_the_account_lives_through_it(turned: Turned) -> None:
    """Due, planned, approved, clicked, staged, applied, proven by a refresh, promoted, and the old one retired."""
    world, seen = turned.world, []
    turned.start()
    seen.append(turned.state)
    gate = turned.run()
    assert gate
    assert gate.kind is GateKind.APPROVE
    seen.append(turned.state)
    world.approve()
    gate = turned.run()
    assert gate
    assert gate.question["grace_hours"] == 168
    seen.append(turned.state)
    new = turned.click()
    turned.submit(new)
    gate = turned.run()
    assert gate
    assert gate.kind is GateKind.PROOF
    seen.append(turned.state)
    turned.pass_time(hours=26)
    assert world.tick().woken
    gate = turned.run()
    assert gate
    assert gate.kind is GateKind.GRACE
    seen.append(turned.state)
    assert world.pointer.previous
    turned.pass_time(days=7)
    assert world.tick().woken
    assert turned.run() is None
    seen.append(turned.state)
    assert seen == [
        RotationState.DUE,
        RotationState.PLANNED,
        RotationState.AWAITING_GONG,
        RotationState.APPLIED,
        RotationState.GRACE,
        RotationState.DONE,
    ]
    assert turned.attempt.state is AttemptState.COMPLETED
    assert world.stages == sorted(ROTATION_STAGES, key=list(type(ROTATION_STAGES[0])).index)
    pointer = world.pointer
    assert (pointer.pending, pointer.previous) == (None, None)
    assert pointer.current
    assert world.ports.secrets.read(pointer.current).reveal() == new.client_secret
    old = Credential(turned.pair.client_id, turned.pair.client_secret)
    assert world.ports.gong.probe(old).outcome is ProbeOutcome.WRONG_PAIR


def test_a_decision_in_a_halted_rotation_starts_nothing(turned: Turned) -> None:
    """A run could not begin; whoever lets the rotation go on starts one, and that finds the decision."""
    turned.start()
    turned.at(GateKind.APPROVE)
    run = turned.begin()
    turned.world.approve()
    turned.world.ports.ledger.halt(run, Halt.ORPHANED, "the worker went away")
    before = dict(turned.world.runs.states)
    assert not turned.woken()
    assert turned.world.runs.states == before


def test_a_rotation_is_given_up_by_an_operator_once_gong_was_clicked(turned: Turned) -> None:
    """Its requester may before that; then the secret in use dies, and that is an operator's business."""
    world = turned.world
    turned.start("bob")
    abandon(world.ports.ledger, world.runs, world.person("bob"), world.key, "not now")
    turned.start("bob")
    turned.at(GateKind.APPROVE)
    world.approve("erin")
    turned.at(GateKind.GONG_ROTATION)
    turned.submit(turned.click())
    with world.refused(NotPermittedError, "its secret was rotated in Gong"):
        abandon(world.ports.ledger, world.runs, world.person("bob"), world.key, "not now")
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "as operator")
