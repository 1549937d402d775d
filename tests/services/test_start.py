"""Starting an integration, going on with it, and ending it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from keyturn.domain.attempt import AttemptState, Receipt, Stage
from keyturn.domain.gate import GateKind
from keyturn.errors import NotPermittedError, RefusedError, SupersededError, UnavailableError
from keyturn.ports import RunState
from keyturn.services.start import Started, abandon, start
from tests.services.world import World


def test_first_start(world: World) -> None:
    """Starting opens an attempt, remembers who started it, and has a run carry it."""
    started = world.start()
    assert (started.opened.created, started.run_started) == (True, True)
    assert started.attempt.requester == world.person("alice").id
    assert world.runs.states == {started.attempt.flow_run_id: RunState.MOVING}
    assert world.events == ["attempt.opened"]


def test_start_again(world: World) -> None:
    """Starting an integration that is under way gives the same attempt and the same run."""
    first = world.start()
    world.waits()
    again = world.start("bob")
    assert (again.opened.created, again.opened.changed, again.run_started) == (False, False, False)
    assert (again.attempt.id, again.attempt.flow_run_id) == (first.attempt.id, first.attempt.flow_run_id)
    assert again.attempt.requester == world.person("alice").id
    assert world.run_state is RunState.SUSPENDED


def test_two_starts_at_once(world: World) -> None:
    """Two people who start one integration at the same moment get one attempt and one run (acceptance 7)."""
    together, sealed = Barrier(4), world.sealed()

    def begin(name: str) -> Started:
        together.wait()
        return world.start(name, sealed)

    with ThreadPoolExecutor(4) as threads:
        started = list(threads.map(begin, ["alice", "bob", "erin", "grace"]))
    assert len({one.attempt.id for one in started}) == 1
    assert [one.opened.created for one in started].count(True) == 1
    assert len(world.runs.states) == 1
    assert len(world.ports.ledger.attempts(world.key)) == 1


def test_two_integrations_at_once(new_world: Callable[..., World]) -> None:
    """Two integrations go through side by side, each with its own profile and account (acceptance 7)."""
    worlds = [new_world(), new_world()]
    for world in worlds:
        world.to_intake()
        world.submit(world.create_integration())
    with ThreadPoolExecutor(2) as threads:
        gates = list(threads.map(lambda world: world.waits(), worlds))
    assert [gate.kind for gate in gates] == [GateKind.CONSENT] * 2
    for world in worlds:
        world.consent(world.link())
    with ThreadPoolExecutor(2) as threads:
        assert all(verdict.proven for verdict in threads.map(lambda world: world.ends(), worlds))
    twins = worlds[0].twins
    assert {profile["name"] for profile in twins.profiles()} == {world.profile_name for world in worlds}
    assert len(twins.accounts()) == 2


@pytest.mark.parametrize("state", [RunState.ENDED, RunState.UNKNOWN])
def test_run_that_is_over(world: World, state: RunState) -> None:
    """If the last run is over, or Prefect has lost it, another one goes on from the receipts."""
    world.to_intake()
    before = world.run_id
    world.run_is(state)
    started = world.start()
    assert (started.run_started, started.opened.created) == (True, False)
    assert world.run_id != before
    assert world.waits().kind is GateKind.GONG_ADMIN


def test_two_starts_after_the_run_is_over(world: World) -> None:
    """Two people who notice the dead run at the same moment start one new run."""
    world.to_approval()
    world.run_is(RunState.ENDED)
    together = Barrier(2)

    def begin(name: str) -> Started:
        together.wait()
        return world.start(name)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(begin, ["alice", "bob"]))
    assert len(world.runs.states) == 2


def test_prefect_was_away(world: World) -> None:
    """If no run could be started, starting again starts one for the same attempt."""
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    with world.refused(UnavailableError):
        world.start()
    attempt = world.attempt
    assert attempt.flow_run_id is None
    started = world.start()
    assert (started.attempt.id, started.run_started) == (attempt.id, True)


def test_restart(world: World) -> None:
    """With `restart` another run is started although Prefect says that one moves; the older one is fenced off."""
    world.start()
    old = world.begin()
    before = world.run_id
    started = world.start(restart=True)
    assert (started.run_started, world.run_id != before) == (True, True)
    world.waits()
    with world.refused(SupersededError):
        world.stage(Stage.REGISTER, old)


def test_restart_of_a_suspended_run(world: World) -> None:
    """A suspended run is woken by `restart`: a second one beside it would be of no use."""
    world.to_approval()
    before = world.run_id
    assert not world.start(restart=True).run_started
    assert (world.run_id, world.run_state) == (before, RunState.MOVING)


def test_changed_manifest_while_suspended(world: World) -> None:
    """A changed manifest wakes the suspended run, which asks for approval of the new digest."""
    world.to_intake()
    before = world.run_id
    started = world.start(sealed=world.sealed("New words"))
    assert (started.opened.changed, started.run_started, world.run_id) == (True, False, before)
    assert world.run_state is RunState.MOVING
    gate = world.waits()
    assert (gate.kind, gate.digest) == (GateKind.APPROVE, world.sealed("New words").digest)


def test_changed_manifest_while_moving(world: World) -> None:
    """A run that moves is fenced off by the change and stops, so another one is started for the new manifest."""
    world.start()
    old = world.begin()
    started = world.start(sealed=world.sealed("New words"))
    assert (started.opened.changed, started.run_started) == (True, True)
    with world.refused(SupersededError, "the manifest has changed"):
        world.stage(Stage.REGISTER, old)
    assert world.waits().digest == world.sealed("New words").digest


def test_changed_manifest_after_the_hand_over(world: World) -> None:
    """Once a secret was handed in for a manifest, another manifest is refused, and says what can be done."""
    world.handed_in()
    with world.refused(RefusedError, "holds a secret handed in for manifest") as told:
        world.start(sealed=world.sealed("Too late"))
    assert "abandon" in told.value.remedy
    assert world.waits().kind is GateKind.CONSENT
    with world.refused(RefusedError):
        world.start(sealed=world.sealed("Much too late"))


def test_start_after_completion(world: World) -> None:
    """After a completed attempt, starting opens another one."""
    world.completed()
    first = world.attempt.id
    started = world.start()
    assert (started.opened.created, started.attempt.id != first) == (True, True)
    assert world.waits().kind is GateKind.APPROVE


def test_abandon(world: World) -> None:
    """Who started an attempt can end it: its gates are void, and its run wakes to find that out."""
    world.to_intake()
    ended = abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "the tenant has left")
    assert (ended.state, ended.reason) == (AttemptState.ABANDONED, "the tenant has left")
    assert world.ports.ledger.gates(key=world.key) == []
    assert world.run_state is RunState.MOVING
    with world.refused(RefusedError, "its attempt has ended as abandoned"):
        world.run()


def test_abandon_without_prefect(world: World) -> None:
    """If Prefect cannot be asked to wake the run, the attempt has ended all the same."""
    world.to_approval()
    world.runs.failures.append(UnavailableError("Prefect", "cannot be reached"))
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "no more")
    assert world.attempt.state is AttemptState.ABANDONED


def test_abandon_keeps_what_was_stored(world: World) -> None:
    """What is in Vault and StackOne stays as it is, and the next attempt takes the profile over."""
    world.to_consent()
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "once more from the start")
    assert world.pointer.current is not None
    world.completed()
    assert len(world.twins.profiles()) == 1


def test_abandon_by_somebody_else(world: World) -> None:
    """Neither an approver nor Gong's admin ends somebody else's attempt; an operator does."""
    world.start("bob")
    with world.refused(NotPermittedError, "neither started this attempt nor is an operator"):
        abandon(world.ports.ledger, world.runs, world.person("erin"), world.key, "because")
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "as operator")
    with world.refused(RefusedError, "has no active attempt"):
        abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "again")


def test_run_of_an_abandoned_attempt(world: World) -> None:
    """A run in the middle of its stages is refused once the attempt was abandoned."""
    world.start()
    run = world.begin()
    assert isinstance(world.stage(Stage.REGISTER, run), Receipt)
    abandon(world.ports.ledger, world.runs, world.person("alice"), world.key, "stop")
    with world.refused(SupersededError, "the attempt has ended as abandoned"):
        world.stage(Stage.APPROVE, run)


def test_only_requesters_and_operators_start(world: World) -> None:
    """An approver could otherwise replace the manifest of somebody's attempt and become its requester."""
    with world.refused(NotPermittedError, "in none of the groups operator, requester"):
        start(world.ports.ledger, world.runs, world.sealed(), world.person("bob"))
    assert world.ports.ledger.attempts(world.key) == []
