from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from keyturn.domain.attempt import AttemptState, Execution
from keyturn.domain.gate import Channel, Gate, GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import DigestChangedError, GateClosedError, NotPermittedError, RefusedError
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Clock

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
KEY = IntegrationKey("acme", "production")
TWO_WEEKS = timedelta(days=14)


@pytest.fixture
def run(ledger: PostgresLedger, sealed: Sealed, person: People) -> Execution:
    """The first execution of an attempt."""
    return ledger.begin_execution(ledger.open_attempt(sealed(), person("alice")).attempt.id, None)


@pytest.fixture
def ask(ledger: PostgresLedger, run: Execution, clock: Clock) -> Callable[..., Gate]:
    """Open a gate for two weeks."""

    def opened(approvals: int = 1, kind: GateKind = GateKind.APPROVE) -> Gate:
        with ledger.exclusive(run) as work:
            policy = Policy(approvals, ("approver", "lead"), Channel.KEYTURN)
            return work.open_gate(kind, policy, {"kit": "k1"}, clock.now() + TWO_WEEKS)

    return opened


def _decide(ledger: PostgresLedger, who: Person, digest: str, *, approved: bool = True, note: str = "") -> Gate:
    with ledger.deciding(KEY, GateKind.APPROVE) as at:
        return at.decide(who, approved=approved, digest=digest, note=note, answer={})


def test_a_gate_keeps_what_was_asked(ledger: PostgresLedger, ask: Callable[..., Gate], clock: Clock) -> None:
    """An open gate says whom it asks, about which digest, on whose request and until when."""
    gate = ask(2)
    assert ledger.gates() == [gate]
    assert (gate.key, gate.kind, gate.needed, gate.groups) == (KEY, GateKind.APPROVE, 2, ("approver", "lead"))
    assert (gate.requester, gate.state, gate.question) == ("vault:entity/alice", GateState.OPEN, {"kit": "k1"})
    assert (gate.opened_at, gate.rearm_at) == (clock.now(), clock.now() + TWO_WEEKS)
    assert ledger.gates(key=IntegrationKey("globex", "production")) == []


def test_enough_approvals_approve(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution, clock: Clock
) -> None:
    """Two different people are needed: after the first the gate is open, after the second approved and owed."""
    ask(2)
    first = _decide(ledger, person("bob", "approver"), run.digest, note="fine")
    assert (first.state, first.approvals, first.decided_at) == (GateState.OPEN, 1, None)
    clock.sleep(60)
    second = _decide(ledger, person("carol", "lead"), run.digest)
    assert (second.state, second.approvals, second.decided_at) == (GateState.APPROVED, 2, clock.now())
    assert [(d.person_name, d.note) for d in second.decisions] == [("bob", "fine"), ("carol", "")]
    assert ledger.owed_resumes() == [second]
    ledger.resumed(second.id)
    assert ledger.owed_resumes() == []
    assert ledger.gates(only_open=False)[0].resumed_at == clock.now()


def test_one_rejection_rejects(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution
) -> None:
    """A rejection closes the gate with its reason; the attempt goes on until the flow ends it."""
    ask(2)
    gate = _decide(ledger, person("bob", "approver"), run.digest, approved=False, note="too many scopes")
    assert (gate.state, gate.reason) == (GateState.REJECTED, "too many scopes")
    assert ledger.attempt(run.attempt_id).state is AttemptState.ACTIVE
    assert ledger.owed_resumes() == [gate]
    ledger.finish(run, AttemptState.REJECTED, gate.reason)
    assert ledger.owed_resumes() == [], "an ended attempt is owed nothing"


@pytest.mark.parametrize(
    ("name", "groups", "digest", "error"),
    [
        ("alice", ("approver",), None, NotPermittedError),
        ("mallory", ("visitor",), None, NotPermittedError),
        ("bob", ("approver",), "0" * 64, DigestChangedError),
    ],
)
def test_what_does_not_count(  # noqa: PLR0917  pytest passes them by name
    ledger: PostgresLedger,
    ask: Callable[..., Gate],
    person: People,
    run: Execution,
    name: str,
    groups: tuple[str, ...],
    digest: str | None,
    error: type[RefusedError],
) -> None:
    """Own request, wrong group and another digest are refused, and the gate is as before (invariant 7)."""
    gate = ask()
    with pytest.raises(error):
        _decide(ledger, person(name, *groups), digest or run.digest)
    assert ledger.gates() == [gate]


def test_simultaneous_decisions_count_once_each(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution, threads: ThreadPoolExecutor
) -> None:
    """A person who clicks eight times at once has decided once."""
    ask(2)
    together = Barrier(8)

    def click() -> bool:
        together.wait()
        try:
            _decide(ledger, person("bob", "approver"), run.digest)
        except NotPermittedError:
            return False
        return True

    counted = [future.result() for future in [threads.submit(click) for _ in range(8)]]
    assert counted.count(True) == 1
    assert ledger.gates()[0].approvals == 1


def test_simultaneous_decisions_settle_once(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution, threads: ThreadPoolExecutor
) -> None:
    """Of eight people at once at a gate for three, three count; the others are told that it is closed."""
    ask(3)
    together = Barrier(8)

    def click(name: str) -> bool:
        together.wait()
        try:
            _decide(ledger, person(name, "approver"), run.digest)
        except GateClosedError:
            return False
        return True

    counted = [future.result() for future in [threads.submit(click, f"p{i}") for i in range(8)]]
    assert counted.count(True) == 3
    (gate,) = ledger.owed_resumes()
    assert (gate.state, gate.approvals) == (GateState.APPROVED, 3)


def test_the_database_holds_one_open_gate(ask: Callable[..., Gate], engine: Engine) -> None:
    """A second open gate of a kind is refused by the unique index itself."""
    ask()
    columns = "attempt_id, key, kind, digest, needed, groups, channel, state, opened_at, rearm_at, question"
    copy = f"INSERT INTO gates ({columns}) SELECT {columns} FROM gates"  # noqa: S608  made of constants
    with pytest.raises(IntegrityError, match="ux_gates_one_open"), engine.begin() as connection:
        connection.execute(text(copy))


def test_nothing_is_asked(ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution) -> None:
    """A gate that was never opened, or is decided, is refused in words that say which."""
    with pytest.raises(GateClosedError, match="not being asked"):
        _decide(ledger, person("bob", "approver"), run.digest)
    ask()
    _decide(ledger, person("bob", "approver"), run.digest)
    with pytest.raises(GateClosedError, match="approved already"):
        _decide(ledger, person("carol", "approver"), run.digest)


def test_answering_too_late(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution, clock: Clock
) -> None:
    """An answer after the time is not recorded; the same is asked afresh for as long again, and can be answered."""
    old = ask(2)
    _decide(ledger, person("bob", "approver"), run.digest)
    clock.sleep(TWO_WEEKS.total_seconds())
    with pytest.raises(GateClosedError, match="asked afresh"):
        _decide(ledger, person("carol", "approver"), run.digest)
    expired, fresh = ledger.gates(only_open=False)
    assert (expired.id, expired.state, expired.decided_at) == (old.id, GateState.EXPIRED, clock.now())
    assert (fresh.state, fresh.question, fresh.groups, fresh.needed) == (GateState.OPEN, old.question, old.groups, 2)
    assert (fresh.opened_at, fresh.rearm_at) == (clock.now(), clock.now() + TWO_WEEKS)
    assert fresh.decisions == ()
    assert ledger.owed_resumes() == []
    assert _decide(ledger, person("carol", "approver"), run.digest).approvals == 1


def test_rearming(ledger: PostgresLedger, ask: Callable[..., Gate], run: Execution, clock: Clock) -> None:
    """Only gates past their time are asked afresh, once; an attempt that is held is left for the next time."""
    old = ask()
    assert ledger.rearm(clock.now() + TWO_WEEKS - timedelta(seconds=1)) == []
    clock.sleep(TWO_WEEKS.total_seconds())
    with ledger.exclusive(run):
        assert ledger.rearm(clock.now()) == []
    (fresh,) = ledger.rearm(clock.now())
    assert ledger.rearm(clock.now()) == []
    assert fresh.id != old.id
    assert ledger.gates() == [fresh]


def test_rearming_at_the_same_time(
    ledger: PostgresLedger, ask: Callable[..., Gate], clock: Clock, threads: ThreadPoolExecutor
) -> None:
    """Four rounds at once ask one overdue gate afresh once."""
    ask()
    clock.sleep(TWO_WEEKS.total_seconds())
    rounds = [future.result() for future in [threads.submit(ledger.rearm, clock.now()) for _ in range(4)]]
    assert sum(len(asked) for asked in rounds) == 1


def test_amending_and_answering(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution
) -> None:
    """What is amended and handed in is kept with the gate, in one transaction."""
    ask(kind=GateKind.GONG_ADMIN)
    with ledger.deciding(KEY, GateKind.GONG_ADMIN) as at:
        assert at.amend({"kit": "k2"}).question == {"kit": "k2"}
        gate = at.decide(
            person("gina", "lead"), approved=True, digest=run.digest, note="", answer={"path": "acme", "version": 3}
        )
        assert at.gate == gate
    assert ledger.gates(only_open=False) == [gate]
    assert gate.answer == {"path": "acme", "version": 3}
    assert gate.question == {"kit": "k2"}


def test_a_failed_decision_leaves_nothing(
    ledger: PostgresLedger, ask: Callable[..., Gate], person: People, run: Execution
) -> None:
    """When something fails after the decision was recorded, it is undone."""
    gate = ask()
    with pytest.raises(RuntimeError), ledger.deciding(KEY, GateKind.APPROVE) as at:  # noqa: PT012  the block is the transaction
        at.decide(person("bob", "approver"), approved=True, digest=run.digest, note="", answer={})
        raise RuntimeError
    assert ledger.gates() == [gate]
