"""The whole journey, on real parts."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import STAGES, AttemptState, Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.services.execution import summary
from tests.services.world import World


def test_journey_by_api(world: World) -> None:
    """From a manifest to a proven connection, StackOne being written to by its API."""
    verdict = world.completed()
    assert verdict.proven
    assert summary(world.last, verdict) == "L0 passed, L1 passed, L2 passed, L3 passed"
    assert world.attempt.state is AttemptState.COMPLETED
    assert world.stages == list(STAGES)
    assert world.twins.effects(world.twins.stackone)["profiles_created"] == 1
    assert len(world.twins.accounts()) == 1
    assert world.pointer.current is not None
    assert (world.pointer.pending, world.pointer.previous) == (None, None)


def test_journey_by_hand(world: World) -> None:
    """With the write API off, the same journey ends through a person's hands (acceptance 2)."""
    assert world.to_form().kind is GateKind.STACKONE_FORM
    world.fill_in_stackone()
    assert world.waits().kind is GateKind.CONSENT
    world.consent(world.link())
    assert world.ends().proven
    assert [gate.state for gate in world.gates(GateKind.STACKONE_FORM)] == [GateState.APPROVED]
    assert world.receipt(Stage.CREATE_PROFILE).body["writer"] == "assisted"
    assert len(world.twins.profiles()) == 1


@pytest.mark.parametrize("shape", ["gong_envelope", "text", "code_first"])
def test_journey_without_proof(world: World, shape: str) -> None:
    """Where Gong's token endpoint says nothing, the journey ends, and L1 is not called passed (acceptance 2)."""
    world.twins.options(world.twins.gong, token_error_body=shape)
    verdict = world.completed()
    statuses = {result.layer: result.status for result in verdict.layers}
    assert statuses[Layer.L1] is LayerStatus.NOT_TESTED
    assert statuses[Layer.L3] is LayerStatus.PASSED
    assert not verdict.proven
    assert world.receipt(Stage.STORE_SECRET).body["proven"] is False
    assert world.attempt.state is AttemptState.COMPLETED


def test_second_attempt(world: World) -> None:
    """Onboarding again replaces the pair in the same profile, and keeps the former one as PREVIOUS."""
    world.completed()
    first = world.pointer.current
    world.completed()
    assert world.pointer.previous == first
    assert world.pointer.current != first
    assert world.twins.effects(world.twins.stackone) | {"actions_run": 0} == {
        "profiles_created": 1,
        "profiles_updated": 1,
        "sessions_created": 2,
        "connection_attempts": 2,
        "accounts_created": 1,
        "accounts_relinked": 1,
        "actions_run": 0,
    }


def test_going_on_repeats_nothing(world: World) -> None:
    """A run that starts from the top after each suspension does nothing twice."""
    world.to_consent()
    before = world.twins.effects(world.twins.stackone), world.pointer, world.stages
    for _ in range(3):
        assert world.waits().kind is GateKind.CONSENT
    assert (world.twins.effects(world.twins.stackone), world.pointer, world.stages) == before
    assert len(world.gates(GateKind.CONSENT)) == 1
