"""A rotation on the whole sandbox, with the people's own commands, Prefect's processes and the vendors' pages."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from keyturn.domain.attempt import ROTATION_STAGES, AttemptState, Halt, Stage
from keyturn.domain.credential import Credential, ProbeOutcome
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.rotation import RotationState
from keyturn.sandbox.people import Pair
from keyturn.sandbox.prefect import run_now
from keyturn.services.journey import StepState

DAY_AND_A_BIT = timedelta(hours=26)


@pytest.fixture(scope="module")
def onboarded(world: Any) -> IntegrationKey:
    """An integration that was onboarded, for all tests of this file."""
    key: IntegrationKey = world.integration("turning", lambda body: body["rotation"].update(every_days=9))
    cast = world.cast
    cast.alice.must("onboard", str(key))
    digest = world.gate(key, GateKind.APPROVE).digest
    cast.bob.must("approve", str(key), "--digest", digest)
    world.gate(key, GateKind.GONG_ADMIN)
    steps = json.loads(cast.grace.must("plan", str(key), "--json"))["kit"]["steps"]
    pair = cast.gong.create_integration(steps)
    cast.grace.must("submit", str(key), "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")
    world.gate(key, GateKind.CONSENT)
    cast.gong.consent(cast.grace.must("link", str(key)).strip())
    assert world.ended(key).attempt.state is AttemptState.COMPLETED
    return key


def to_click(world: Any, key: IntegrationKey) -> None:
    """Up to the question for the click, after somebody or something has started the rotation."""
    digest = world.gate(key, GateKind.APPROVE).digest
    world.cast.bob.must("approve", str(key), "--digest", digest)
    world.gate(key, GateKind.GONG_ROTATION)


def clicks(world: Any, key: IntegrationKey) -> Pair:
    """Grace presses *Rotate secret*, and hands the new one in."""
    hours = int(str(world.gate(key, GateKind.GONG_ROTATION).question["grace_hours"]))
    pair: Pair = world.cast.gong.rotate_secret(world.cast.gong.integration_of(world.client_id(key)), hours)
    world.cast.grace.must("submit", str(key), "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")
    return pair


def sweep(world: Any, key: IntegrationKey) -> str:
    """Have Prefect run the sweep now; gives what it did about the integration."""
    with httpx.Client(trust_env=False) as client:
        run = run_now(client, world.running.prefect.api_url, "sweep/sweep")
    world.until(lambda: world.run(run)["state_type"] == "COMPLETED", "the sweep has run")
    (shown,) = world.prefect("POST", "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["sweep"]}}})
    return next(str(row["what"]) for row in json.loads(shown["data"]) if row["integration"] == str(key))


def requester(world: Any, key: IntegrationKey) -> str:
    """Who or what started the newest attempt."""
    return str(world.now(key).attempt.requester)


def in_the_profile(world: Any, key: IntegrationKey) -> str:
    """The client secret that StackOne uses, which no call of it tells: the twin keeps it."""
    kept = json.loads((world.running.children.state / "stackone.json").read_text())
    (profile,) = (p for p in kept["profiles"] if p["public"]["name"] == f"Gong {key.tenant}")
    return str(profile["client_secret"])


def told(world: Any, key: IntegrationKey, event: str) -> None:
    """Wait until Prefect's events tell how the newest attempt of an integration ended, and nothing else about that."""
    attempt = str(world.now(key).attempt.id)
    resource = {"id": [f"keyturn.integration.{key.tenant}.{key.environment}"]}

    def names() -> set[str]:
        found = world.prefect("POST", "/events/filter", {"filter": {"resource": resource}, "limit": 50})["events"]
        return {e["event"] for e in found if e["payload"].get("attempt") == attempt and ".rotation." in e["event"]}

    world.until(lambda: event in names(), f"Prefect tells {event}")
    assert names() == {event}


def test_a_rotation_goes_from_due_to_done_with_two_people(world: Any, onboarded: IntegrationKey) -> None:
    """A sweep starts it; two people and the grace's end: the old secret stops working, the account works throughout."""
    key, ports = onboarded, world.ports
    assert sweep(world, key) == "not_due"
    world.running.advance(timedelta(days=9))
    assert sweep(world, key) == "start"
    old = ports.secrets.read(ports.secrets.pointer(key).current)
    account = world.account_of(key)
    to_click(world, key)
    assert requester(world, key) == "system:sweep"
    new = clicks(world, key)
    world.gate(key, GateKind.PROOF)
    assert ports.hub.list_users(account).ok
    world.running.advance(DAY_AND_A_BIT)
    world.gate(key, GateKind.GRACE)
    assert ports.hub.list_users(account).ok
    assert ports.gong.probe(old).outcome is ProbeOutcome.VALID
    world.running.advance(timedelta(days=7))
    last = world.ended(key)
    assert (last.attempt.state, last.rotation) == (AttemptState.COMPLETED, RotationState.DONE)
    assert [s.stage for s in last.steps if s.state is StepState.DONE] == list(ROTATION_STAGES)
    assert ports.gong.probe(old).outcome is ProbeOutcome.WRONG_PAIR
    assert ports.gong.probe(Credential(new.client_id, new.client_secret)).outcome is ProbeOutcome.VALID
    assert ports.hub.list_users(account).ok
    said = json.loads(world.cast.alice.must("status", str(key), "--json"))
    assert (said["kind"], said["rotation"]) == ("rotation", "done")
    told(world, key, "keyturn.rotation.done")


def test_a_process_killed_after_each_effect_of_a_rotation_is_started_again_by_the_watch(
    world: Any, onboarded: IntegrationKey, hold: Any
) -> None:
    """In each stage the flow's process is killed between effect and receipt; nobody but the watch starts it again."""
    key = onboarded
    versions = world.versions(key)
    acts = {
        Stage.APPROVE: lambda: world.cast.bob.must(
            "approve", str(key), "--digest", world.gate(key, GateKind.APPROVE).digest
        ),
        Stage.GONG_ROTATION: lambda: clicks(world, key),
        Stage.VERIFY: lambda: world.running.advance(DAY_AND_A_BIT),
        Stage.RETIRE: lambda: world.running.advance(timedelta(days=7)),
    }
    waits = {Stage.VERIFY: GateKind.PROOF, Stage.RETIRE: GateKind.GRACE}
    hold.at(ROTATION_STAGES[0])
    world.cast.alice.must("rotate", str(key))
    for stage, following in zip(ROTATION_STAGES, [*ROTATION_STAGES[1:], None], strict=True):
        if stage in waits:
            world.gate(key, waits[stage])
        if stage in acts:
            acts[stage]()
        world.until(hold.holds, f"{stage} is held after its effect")
        world.kill(world.run_of(key))
        hold.let_go()
        if following is not None:
            hold.at(following)
        world.watched_until(lambda stage=stage: world.is_done(key, stage), f"{stage} is done after a kill")
    assert world.ended(key).attempt.state is AttemptState.COMPLETED
    assert world.versions(key) == versions + 1
    assert world.now(key).attempt.halt is Halt.NONE


def test_a_rotation_is_rolled_back_although_the_process_that_did_it_was_killed(
    world: Any, onboarded: IntegrationKey, hold: Any
) -> None:
    """The older secret is in the profile again, the new one stays pending, and Prefect's run is not green."""
    key, ports = onboarded, world.ports
    old = ports.secrets.read(ports.secrets.pointer(key).current)
    world.cast.alice.must("rotate", str(key))
    to_click(world, key)
    new = clicks(world, key)
    world.gate(key, GateKind.PROOF)
    assert in_the_profile(world, key) == new.client_secret
    hold.at(Stage.ROLL_BACK)
    world.cast.alice.must("rotate", "rollback", str(key), "--reason", "customers complain")
    world.watched_until(hold.holds, "the rollback is held after its effect")
    world.kill(world.run_of(key))
    hold.let_go()
    world.watched_until(lambda: world.now(key).attempt.halt is not Halt.NONE, "the rotation is halted")
    assert world.now(key).attempt.halt is Halt.ROLLED_BACK
    assert in_the_profile(world, key) == old.reveal()
    assert ports.secrets.read(ports.secrets.pointer(key).pending).reveal() == new.client_secret
    run = world.run_of(key)
    world.until(lambda: world.run(run)["state_type"] == "FAILED", "the run says that the rotation failed")
    told(world, key, "keyturn.rotation.rolled_back")


def test_the_watch_runs_by_its_schedule(world: Any) -> None:
    """Prefect's scheduler plans rounds of the watch and of the sweep by itself."""
    for name in ("watch/watch", "sweep/sweep"):
        deployment = world.prefect("GET", f"/deployments/name/{name}")["id"]
        wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"tags": {"all_": ["auto-scheduled"]}}}
        world.until(lambda wanted=wanted: world.prefect("POST", "/flow_runs/filter", wanted), f"{name} is scheduled")
