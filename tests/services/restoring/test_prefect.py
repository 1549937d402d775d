"""The ledger beside a Prefect of another moment: who carries an attempt, and which runs carry none."""

from __future__ import annotations

from uuid import uuid4

import pytest

from keyturn.domain.attempt import AttemptState
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.ports import LivingRun, RunState
from keyturn.services.deep_check.in_prefect import InPrefect, schedules
from keyturn.services.deep_check.told import told
from tests.services.fleet import Fleet


@pytest.fixture
def key(fleet: Fleet) -> IntegrationKey:
    """An integration whose rotation waits for the click."""
    key = fleet.onboarded("acme")
    fleet.asked(fleet.turning(key), GateKind.GONG_ROTATION)
    return key


def said(fleet: Fleet, key: IntegrationKey, *living: LivingRun) -> str:
    """What comparing says, as one text."""
    found = InPrefect(told(fleet.ledger, key, ""), fleet.runs, living, fleet.clock.now()).compare()
    return "\n".join(f"{what} → {remedy}" for what, remedy in found)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (RunState.UNKNOWN, "Prefect does not know run"),
        (RunState.ENDED, "has ended, and the attempt that it carries has not"),
        (RunState.SUSPENDED, ""),
        (RunState.RUNNING, ""),
        (RunState.MOVING, ""),
    ],
)
def test_who_carries_the_attempt(fleet: Fleet, key: IntegrationKey, state: RunState, says: str) -> None:
    """A run that Prefect does not know, or that ended, carries nothing; one that waits as the ledger says is fine."""
    run = fleet.attempt(key).flow_run_id
    assert run
    fleet.runs.states[run] = state
    found = said(fleet, key)
    assert says in found
    assert bool(says) is bool(found)
    assert not says or f"`keyturn rotate {key}`" in found


def test_a_run_that_waits_for_nothing(fleet: Fleet) -> None:
    """It is suspended and the ledger asks nothing: a resume was forgotten with Prefect's newest state."""
    other = fleet.onboarded("other")
    fleet.turning(other)
    run = fleet.attempt(other).flow_run_id
    assert run
    fleet.runs.states[run] = RunState.SUSPENDED
    assert "the ledger asks nothing" in said(fleet, other)


def test_runs_that_carry_nothing(fleet: Fleet, key: IntegrationKey) -> None:
    """Of an attempt that is not known, one that ended, or that another run carries: named, and to be cancelled."""
    active = fleet.attempt(key)
    run = active.flow_run_id
    assert run
    fleet.runs.states[run] = RunState.SUSPENDED
    ended = next(a for a in fleet.ledger.attempts(key) if a.state is AttemptState.COMPLETED)
    attempts = {str(uuid4()): "does not know", str(ended.id): "ended as completed", str(active.id): "two runs are for"}
    for attempt, says in attempts.items():
        stray = LivingRun(uuid4(), RunState.SUSPENDED, str(key), attempt)
        found = said(fleet, key, stray, LivingRun(run, RunState.SUSPENDED, str(key), str(active.id)))
        assert says in found
        assert f"`prefect flow-run cancel {stray.id}`" in found
    foreign = LivingRun(uuid4(), RunState.SUSPENDED, "somebody/else", str(uuid4()))
    assert said(fleet, key, foreign) == ""


def test_schedules() -> None:
    """Each flow that runs by itself has one schedule: none and two are wrong."""
    assert schedules({"watch/watch": 1, "sweep/sweep": 1}) == []
    found = [what for what, _ in schedules({"watch/watch": 0, "sweep/sweep": 2})]
    assert found == [
        "watch/watch has no active schedules, and not one",
        "sweep/sweep has 2 active schedules, and not one",
    ]
