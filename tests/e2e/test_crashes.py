"""`kill -9` in every stage, orphans beside retries, and answers that never came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyturn.domain.attempt import STAGES, Stage
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey


@pytest.fixture(scope="module", autouse=True)
def _nobody_watches(world: Any) -> Iterator[None]:
    """The watch would start a killed run again before these tests do: here it makes its rounds only when asked to."""
    watch = world.prefect("GET", "/deployments/name/watch/watch")["id"]
    world.prefect("POST", f"/deployments/{watch}/pause_deployment")
    yield
    world.prefect("POST", f"/deployments/{watch}/resume_deployment")


def grace_submits(world: Any, cast: Any, key: IntegrationKey) -> None:
    """Fill in Gong's form and hand the pair in."""
    world.gate(key, GateKind.GONG_ADMIN)
    steps = json.loads(cast.grace.must("plan", str(key), "--json"))["kit"]["steps"]
    pair = cast.gong.create_integration(steps)
    cast.grace.must("submit", str(key), "--stdin", given=f"{pair.client_id}\n{pair.client_secret}\n")


def bob_approves(world: Any, cast: Any, key: IntegrationKey) -> None:
    """Approve what is asked."""
    gate = world.gate(key, GateKind.APPROVE)
    cast.bob.must("approve", str(key), "--digest", gate.digest)


def grace_consents(world: Any, cast: Any, key: IntegrationKey) -> None:
    """Open a fresh link and consent."""
    world.gate(key, GateKind.CONSENT)
    assert cast.gong.consent(cast.grace.must("link", str(key)).strip()) == "authenticated"


def assert_exactly_one_of_each(world: Any, key: IntegrationKey, before: dict[str, Any]) -> None:
    """One profile, one account, one CURRENT, counted by the twins and Vault."""
    after = world.effects("stackone")
    assert after["profiles_created"] - before.get("profiles_created", 0) == 1
    assert after["accounts_created"] - before.get("accounts_created", 0) == 1
    pointer = world.ports.secrets.pointer(key)
    assert (pointer.current.version, pointer.pending, pointer.previous) == (1, None, None)
    receipts = world.ports.ledger.receipts(world.now(key).attempt.id)
    assert [r.stage for r in receipts] == list(STAGES)


def test_kill_in_every_stage_after_its_effect_and_the_run_still_completes(world: Any, hold: Any) -> None:
    """Each stage's process dies between effect and receipt; the next one finds what was done and goes on."""
    key = world.integration("killed")
    cast = world.cast
    before = world.effects("stackone")
    acts = {Stage.APPROVE: bob_approves, Stage.GONG_ADMIN: grace_submits, Stage.LINK_ACCOUNT: grace_consents}
    for stage in STAGES:
        hold.at(stage)
        cast.alice.must("onboard", str(key), "--restart")
        if act := acts.get(stage):
            act(world, cast, key)
        world.until(hold.holds, f"{stage} is about to write its receipt")
        world.kill(world.run_of(key))
        hold.let_go()
        world.until(lambda: not hold.holds(), "the database noticed")
        assert stage not in {r.stage for r in world.ports.ledger.receipts(world.now(key).attempt.id)}
    cast.alice.must("onboard", str(key), "--restart")
    assert world.ended(key).attempt.state == "completed"
    assert_exactly_one_of_each(world, key, before)


def test_kill_before_the_effect_of_a_vendors_call_and_a_plain_onboard_goes_on(world: Any) -> None:
    """The process dies while StackOne is silent; once Prefect has noticed, `onboard` starts another run."""
    key = world.integration("silent")
    cast = world.cast
    before = world.effects("stackone")
    cast.alice.must("onboard", str(key))
    bob_approves(world, cast, key)
    world.fault("stackone", match="POST /connector_profiles", kind="silence", seconds=30)
    played = world.effects("stackone")["faults_played"]
    grace_submits(world, cast, key)
    world.until(lambda: world.effects("stackone")["faults_played"] > played, "StackOne is silent")
    world.kill(world.run_of(key))
    assert "goes on from the receipts" in cast.alice.must("onboard", str(key))
    grace_consents(world, cast, key)
    assert world.ended(key).attempt.state == "completed"
    assert_exactly_one_of_each(world, key, before)


def test_a_lost_answer_to_create_profile_makes_no_second_one(world: Any) -> None:
    """Sent, and no answer: the profile is looked for before anything else is done."""
    key = world.integration("lost")
    cast = world.cast
    before = world.effects("stackone")
    cast.alice.must("onboard", str(key))
    bob_approves(world, cast, key)
    world.fault("stackone", match="POST /connector_profiles", kind="drop_after")
    grace_submits(world, cast, key)
    grace_consents(world, cast, key)
    assert world.ended(key).attempt.state == "completed"
    assert_exactly_one_of_each(world, key, before)


def test_an_orphan_beside_a_retry_is_refused_and_the_result_is_as_from_one(world: Any, hold: Any) -> None:
    """Two processes execute one attempt: the older one is stopped at its next step."""
    key = world.integration("orphan")
    cast = world.cast
    before = world.effects("stackone")
    cast.alice.must("onboard", str(key))
    bob_approves(world, cast, key)
    hold.at(Stage.CREATE_PROFILE)
    grace_submits(world, cast, key)
    world.until(hold.holds, "the first process has made the profile")
    orphan = world.run_of(key)
    with ThreadPoolExecutor() as threads:
        restarted = threads.submit(cast.alice.must, "onboard", str(key), "--restart")
        # The first at the hold; the command, which wants to note the new run; and the second, for its number.
        world.until(lambda: hold.queue() > 2, "the second process waits for its number")
        hold.let_go()
        restarted.result()
    assert world.run_of(key) != orphan
    grace_consents(world, cast, key)
    assert world.ended(key).attempt.state == "completed"
    world.until(lambda: world.run(orphan)["state_type"] == "FAILED", "the orphan was refused")
    assert "Superseded" in world.run(orphan)["state"]["message"]
    assert_exactly_one_of_each(world, key, before)


def test_two_onboards_at_once_make_one_attempt_and_two_integrations_both_go_through(world: Any) -> None:
    """One active attempt per integration; different integrations do not wait for each other."""
    one, other = world.integration("twice"), world.integration("beside")
    alice = world.hands("alice")
    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda k: json.loads(alice.must("onboard", str(k), "--json")), [one, one, other]))
    assert done[0]["attempt"] == done[1]["attempt"] != done[2]["attempt"]
    assert sorted(d["created"] for d in done[:2]) == [False, True]
    assert len(world.ports.ledger.attempts(one)) == 1
    runs = world.prefect("POST", "/flow_runs/filter", {"flow_runs": {"tags": {"all_": [f"integration:{one}"]}}})
    assert len(runs) == 1
    for act in (bob_approves, grace_submits, grace_consents):  # side by side, one step of each in turn
        for key in (one, other):
            act(world, world.cast, key)
    assert [world.ended(key).attempt.state for key in (one, other)] == ["completed", "completed"]


def test_a_consent_long_after_the_run_gave_its_worker_back_is_seen_by_the_watch(world: Any) -> None:
    """A suspended run holds no process; the flow `watch` finds the consent given and wakes the run."""
    key = world.integration("late")
    cast = world.cast
    cast.alice.must("onboard", str(key))
    bob_approves(world, cast, key)
    grace_submits(world, cast, key)
    world.gate(key, GateKind.CONSENT)
    run = world.suspended(key)
    world.until(lambda: not world.processes_of(run), "its process has ended")
    grace_consents(world, cast, key)
    watch = world.prefect("GET", "/deployments/name/watch/watch")
    world.prefect("POST", f"/deployments/{watch['id']}/create_flow_run", {})  # sooner than its schedule
    assert world.ended(key).attempt.state == "completed"
