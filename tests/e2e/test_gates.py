"""Gates and Prefect: what is pressed in Prefect's own pages, and decisions at awkward moments."""

from __future__ import annotations

from typing import Any

from keyturn.domain.attempt import Stage
from keyturn.domain.gate import GateKind
from keyturn.services.decide import pass_on


def test_resume_pressed_in_prefects_pages_does_not_walk_around_an_approval(world: Any) -> None:
    """The run looks at the ledger, sees nothing decided, and suspends again; a real approval then counts."""
    key = world.integration("resumed")
    world.hands("alice").must("onboard", str(key))
    gate = world.gate(key, GateKind.APPROVE)
    run = world.suspended(key)
    fence = world.now(key).attempt.fence
    assert world.prefect("POST", f"/flow_runs/{run}/resume", {})["status"] == "ACCEPT"
    world.until(lambda: world.now(key).attempt.fence > fence, "the run was executed again")
    world.suspended(key)
    assert world.gate(key, GateKind.APPROVE).id == gate.id
    world.hands("bob").must("approve", str(key), "--digest", gate.digest)
    world.done(key, Stage.APPROVE)


def test_a_decision_in_the_moment_before_the_suspension_is_not_lost(world: Any) -> None:
    """Whoever decides at once may be earlier or later than the suspension: then the run finds out, or is resumed."""
    key = world.integration("hasty")
    world.hands("alice").must("onboard", str(key))
    gate = world.gate(key, GateKind.APPROVE)  # open, while the run still works towards its suspension
    person = world.ports.ledger.attempt(gate.attempt_id).requester
    with world.ports.ledger.deciding(key, GateKind.APPROVE) as at:
        decided = at.decide(someone_else(person), approved=True, digest=gate.digest, note="", answer={})
    pass_on(world.ports.ledger, world.ports.runs, decided)  # as whoever decides does next
    world.done(key, Stage.APPROVE)
    world.gate(key, GateKind.GONG_ADMIN)


def test_where_the_policy_says_so_prefects_form_counts_and_the_trail_says_it(world: Any) -> None:
    """`channel: prefect` is for a single operator; the name is what somebody typed."""
    key = world.integration("single", lambda body: body.update(approval={"channel": "prefect"}))
    alice = world.hands("alice")
    alice.must("onboard", str(key))
    run = world.suspended(key)
    body = {"run_input": {"approved": True, "your_name": "Alice", "note": "alone here"}}
    assert world.prefect("POST", f"/flow_runs/{run}/resume", body)["status"] == "ACCEPT"
    world.done(key, Stage.APPROVE)
    entry = next(e for e in world.ports.ledger.trail(key) if e.event == "gate.decided_by_form")
    assert entry.detail["name_as_typed"] == "Alice"


def test_a_rejection_ends_the_attempt_and_the_run_with_the_reason(world: Any) -> None:
    """A rejected run is not green, and the integration can be started again."""
    key = world.integration("rejected")
    alice = world.hands("alice")
    alice.must("onboard", str(key))
    world.suspended(key)
    world.hands("bob").must("reject", str(key), "--reason", "wrong domains")
    over = world.ended(key)
    assert over.attempt.state == "rejected"
    assert "wrong domains" in over.attempt.reason
    run = world.run_of(key)
    world.until(lambda: world.run(run)["state_type"] == "FAILED", "the run failed")
    assert "attempt" in alice.must("onboard", str(key))
    assert world.now(key).attempt.state == "active"


def test_a_changed_manifest_voids_the_open_gate_and_asks_again(world: Any) -> None:
    """The approval is about a digest; another digest is another question."""
    key = world.integration("changed")
    alice = world.hands("alice")
    alice.must("onboard", str(key))
    first = world.gate(key, GateKind.APPROVE)
    world.suspended(key)
    world.integration("changed", lambda body: body["gong"].update(description="Another description."))
    alice.must("onboard", str(key))
    again = world.until(
        lambda: next((g for g in world.now(key).gates if g.digest != first.digest), None), "a gate for the new digest"
    )
    refused = world.hands("bob").run("approve", str(key), "--digest", first.digest)
    assert refused.returncode == 1
    assert "digest" in refused.stderr
    world.suspended(key)
    world.hands("bob").must("approve", str(key), "--digest", again.digest)
    world.done(key, Stage.APPROVE)


def test_an_abandoned_attempt_leaves_no_run_suspended_for_ever(world: Any) -> None:
    """Its run is woken, finds the attempt ended, and stops."""
    key = world.integration("abandoned")
    alice = world.hands("alice")
    alice.must("onboard", str(key))
    run = world.suspended(key)
    alice.must("abandon", str(key), "--reason", "not needed")
    assert world.now(key).attempt.state == "abandoned"
    world.until(lambda: world.run(run)["state_type"] == "FAILED", "the run ended")


def someone_else(requester: str | None) -> Any:
    """An approver who did not start the attempt."""
    from keyturn.domain.gate import Person  # noqa: PLC0415  only here

    assert requester != "vault:entity/erin"
    return Person("vault:entity/erin", "userpass-erin", frozenset({"approver"}), "test")
