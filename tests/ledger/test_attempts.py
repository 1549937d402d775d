from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import RefusedError, SupersededError
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Opened

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
KEY = IntegrationKey("acme", "production")


def test_opening_is_once(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """The first call starts an attempt; a second with the same manifest returns it, requester unchanged."""
    first = ledger.open_attempt(sealed(), person("alice"))
    second = ledger.open_attempt(sealed(), person("bob"))
    assert (first.created, first.changed, second.created, second.changed) == (True, False, False, False)
    assert second.attempt == first.attempt
    assert second.attempt.requester == "vault:entity/alice"
    assert first.attempt.state is AttemptState.ACTIVE
    assert first.attempt.fence == 0


def test_simultaneous_opening_gives_one_attempt(
    ledger: PostgresLedger, sealed: Sealed, person: People, threads: ThreadPoolExecutor
) -> None:
    """Eight simultaneous calls for one integration give one attempt, created once (acceptance 7)."""
    together = Barrier(8)

    def start(name: str) -> Opened:
        together.wait()
        return ledger.open_attempt(sealed(), person(name))

    opened = [future.result() for future in [threads.submit(start, f"p{i}") for i in range(8)]]
    assert len({o.attempt.id for o in opened}) == 1
    assert [o.created for o in opened].count(True) == 1


def test_simultaneous_opening_of_different_integrations(
    ledger: PostgresLedger, sealed: Sealed, person: People, threads: ThreadPoolExecutor
) -> None:
    """Simultaneous calls for different integrations all go through."""
    together = Barrier(8)

    def start(tenant: str) -> Opened:
        together.wait()
        return ledger.open_attempt(sealed(tenant), person("alice"))

    opened = [future.result() for future in [threads.submit(start, f"t{i}") for i in range(8)]]
    assert all(o.created for o in opened)
    assert [k.tenant for k in ledger.integrations()] == [f"t{i}" for i in range(8)]


def test_two_integrations_cannot_share_a_profile(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """A profile is found again by its name, so the second integration is refused and nothing of it is kept."""
    ledger.open_attempt(sealed(), person("alice"))
    body = sealed("other").model_dump(mode="json")
    body["manifest"]["stackone"]["profile_name"] = sealed().manifest.profile_name
    with pytest.raises(RefusedError, match="the profile of acme/production"):
        ledger.open_attempt(SealedManifest.model_validate(body), person("alice"))
    assert ledger.integrations() == [KEY]


def test_the_database_holds_one_active_attempt(
    ledger: PostgresLedger, sealed: Sealed, person: People, engine: Engine
) -> None:
    """A second active attempt is refused by the unique index itself (invariant 10)."""
    ledger.open_attempt(sealed(), person("alice"))
    copy = (
        "INSERT INTO attempts (key, kind, digest, state, started_at) "
        "SELECT key, 'rotation', digest, state, now() FROM attempts"
    )
    with pytest.raises(IntegrityError, match="ux_attempts_one_active"), engine.begin() as connection:
        connection.execute(text(copy))


def test_changed_manifest_before_a_secret(
    ledger: PostgresLedger, sealed: Sealed, person: People, policy: Policy
) -> None:
    """Before a secret is handed in, a changed manifest takes over: gates become void, the fence rises."""
    opened = ledger.open_attempt(sealed(), person("alice"))
    run = ledger.begin_execution(opened.attempt.id, uuid4())
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.REGISTER, {"kit": 1})
        work.open_gate(GateKind.APPROVE, policy, {}, opened.attempt.started_at + timedelta(days=14))
    again = ledger.open_attempt(sealed(note="other"), person("bob"))
    assert (again.created, again.changed) == (False, True)
    assert again.attempt.id == opened.attempt.id
    assert again.attempt.digest == sealed(note="other").digest
    assert again.attempt.requester == "vault:entity/bob"
    assert again.attempt.fence == run.fence + 1
    assert [g.state for g in ledger.gates(key=KEY, only_open=False)] == [GateState.VOID]
    assert ledger.registered(KEY) == sealed(note="other")
    assert ledger.receipts(opened.attempt.id) == []
    with pytest.raises(SupersededError, match="manifest has changed"), ledger.exclusive(run):
        pytest.fail("an execution for the old digest was let in")


def test_changing_back_brings_no_approval_back(
    ledger: PostgresLedger, sealed: Sealed, person: People, policy: Policy
) -> None:
    """Whoever approved the first manifest cannot make their approval count for their own request by changing back."""
    opened = ledger.open_attempt(sealed(), person("alice"))
    run = ledger.begin_execution(opened.attempt.id, None)
    with ledger.exclusive(run) as work:
        work.open_gate(GateKind.APPROVE, policy, {}, opened.attempt.started_at + timedelta(days=14))
    with ledger.deciding(KEY, GateKind.APPROVE) as at:
        at.decide(person("bob", "approver"), approved=True, digest=run.digest, note="", answer={})
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.APPROVE, {})
    ledger.open_attempt(sealed(note="other"), person("alice"))
    back = ledger.open_attempt(sealed(), person("bob", "approver"))
    with ledger.exclusive(ledger.begin_execution(back.attempt.id, None)) as work:
        assert work.receipt(Stage.APPROVE) is None
        gate = work.gate(GateKind.APPROVE)
    assert gate is not None
    assert gate.state is GateState.VOID
    assert ledger.owed_resumes() == []


@pytest.mark.parametrize("how", ["receipt", "gate"])
def test_changed_manifest_after_a_secret(
    ledger: PostgresLedger, sealed: Sealed, person: People, policy: Policy, how: str
) -> None:
    """Once a secret was handed in, another manifest is refused, with a remedy, and nothing changes."""
    opened = ledger.open_attempt(sealed(), person("alice"))
    run = ledger.begin_execution(opened.attempt.id, None)
    with ledger.exclusive(run) as work:
        if how == "receipt":
            work.write_receipt(Stage.FETCH_SECRET, {})
        else:
            work.open_gate(GateKind.GONG_ADMIN, policy, {}, opened.attempt.started_at + timedelta(days=14))
    if how == "gate":
        with ledger.deciding(KEY, GateKind.GONG_ADMIN) as at:
            at.decide(person("gina", "approver"), approved=True, digest=run.digest, note="", answer={"version": 1})
    with pytest.raises(RefusedError, match="abandon it") as refused:
        ledger.open_attempt(sealed(note="other"), person("bob"))
    assert refused.value.subject == "acme/production"
    assert ledger.registered(KEY) == sealed()
    with ledger.exclusive(run) as work:
        assert work.gate(GateKind.APPROVE) is None


def test_a_new_attempt_after_the_end(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """When an attempt has ended the next call starts another one; the newest is listed first."""
    first = ledger.open_attempt(sealed(), person("alice")).attempt
    ledger.finish(ledger.begin_execution(first.id, None), AttemptState.COMPLETED, "")
    second = ledger.open_attempt(sealed(), None)
    assert second.created
    assert second.attempt.requester is None
    assert [a.id for a in ledger.attempts(KEY)] == [second.attempt.id, first.id]


def test_manifests_come_back_as_they_were(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """A manifest read from the ledger is equal to the one registered, and so is its digest."""
    given = sealed(note='Grüße, "quotes" and\nlines')
    ledger.open_attempt(given, person("alice"))
    assert ledger.manifest(given.digest) == given
    assert ledger.manifest(given.digest).digest == given.digest
    assert ledger.registered(IntegrationKey("nobody", "production")) is None


def test_what_does_not_exist_is_refused(ledger: PostgresLedger) -> None:
    """Unknown attempts and manifests are named in the error."""
    nobody = uuid4()
    with pytest.raises(RefusedError, match=str(nobody)):
        ledger.attempt(nobody)
    with pytest.raises(RefusedError, match=str(nobody)):
        ledger.begin_execution(nobody, None)
    with pytest.raises(RefusedError, match="never registered"):
        ledger.manifest("f" * 64)
    with pytest.raises(RefusedError, match=str(nobody)):
        ledger.bind_run(nobody, uuid4())


def test_text_that_postgresql_cannot_keep(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """A NUL character in a manifest is refused in words instead of a driver's error."""
    with pytest.raises(RefusedError, match="cannot keep"):
        ledger.open_attempt(sealed(note="a\x00b"), person("alice"))
    assert ledger.integrations() == []


def test_abandoning(ledger: PostgresLedger, sealed: Sealed, person: People, policy: Policy) -> None:
    """Abandoning ends the attempt: gates void, fence raised, the old execution refused, a second time refused."""
    attempt = ledger.open_attempt(sealed(), person("alice")).attempt
    run = ledger.begin_execution(attempt.id, None)
    with ledger.exclusive(run) as work:
        work.open_gate(GateKind.APPROVE, policy, {}, attempt.started_at + timedelta(days=14))
    ended = ledger.abandon(attempt.id, person("bob"), "wrong tenant")
    assert (ended.state, ended.reason, ended.fence) == (AttemptState.ABANDONED, "wrong tenant", run.fence + 1)
    assert ended.ended_at is not None
    assert ledger.gates(key=KEY) == []
    with pytest.raises(SupersededError, match="ended as abandoned"), ledger.exclusive(run):
        pytest.fail("an ended attempt was let in")
    with pytest.raises(RefusedError, match="abandoned"):
        ledger.abandon(attempt.id, person("bob"), "again")
    with pytest.raises(RefusedError, match="keyturn onboard"):
        ledger.begin_execution(attempt.id, None)


def test_the_run_is_remembered(ledger: PostgresLedger, sealed: Sealed, person: People) -> None:
    """The attempt knows the run that last carried it; an execution without a run leaves it."""
    attempt = ledger.open_attempt(sealed(), person("alice")).attempt
    first, second = uuid4(), uuid4()
    ledger.bind_run(attempt.id, first)
    ledger.begin_execution(attempt.id, None)
    assert ledger.attempt(attempt.id).flow_run_id == first
    ledger.begin_execution(attempt.id, second)
    assert ledger.attempt(attempt.id).flow_run_id == second
