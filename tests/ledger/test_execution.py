from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from time import monotonic

import pytest
from sqlalchemy import Engine, text

from keyturn.domain.attempt import AttemptState, Execution, Stage
from keyturn.domain.gate import GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import GateClosedError, StageFailedError, SupersededError, UnavailableError
from keyturn.ledger.engine import make_engine
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Clock

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
KEY = IntegrationKey("acme", "production")


@pytest.fixture
def run(ledger: PostgresLedger, sealed: Sealed, person: People) -> Execution:
    """The first execution of an attempt."""
    return ledger.begin_execution(ledger.open_attempt(sealed(), person("alice")).attempt.id, None)


def _wait_until_somebody_waits(engine: Engine) -> None:
    """Return when a session of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = monotonic() + 20
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.execute(waiting).scalar() == 0:
            assert monotonic() < deadline, "nobody waits for a lock"


def test_numbers_rise(ledger: PostgresLedger, run: Execution, threads: ThreadPoolExecutor) -> None:
    """Simultaneous executions get different, rising numbers."""
    together = Barrier(8)

    def begin() -> int:
        together.wait()
        return ledger.begin_execution(run.attempt_id, None).fence

    numbers = [future.result() for future in [threads.submit(begin) for _ in range(8)]]
    assert sorted(numbers) == list(range(run.fence + 1, run.fence + 9))


def test_older_execution_is_refused(ledger: PostgresLedger, run: Execution) -> None:
    """An orphan and a retry: the older is refused at its next step, and at the end (acceptance 9)."""
    newer = ledger.begin_execution(run.attempt_id, None)
    with pytest.raises(SupersededError, match="execution 2 has taken over from 1"), ledger.exclusive(run):
        pytest.fail("an older execution was let in")
    with pytest.raises(SupersededError):
        ledger.finish(run, AttemptState.COMPLETED, "")
    with ledger.exclusive(newer) as work:
        assert work.receipt(Stage.REGISTER) is None


def test_a_new_number_waits_for_the_step(
    ledger: PostgresLedger, run: Execution, threads: ThreadPoolExecutor, engine: Engine
) -> None:
    """While an execution holds the attempt no newer number is handed out; its receipt is there when it is."""
    with ledger.exclusive(run) as work:
        newer: Future[Execution] = threads.submit(ledger.begin_execution, run.attempt_id, None)
        _wait_until_somebody_waits(engine)
        work.write_receipt(Stage.REGISTER, {"by": run.fence})
        assert not newer.done()
    with ledger.exclusive(newer.result()) as work:
        receipt = work.receipt(Stage.REGISTER)
    assert receipt is not None
    assert receipt.body == {"by": run.fence}


def test_one_step_at_a_time(ledger: PostgresLedger, run: Execution, threads: ThreadPoolExecutor) -> None:
    """Two holders of the same number do one after the other; the second finds the first one's receipt."""
    together = Barrier(2)
    effects: list[int] = []

    def step(number: int) -> object:
        together.wait()
        with ledger.exclusive(run) as work:
            if found := work.receipt(Stage.CREATE_PROFILE):
                return found.body["by"]
            effects.append(number)
            return work.write_receipt(Stage.CREATE_PROFILE, {"by": number}).body["by"]

    said = [future.result() for future in [threads.submit(step, i) for i in range(2)]]
    assert len(effects) == 1
    assert said == effects * 2


def test_patience_ends(engine: Engine, clock: Clock, ledger: PostgresLedger, run: Execution) -> None:
    """Who waits too long for the attempt is told that another execution is in the middle of a step."""
    hasty = PostgresLedger(engine, clock, lock_timeout_s=0.05)
    with ledger.exclusive(run):
        with pytest.raises(UnavailableError, match="another execution of the attempt is in the middle") as told:
            hasty.begin_execution(run.attempt_id, None)
        with pytest.raises(UnavailableError, match=r"^acme/production: "), hasty.exclusive(run):
            pytest.fail("two at once were let in")
    assert str(run.attempt_id) in str(told.value)
    assert hasty.begin_execution(run.attempt_id, None).fence == run.fence + 1


def test_a_frozen_process_loses_the_attempt(
    url: str, clock: Clock, ledger: PostgresLedger, run: Execution, threads: ThreadPoolExecutor
) -> None:
    """A process that holds the attempt without doing anything is cut off, and nothing of it is kept."""
    frozen_engine = make_engine(url, idle_in_transaction_s=0.2)
    frozen = PostgresLedger(frozen_engine, clock, lock_timeout_s=20.0)
    holding, wake = Event(), Event()

    def freeze() -> None:
        with frozen.exclusive(run) as work:
            work.write_receipt(Stage.REGISTER, {})
            holding.set()
            wake.wait(20)
            work.write_receipt(Stage.APPROVE, {})

    thread = threads.submit(freeze)
    assert holding.wait(20)
    assert ledger.begin_execution(run.attempt_id, None).fence == run.fence + 1
    wake.set()
    with pytest.raises(UnavailableError):
        thread.result()
    assert ledger.receipts(run.attempt_id) == []
    with pytest.raises(SupersededError), frozen.exclusive(run):
        pytest.fail("the frozen process was let in again")
    frozen_engine.dispose()


def test_all_or_nothing(ledger: PostgresLedger, run: Execution, policy: Policy, clock: Clock) -> None:
    """When a step fails, none of its receipts, gates and audit rows is kept."""
    before = ledger.trail(KEY)
    with pytest.raises(StageFailedError), ledger.exclusive(run) as work:  # noqa: PT012  the block is the transaction
        work.write_receipt(Stage.REGISTER, {})
        work.open_gate(GateKind.APPROVE, policy, {}, clock.now() + timedelta(days=14))
        work.audit("link.made", {})
        raise StageFailedError("acme/production", "no", "")
    assert ledger.receipts(run.attempt_id) == []
    assert ledger.gates(key=KEY) == []
    assert ledger.trail(KEY) == before


def test_the_first_receipt_stands(ledger: PostgresLedger, run: Execution, clock: Clock) -> None:
    """A second receipt of a stage returns the first one unchanged; receipts are listed in stage order."""
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.APPROVE, {"n": 0})
        first = work.write_receipt(Stage.REGISTER, {"n": 1, "nested": {"list": [1, None, "ü"]}})
        clock.sleep(60)
        assert work.write_receipt(Stage.REGISTER, {"n": 2}) == first
    assert [r.stage for r in ledger.receipts(run.attempt_id)] == [Stage.REGISTER, Stage.APPROVE]
    assert ledger.receipts(run.attempt_id)[0] == first


def test_finishing(ledger: PostgresLedger, run: Execution, policy: Policy, clock: Clock) -> None:
    """Finishing ends the attempt and voids what is still asked; saying so twice is fine after a lost answer."""
    with ledger.exclusive(run) as work:
        work.open_gate(GateKind.CONSENT, policy, {}, clock.now() + timedelta(days=14))
    ledger.finish(run, AttemptState.COMPLETED, "all layers passed")
    ledger.finish(run, AttemptState.COMPLETED, "all layers passed")
    attempt = ledger.attempt(run.attempt_id)
    assert (attempt.state, attempt.reason, attempt.ended_at) == (
        AttemptState.COMPLETED,
        "all layers passed",
        clock.now(),
    )
    assert [g.state for g in ledger.gates(key=KEY, only_open=False)] == [GateState.VOID]
    assert [e.event for e in ledger.trail(KEY)].count("attempt.completed") == 1
    with pytest.raises(SupersededError):
        ledger.finish(run, AttemptState.REJECTED, "")


def test_asking_twice_asks_once(ledger: PostgresLedger, run: Execution, policy: Policy, clock: Clock) -> None:
    """A gate that is open already is returned; its question can be replaced until it is closed."""
    with ledger.exclusive(run) as work:
        rearm_at = clock.now() + timedelta(days=14)
        gate = work.open_gate(GateKind.CONSENT, policy, {"last": ""}, rearm_at)
        assert work.open_gate(GateKind.CONSENT, policy, {"last": "x"}, rearm_at) == gate
        assert work.amend_gate(gate.id, {"last": "expired"}).question == {"last": "expired"}
        closed = work.close_gate(gate.id, GateState.APPROVED, "seen", {"account_id": "a1"})
        with pytest.raises(GateClosedError):
            work.amend_gate(gate.id, {})
        with pytest.raises(GateClosedError):
            work.close_gate(gate.id, GateState.APPROVED, "seen", {})
    assert (closed.state, closed.reason, closed.answer) == (GateState.APPROVED, "seen", {"account_id": "a1"})
    assert closed.decided_at == clock.now()
    assert ledger.owed_resumes() == [], "the run that closed it goes on by itself"


def test_unknown_requester_needs_one_more(ledger: PostgresLedger, sealed: Sealed, policy: Policy, clock: Clock) -> None:
    """With an unknown requester an approval needs one person more; other gates do not."""
    attempt = ledger.open_attempt(sealed(), None).attempt
    with ledger.exclusive(ledger.begin_execution(attempt.id, None)) as work:
        rearm_at = clock.now() + timedelta(days=14)
        assert work.open_gate(GateKind.APPROVE, policy, {}, rearm_at).needed == 2
        assert work.open_gate(GateKind.GONG_ADMIN, policy, {}, rearm_at).needed == 1


def test_withdrawing(ledger: PostgresLedger, run: Execution, person: People, policy: Policy, clock: Clock) -> None:
    """A withdrawn receipt is gone, the answer it rested on void, and the person is asked afresh with what is new."""
    rearm_at = clock.now() + timedelta(days=14)
    with ledger.exclusive(run) as work:
        work.open_gate(GateKind.GONG_ADMIN, policy, {"kit": "k"}, rearm_at)
    with ledger.deciding(KEY, GateKind.GONG_ADMIN) as at:
        at.decide(person("gina", "approver"), approved=True, digest=run.digest, note="", answer={"version": 1})
    clock.sleep(3600)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.GONG_ADMIN, {})
        work.withdraw(Stage.GONG_ADMIN, "Gong refuses the pair", {"refused": "hmac"})
        assert work.receipt(Stage.GONG_ADMIN) is None
        fresh = work.gate(GateKind.GONG_ADMIN)
    assert fresh is not None
    assert (fresh.state, fresh.question) == (GateState.OPEN, {"kit": "k", "refused": "hmac"})
    assert (fresh.answer, fresh.decisions) == ({}, ())
    assert fresh.rearm_at == rearm_at + timedelta(hours=1)
    old = ledger.gates(key=KEY, only_open=False)[0]
    assert (old.state, old.reason) == (GateState.VOID, "Gong refuses the pair")
    assert ledger.owed_resumes() == []
