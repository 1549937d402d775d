"""Whether the code with which a process ended says anything about its run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from keyturn.worker.forked import Forked
from keyturn.worker.running import Execution


@pytest.fixture
def execution() -> Iterator[Execution]:
    """A process of a run that had been running once before."""
    loop = asyncio.new_event_loop()
    yield Execution(uuid4(), 1, Forked(str(uuid4()), 4711, loop.create_future()))
    loop.close()


def now(execution: Execution, kind: StateType, count: int, place: str = "") -> FlowRun:
    """The run as Prefect shows it later."""
    state = State[None](type=kind)
    return FlowRun(
        id=execution.run, flow_id=uuid4(), state=state, run_count=count, infrastructure_pid=place or execution.place
    )


@pytest.mark.parametrize("kind", [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
def test_a_process_that_never_reported_running_is_to_blame(execution: Execution, kind: StateType) -> None:
    """Nobody has run it since, so whatever was noted as its place, it was this process's."""
    assert execution.is_its(now(execution, kind, 1, "elsewhere:1"))


def test_a_process_that_was_running_is_to_blame_as_long_as_the_run_is_noted_to_be_there(execution: Execution) -> None:
    """It has counted itself, and nobody after it."""
    assert execution.is_its(now(execution, StateType.RUNNING, 2))


def test_a_process_is_to_blame_before_its_place_is_noted(execution: Execution) -> None:
    """The worker's note comes after the process's own report, and may be lost."""
    earlier = replace(execution, place_before="elsewhere:1")
    assert earlier.is_its(now(earlier, StateType.RUNNING, 2, "elsewhere:1"))
    assert not earlier.is_its(now(earlier, StateType.RUNNING, 2, "elsewhere:2"))


@pytest.mark.parametrize("kind", [StateType.PAUSED, StateType.SCHEDULED, StateType.COMPLETED, StateType.CRASHED])
def test_a_run_that_waits_or_has_ended_is_nobodys(execution: Execution, kind: StateType) -> None:
    """A suspended run whose process falls on its face at its very end stays suspended."""
    assert not execution.is_its(now(execution, kind, 2))


def test_a_run_that_was_taken_up_again_is_its_new_process_s(execution: Execution) -> None:
    """While that one begins, Prefect still has the old place; the count tells them apart."""
    assert not execution.is_its(now(execution, StateType.PENDING, 2))
    assert not execution.is_its(now(execution, StateType.RUNNING, 3, "elsewhere:4711"))
