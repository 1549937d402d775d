"""Stages `fetch_secret` and `store_secret`: what Vault's pointer says, and when a pair is asked for again."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import Stage
from keyturn.domain.credential import Credential
from keyturn.domain.gate import GateKind, GateState
from keyturn.errors import CredentialRefusedError, StageFailedError, SupersededError
from keyturn.ports import RunState
from keyturn.sandbox.people import Pair
from keyturn.services.stage import credential_ref
from tests.services.world import World


def test_fetched_pair_is_pending(world: World) -> None:
    """After `fetch_secret` the pair is PENDING, and nothing is CURRENT yet."""
    world.handed_in()
    world.run(Stage.FETCH_SECRET)
    ref = credential_ref(world.receipt(Stage.FETCH_SECRET))
    assert (world.pointer.pending, world.pointer.current) == (ref, None)


def test_stored_pair_is_current(world: World) -> None:
    """After `store_secret` the pair is CURRENT, written by this attempt's execution."""
    world.stored()
    pointer, body = world.pointer, world.receipt(Stage.STORE_SECRET).body
    assert pointer.current == credential_ref(world.receipt(Stage.GONG_ADMIN))
    assert (pointer.pending, pointer.previous) == (None, None)
    assert (pointer.attempt_id, pointer.fence) == (str(world.attempt.id), world.last.fence)
    assert (body["stored_as"], body["proven"], body["pointer"]) == ("current", True, pointer.revision)


def test_stored_once(world: World) -> None:
    """Running again does not write the pointer again, and does not ask Gong again."""
    world.stored()
    revision, calls = world.pointer.revision, world.twins.calls(world.twins.gong)
    world.run(Stage.STORE_SECRET)
    assert (world.pointer.revision, world.twins.calls(world.twins.gong)) == (revision, calls)


def test_out_of_order(world: World) -> None:
    """A stage whose predecessor has no receipt says so, and does nothing."""
    world.to_intake()
    run = world.begin()
    with world.refused(StageFailedError, "there is no receipt of gong_admin yet"):
        world.safekeeping.fetch(run)
    with world.refused(StageFailedError, "there is no receipt of fetch_secret yet"):
        world.safekeeping.store(run)
    assert world.pointer.revision == 0


def test_pair_that_became_wrong(world: World) -> None:
    """A pair that Gong no longer accepts when it is fetched is asked for again, and is never pointed to."""
    pair = world.handed_in()
    world.twins.rotate(pair, grace_hours=0)
    with world.refused(CredentialRefusedError, "Gong does not accept the pair in Vault"):
        world.run()
    assert world.stages == [Stage.REGISTER, Stage.APPROVE]
    old, new = world.gates(GateKind.GONG_ADMIN)
    assert (old.state, new.state) == (GateState.VOID, GateState.OPEN)
    assert old.reason == "Gong does not accept the pair in Vault"
    assert world.pointer.revision == 0


def test_refused_pair_is_not_taken_again(world: World) -> None:
    """The pair that was refused is recognised when it comes again, even if Gong does not say anything now."""
    pair = world.handed_in()
    world.twins.rotate(pair, grace_hours=0)
    with world.refused(CredentialRefusedError):
        world.run()
    world.twins.options(world.twins.gong, token_error_body="text")
    with world.refused(CredentialRefusedError, "this is the pair that Gong refused before"):
        world.submit(pair)
    assert world.versions() == 1


def test_right_pair_after_a_refused_one(world: World) -> None:
    """The pair that works now is taken, and becomes CURRENT as version 2."""
    pair = world.handed_in()
    new = world.twins.rotate(pair, grace_hours=0)
    with world.refused(CredentialRefusedError):
        world.run()
    assert world.waits().kind is GateKind.GONG_ADMIN
    assert world.submit(new).resumed
    world.run(Stage.STORE_SECRET)
    assert world.pointer.current == credential_ref(world.receipt(Stage.STORE_SECRET))
    assert world.receipt(Stage.STORE_SECRET).body["version"] == 2


def test_answer_after_the_run_failed(world: World) -> None:
    """The run that found the pair wrong is over; the answer to its last question starts another one."""
    pair = world.handed_in()
    new = world.twins.rotate(pair, grace_hours=0)
    with world.refused(CredentialRefusedError):
        world.run()
    assert world.run_state is RunState.ENDED
    before = world.run_id
    assert not world.submit(new).resumed
    world.tick()
    assert (world.run_id != before, world.run_state, world.owed()) == (True, RunState.MOVING, [])
    assert world.waits().kind is GateKind.CONSENT


@pytest.mark.parametrize("way", ["delete", "destroy"])
def test_pair_that_is_gone_from_vault(world: World, way: str) -> None:
    """A pair that somebody removed from Vault is asked for again, and may be the same: it was never refused."""
    pair = world.handed_in()
    with world.openbao.api() as api:
        api.write(f"keyturn/{way}/{world.key}/client", {"versions": [1]})
    with world.refused(CredentialRefusedError, "is not in Vault"):
        world.run()
    world.submit(pair)
    assert world.waits().kind is GateKind.CONSENT
    assert world.receipt(Stage.STORE_SECRET).body["version"] == 2


def test_pair_that_was_exchanged_in_vault(world: World) -> None:
    """What lies in Vault must be what was handed in, by its fingerprint."""
    world.handed_in()
    with world.openbao.api() as api:
        api.write(f"keyturn/destroy/{world.key}/client", {"versions": [1]})
        api.delete(f"keyturn/metadata/{world.key}/client")
        forged = {"client_id": "an-id", "client_secret": "kt-put-there-by-somebody"}
        api.write(f"keyturn/data/{world.key}/client", {"options": {"cas": 0}, "data": forged})
    world.secrets.append("kt-put-there-by-somebody")
    with world.refused(CredentialRefusedError, "the fingerprint differs"):
        world.run()
    assert world.gate(GateKind.GONG_ADMIN).state is GateState.OPEN


def unproven(world: World) -> Pair:
    """Complete an attempt, and bring a second one to a stored pair that Gong says nothing of."""
    world.completed()
    world.twins.options(world.twins.gong, token_error_body="text")
    return world.stored()


def test_unproven_pair_waits_behind_a_verified_one(world: World) -> None:
    """A CURRENT that was verified is not replaced by a pair that is not proven (invariant 1, decision 0008)."""
    unproven(world)
    pointer = world.pointer
    assert pointer.current is not None
    assert pointer.pending is not None
    assert (pointer.current.version, pointer.pending.version) == (1, 2)
    assert world.receipt(Stage.STORE_SECRET).body["stored_as"] == "pending"


def test_unproven_pair_is_promoted_by_the_new_link(world: World) -> None:
    """The live call through a link made with the pending pair proves it: it becomes CURRENT, the other PREVIOUS."""
    unproven(world)
    world.waits()
    world.consent(world.link())
    world.ends()
    pointer = world.pointer
    assert pointer.current is not None
    assert pointer.previous is not None
    assert (pointer.current.version, pointer.pending, pointer.previous.version) == (2, None, 1)


def test_unproven_pair_stays_pending_when_the_test_fails(world: World) -> None:
    """Without a passed live call nothing is promoted."""
    unproven(world)
    world.waits()
    world.consent(world.link())
    world.twins.fault(world.twins.stackone, "POST /actions/rpc", "status", status=403)
    assert world.ends().failed
    pointer = world.pointer
    assert pointer.current is not None
    assert pointer.pending is not None
    assert (pointer.current.version, pointer.pending.version) == (1, 2)


def test_older_execution_does_not_write_the_pointer(world: World) -> None:
    """Vault's pointer refuses the number of an older execution even outside the ledger's lock (acceptance 9)."""
    world.handed_in()
    world.run(Stage.FETCH_SECRET)
    old = world.last
    world.run(Stage.STORE_SECRET)
    before = world.pointer
    with world.openbao.api() as api:
        data = {"client_id": "another", "client_secret": "kt-of-an-older-execution"}
        api.write(f"keyturn/data/{world.key}/client", {"options": {"cas": 1}, "data": data})
    other = world.vault("grace").fingerprint(Credential("another", "kt-of-an-older-execution"))
    ref = credential_ref(world.receipt(Stage.STORE_SECRET))
    with world.refused(SupersededError, "came after execution"):
        world.safekeeping.promote(old, type(ref)(ref.path, 2, other))
    assert world.pointer == before
