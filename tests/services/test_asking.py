"""Stages `approve` and `gong_admin`, and the decisions that they wait for."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import AttemptState, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.errors import (
    ConfigurationError,
    DigestChangedError,
    GateClosedError,
    KeyturnError,
    NotPermittedError,
    StageFailedError,
    UnavailableError,
)
from keyturn.ports import RunState
from keyturn.services import asking, decide
from tests.services.world import World


def test_approval_is_asked_once(world: World) -> None:
    """The gate names the digest, the requester and who may answer; running again opens no second one."""
    gate = world.to_approval()
    assert (gate.kind, gate.digest) == (GateKind.APPROVE, world.sealed().digest)
    assert (gate.requester, gate.needed, gate.groups) == (world.person("alice").id, 1, ("approver",))
    assert world.waits() == gate


def test_approval_resumes_the_run(world: World) -> None:
    """A decision wakes the suspended run, and its receipt says who approved and why."""
    world.to_approval()
    assert world.approve(note="looks right").resumed
    assert world.run_state is RunState.MOVING
    assert world.waits().kind is GateKind.GONG_ADMIN
    body = world.receipt(Stage.APPROVE).body
    assert (body["by"], body["note"]) == (["userpass-bob"], "looks right")
    assert world.owed() == []


def test_self_approval(world: World) -> None:
    """Whoever started the attempt cannot approve it, in whatever group they are (acceptance 6)."""
    world.start("bob")
    world.waits()
    with world.refused(NotPermittedError, "userpass-bob started this attempt and cannot approve it") as told:
        world.approve("bob")
    assert "Ask somebody else of: approver" in told.value.remedy
    assert world.approve("erin").gate.state is GateState.APPROVED


def test_approval_by_somebody_of_another_group(world: World) -> None:
    """Only a member of one of the policy's groups can approve."""
    world.to_approval()
    with world.refused(NotPermittedError, "userpass-grace is in none of the groups approver"):
        world.approve("grace")
    assert world.gate(GateKind.APPROVE).decisions == ()


def test_two_approvals(world: World) -> None:
    """With a policy of two, the first approval does not open the way, and one person cannot give both."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    world.waits()
    first = world.approve("bob")
    assert (first.gate.state, first.resumed) == (GateState.OPEN, False)
    with world.refused(NotPermittedError, "has decided here already"):
        world.approve("bob")
    assert world.waits().kind is GateKind.APPROVE
    assert world.approve("erin").gate.state is GateState.APPROVED
    world.waits()
    assert world.receipt(Stage.APPROVE).body["by"] == ["userpass-bob", "userpass-erin"]


def test_second_decision(world: World) -> None:
    """Once a gate is decided, nobody else's word changes it (acceptance 6)."""
    digest = world.to_approval().digest
    world.approve("bob")
    for name in ("bob", "erin"):
        with world.refused(GateClosedError, "this gate is approved already"):
            world.approve(name, digest)
    with world.refused(GateClosedError, "nothing is being asked"):
        world.reject("erin")


def test_approval_of_a_changed_digest(world: World) -> None:
    """Who has read an older manifest approves nothing (acceptance 6)."""
    seen = world.to_approval().digest
    world.start(sealed=world.sealed("Calls and users"))
    world.waits()
    with world.refused(DigestChangedError, "The manifest has changed: read the new kit"):
        world.approve(digest=seen)
    assert [gate.state for gate in world.gates(GateKind.APPROVE)] == [GateState.VOID, GateState.OPEN]


def test_whoever_changes_the_manifest_is_its_requester(world: World) -> None:
    """Bob changes the manifest of Alice's attempt, and may not approve it then."""
    world.to_approval()
    started = world.start("bob", world.sealed("What Bob wants"))
    assert started.opened.changed
    gate = world.waits()
    assert gate.requester == world.person("bob").id
    with world.refused(NotPermittedError, "userpass-bob started this attempt"):
        world.approve("bob")
    world.approve("erin")
    assert world.waits().digest == world.sealed("What Bob wants").digest


def test_approval_given_before_a_change_does_not_count(world: World) -> None:
    """A change after the approval asks again, even if the manifest changes back to what was approved."""
    world.to_approval()
    world.approve("bob")
    world.start("alice", world.sealed("Another one"))
    world.waits()
    world.start("alice", world.sealed())
    gate = world.waits()
    assert (gate.kind, gate.state, gate.decisions) == (GateKind.APPROVE, GateState.OPEN, ())


def test_rejection_ends_the_attempt(world: World) -> None:
    """The attempt ends as rejected, with the person's reason, and says what to do next."""
    world.to_approval()
    assert world.reject("bob", "the scopes are too wide").resumed
    with world.refused(StageFailedError, "approve was rejected by userpass-bob: the scopes are too wide") as told:
        world.run()
    assert "run `keyturn onboard` again" in told.value.remedy
    attempt = world.attempt
    assert (attempt.state, attempt.reason) == (
        AttemptState.REJECTED,
        "approve rejected by userpass-bob: the scopes are too wide",
    )


def test_rejection_by_gongs_admin(world: World) -> None:
    """Whoever is asked to act in Gong can decline, and the attempt ends."""
    world.to_intake()
    world.reject("grace", "we have one already")
    with world.refused(StageFailedError, "gong_admin was rejected by userpass-grace: we have one already"):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_one_rejection_outweighs_an_approval(world: World) -> None:
    """With a policy of two, one yes and one no is a no."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    world.waits()
    world.approve("bob")
    assert world.reject("erin").gate.state is GateState.REJECTED


def test_rejected_attempt_goes_on_with_a_changed_manifest(world: World) -> None:
    """If the rejected run never took notice, a corrected manifest takes the attempt over."""
    world.to_approval()
    world.reject("bob")
    started = world.start("alice", world.sealed("Corrected"))
    assert started.opened.changed
    assert world.waits().digest == world.sealed("Corrected").digest


def test_expired_gate_is_asked_afresh(world: World) -> None:
    """An answer after the re-arm time is refused in words that help, and the question is asked anew (acceptance 6)."""
    old = world.to_approval()
    world.clock.move(days=40)
    with world.refused(GateClosedError, "the question of 2026-03-02 has expired and is asked afresh") as told:
        world.approve()
    assert "Nothing was recorded" in told.value.remedy
    new = world.gate(GateKind.APPROVE)
    assert (new.id != old.id, new.digest, new.requester) == (True, old.digest, old.requester)
    assert world.approve().resumed
    assert world.waits().kind is GateKind.GONG_ADMIN


def test_expired_gate_forgets_its_decisions(world: World) -> None:
    """An approval of the expired question does not count towards the fresh one."""
    world.start(sealed=world.sealed(approval={"approvals": 2}))
    world.waits()
    world.approve("bob")
    world.clock.move(days=40)
    world.ports.ledger.rearm(world.clock.now())
    world.approve("erin")
    assert world.waits().kind is GateKind.APPROVE
    assert world.approve("bob").gate.state is GateState.APPROVED


def test_approval_after_completion(world: World) -> None:
    """When everything is done, nothing can be approved or rejected."""
    digest = world.sealed().digest
    world.completed()
    with world.refused(GateClosedError, "this is not being asked"):
        world.approve(digest=digest)
    with world.refused(GateClosedError, "nothing is being asked about this integration"):
        world.reject()


def test_unknown_requester_needs_one_more(world: World) -> None:
    """A run from Prefect's own pages has no requester, so two people approve instead of one."""
    world.to_approval()
    world.reject()
    with world.refused(StageFailedError):
        world.run()
    world.begin_from_prefect()
    gate = world.waits()
    assert (gate.requester, gate.needed) == (None, 2)
    assert world.approve("bob").gate.state is GateState.OPEN
    assert world.approve("erin").gate.state is GateState.APPROVED


@pytest.mark.parametrize(
    "failure",
    [
        UnavailableError("Prefect", "cannot be reached"),
        ConfigurationError("PREFECT_API_URL", "is not set"),
    ],
)
def test_decision_outlives_prefect(world: World, failure: KeyturnError) -> None:
    """If Prefect cannot be asked to resume, the decision stands, and the resume is owed."""
    world.to_approval()
    world.runs.failures.append(failure)
    decided = world.approve()
    assert (decided.gate.state, decided.resumed) == (GateState.APPROVED, False)
    assert [gate.id for gate in world.owed()] == [decided.gate.id]
    assert world.waits().kind is GateKind.GONG_ADMIN


def test_decision_while_the_run_moves(world: World) -> None:
    """A run that is not suspended yet cannot be resumed, so its resume is owed until somebody repeats it."""
    gate = world.to_approval()
    world.run_is(RunState.MOVING)
    assert not world.approve().resumed
    assert [owed.id for owed in world.owed()] == [gate.id]
    world.run_is(RunState.SUSPENDED)
    assert decide.pass_on(world.ports.ledger, world.runs, world.owed()[0])
    assert world.owed() == []


def test_resume_without_a_decision(world: World) -> None:
    """A run that somebody resumes in Prefect finds its gate undecided, and waits again (acceptance 6)."""
    gate = world.to_approval()
    assert world.runs.resume(world.run_id)
    assert world.waits() == gate


def test_receipt_stands(world: World) -> None:
    """Asking again after the answer gives the receipt, whatever happened to the gate since."""
    world.to_intake()
    run = world.begin()
    result = asking.ask_approval(world.ports.ledger, world.clock, run)
    assert isinstance(result, Receipt)
    assert isinstance(asking.ask_gong_admin(world.ports.ledger, world.clock, run), Gate)
