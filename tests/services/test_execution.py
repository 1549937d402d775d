"""Executions: numbers, crashes between an effect and its receipt, and two executions of one attempt at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from keyturn.domain.attempt import STAGES, AttemptState, Execution, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.verdict import LayerStatus, Verdict
from keyturn.errors import KeyturnError, NotPermittedError, RefusedError, StageFailedError, SupersededError
from keyturn.ports import Ledger, Work
from keyturn.services import execution
from tests.services.world import World


def one_of_everything(world: World) -> bool:
    """Whether there is one profile, one account, one CURRENT, and one receipt of each stage."""
    pointer = world.pointer
    return (
        len(world.twins.profiles()) == 1
        and len(world.twins.accounts()) == 1
        and world.twins.effects(world.twins.stackone)["profiles_created"] == 1
        and (pointer.current is not None, pointer.pending, pointer.previous) == (True, None, None)
        and world.versions() == 1
        and world.stages == list(STAGES)
        and world.events.count("receipt.written") == len(STAGES)
        and world.attempt.state is AttemptState.COMPLETED
    )


def test_older_execution_is_refused_everywhere(world: World) -> None:
    """After a newer execution began, the older one gets no receipt, no gate and no pointer write (acceptance 9)."""
    world.handed_in()
    old = world.begin()
    world.begin()
    before = world.events, world.pointer
    for stage in STAGES:
        with world.refused(SupersededError, "has taken over from"):
            world.stage(stage, old)
    assert (world.events, world.pointer) == before
    assert world.twins.profiles() == []


@pytest.mark.parametrize("stage", [Stage.CREATE_PROFILE, Stage.LINK_ACCOUNT])
def test_older_execution_makes_nothing(world: World, stage: Stage) -> None:
    """The older execution does not even ask StackOne for anything."""
    world.stored()
    old = world.last
    world.begin()
    before = world.twins.calls(world.twins.stackone)
    with world.refused(SupersededError):
        world.stage(stage, old)
    assert world.twins.calls(world.twins.stackone) == before


def test_older_execution_does_not_end_the_attempt(world: World) -> None:
    """An older execution that comes to the end neither completes nor rejects anything."""
    world.linked()
    old = world.last
    world.begin()
    with world.refused(SupersededError):
        world.stage(Stage.TEST_CONNECTION, old)
    assert world.attempt.state is AttemptState.ACTIVE
    assert world.ends().proven


def test_execution_of_an_ended_attempt(world: World) -> None:
    """Nothing begins for an attempt that is over."""
    world.completed()
    with world.refused(RefusedError, "its attempt has ended as completed"):
        world.begin()


def test_two_drivers_at_once(world: World) -> None:
    """An orphan and a retry go through every stage at the same time: the result is as from one (acceptance 9)."""
    with ThreadPoolExecutor(2) as threads:
        world.start()
        drive(world, threads, [Stage.REGISTER, Stage.APPROVE])
        world.approve()
        drive(world, threads, [Stage.APPROVE, Stage.GONG_ADMIN])
        world.submit(world.create_integration())
        drive(world, threads, [Stage.GONG_ADMIN, Stage.FETCH_SECRET, Stage.STORE_SECRET, Stage.CREATE_PROFILE])
        drive(world, threads, [Stage.LINK_ACCOUNT])
        world.consent(world.link())
        drive(world, threads, [Stage.LINK_ACCOUNT, Stage.TEST_CONNECTION])
    assert one_of_everything(world)


def drive(world: World, threads: ThreadPoolExecutor, stages: list[Stage]) -> None:
    """Have an execution do each stage while a retry begins and does it, too."""
    for stage in stages:
        orphan, together = world.begin(), Barrier(2)

        def first(run: Execution = orphan, both: Barrier = together, what: Stage = stage) -> object:
            both.wait()
            return tried(lambda: world.stage(what, run))

        def second(both: Barrier = together, what: Stage = stage) -> object:
            both.wait()
            return tried(lambda: world.stage(what, world.begin()))

        results = [future.result() for future in (threads.submit(first), threads.submit(second))]
        # The retry can only be refused where the orphan has ended the attempt under its eyes.
        refused = [result for result in results if isinstance(result, KeyturnError)]
        assert len(refused) <= 1
        assert all(isinstance(error, SupersededError | RefusedError) for error in refused)


def tried(step: Callable[[], object]) -> object:
    """What a step gives, or our error."""
    try:
        return step()
    except KeyturnError as error:
        return error


def test_two_whole_runs_at_once(world: World) -> None:
    """Two runs that race from the top again and again make one of everything, and neither of them breaks."""
    world.to_intake()
    world.submit(world.create_integration())

    def race(_: int) -> list[object]:
        return [tried(world.run) for _ in range(3)]

    with ThreadPoolExecutor(2) as threads:
        results = [result for several in threads.map(race, range(2)) for result in several]
    assert all(isinstance(result, Gate | SupersededError) for result in results)
    assert world.waits().kind is GateKind.CONSENT
    world.consent(world.link())
    assert world.ends().proven
    assert one_of_everything(world)


class KilledError(Exception):
    """Stands for kill -9."""


@dataclass
class DyingLedger:
    """A ledger whose process dies after a stage's effect and before its receipt is committed."""

    ledger: Ledger
    stage: Stage

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)

    @contextmanager
    def exclusive(self, run: Execution) -> Iterator[Work]:
        """Hold the attempt, and die at the receipt."""
        with self.ledger.exclusive(run) as work:
            real = work.write_receipt

            def dying(stage: Stage, body: Mapping[str, object]) -> Receipt:
                receipt = real(stage, body)
                if stage is self.stage:
                    raise KilledError
                return receipt

            work.write_receipt = dying  # type: ignore[method-assign]
            yield work


@pytest.mark.parametrize("stage", STAGES)
def test_killed_between_effect_and_receipt(world: World, stage: Stage) -> None:
    """Whatever stage a run dies in after its effect, the next run completes with one of everything (acceptance 3)."""
    living = world.ports.ledger
    died = False

    def go() -> Gate | Verdict:
        nonlocal died
        world.ports.ledger = DyingLedger(living, stage)
        try:
            result = world.run()
        except KilledError:
            died = True
            world.ports.ledger = living
            result = world.run()
        finally:
            world.ports.ledger = living
        assert isinstance(result, Gate | Verdict)
        return result

    world.start()
    go()
    world.approve()
    go()
    world.submit(world.create_integration())
    go()
    world.consent(world.link())
    assert isinstance(go(), Verdict)
    assert died
    assert one_of_everything(world)


def test_begin_without_an_attempt(world: World) -> None:
    """A run from Prefect's own pages takes the registered manifest, and the active attempt if there is one."""
    attempt = world.start().attempt
    run = world.begin_from_prefect()
    assert (run.attempt_id, run.digest) == (attempt.id, world.sealed().digest)


def test_begin_of_an_unknown_integration(world: World) -> None:
    """Without a registered manifest there is nothing to run, and the words say how to register one."""
    with world.refused(RefusedError, "no manifest is registered") as told:
        world.begin_from_prefect()
    assert "keyturn onboard" in told.value.remedy


def test_begin_of_somebody_elses_attempt(world: World, new_world: Callable[..., World]) -> None:
    """A run whose parameters do not fit takes no number, so that nobody else's run stops."""
    other = new_world()
    other.start()
    run = other.begin()
    with world.refused(RefusedError, f"is about {other.key}"):
        execution.begin(world.ports.ledger, str(world.key), str(other.attempt.id), uuid4())
    assert isinstance(other.stage(Stage.REGISTER, run), Receipt)


@pytest.mark.parametrize("attempt", ["first", "00000000-0000-0000-0000-000000000000"])
def test_begin_of_no_attempt(world: World, attempt: str) -> None:
    """What is not the id of an attempt is refused in words."""
    with world.refused(RefusedError):
        execution.begin(world.ports.ledger, str(world.key), attempt, uuid4())


def form_gate(world: World) -> Gate:
    """Up to the approval, which Prefect's form may give."""
    world.start(sealed=world.sealed(approval={"channel": "prefect"}))
    return world.waits()


def record(world: World, gate: UUID, *, approved: bool = True) -> None:
    """Somebody has filled in Prefect's form."""
    ledger = world.ports.ledger
    execution.record_form(ledger, world.last, gate, approved=approved, name="Alice?", note="from the form")


def test_prefects_form(world: World) -> None:
    """Where the policy says so, Prefect's form counts, and the trail says that the name is only what was typed."""
    record(world, form_gate(world).id)
    assert world.waits().kind is GateKind.GONG_ADMIN
    entry = next(entry for entry in world.trail if entry.event == "gate.decided_by_form")
    assert (entry.detail["channel"], entry.detail["name_as_typed"], entry.actor) == ("prefect", "Alice?", "system")


def test_prefects_form_says_no(world: World) -> None:
    """A no in Prefect's form ends the attempt."""
    record(world, form_gate(world).id, approved=False)
    with world.refused(StageFailedError, "approve was rejected by .*: from the form"):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_prefects_form_at_another_gate(world: World) -> None:
    """Where signed-in people decide, Prefect's form does not count (acceptance 6)."""
    gate = world.to_approval()
    with world.refused(NotPermittedError, "Prefect's form does not count at this gate"):
        record(world, gate.id)
    assert world.waits().state is GateState.OPEN


def test_prefects_form_too_late(world: World) -> None:
    """A form for a gate that is closed by now changes nothing."""
    gate = form_gate(world)
    world.start(sealed=world.sealed("Another", approval={"channel": "prefect"}))
    world.waits()
    record(world, gate.id)
    assert [known.state for known in world.gates(GateKind.APPROVE)] == [GateState.VOID, GateState.OPEN]


def test_summary_names_the_first_failure(world: World) -> None:
    """The line of a failed verdict says which layer failed, on what evidence, and what to do."""
    verdict = world.completed()
    failed = replace(verdict.layers[1], status=LayerStatus.FAILED, evidence="wrong pair", remedy="Copy it again.")
    spoiled = Verdict((verdict.layers[0], failed, *verdict.layers[2:]))
    with world.refused(StageFailedError, "L1 failed, L2 passed, L3 passed; L1: wrong pair → Copy it again"):
        execution.summary(world.last, spoiled)
