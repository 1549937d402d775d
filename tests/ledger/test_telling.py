from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from keyturn.domain.attempt import AttemptState, Execution
from keyturn.domain.gate import Gate, GateKind, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.errors import WrappingTokenUsedError
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.repository import PostgresLedger
from tests.fakes.clock import FakeClock

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
KEY = IntegrationKey("acme", "production")
TWO_WEEKS = timedelta(days=14)
RUN = uuid4()


@pytest.fixture
def run(ledger: PostgresLedger, sealed: Sealed, person: People) -> Execution:
    """An execution of an attempt that alice started."""
    return ledger.begin_execution(ledger.open_attempt(sealed(), person("alice")).attempt.id, RUN)


@pytest.fixture
def told(engine: Engine, clock: FakeClock) -> Callable[[], Sequence[Notice]]:
    """What people are to be told and was not asked for before."""
    outbox = PostgresOutbox(engine, clock, lock_timeout_s=20.0)
    return lambda: [owed.notice for owed in outbox.owed(clock.now(), 100)]


def ask(ledger: PostgresLedger, run: Execution, clock: FakeClock, kind: GateKind) -> Gate:
    """Open a gate."""
    with ledger.exclusive(run) as work:
        return work.open_gate(kind, Policy(1, ("approver", "boss")), {"for": "alice"}, clock.now() + TWO_WEEKS)


def test_a_question_is_told(
    ledger: PostgresLedger, run: Execution, clock: FakeClock, told: Callable[[], Sequence[Notice]]
) -> None:
    """Once, with groups and digest and the run to link to, and with nobody's name."""
    gate = ask(ledger, run, clock, GateKind.APPROVE)
    ask(ledger, run, clock, GateKind.APPROVE)
    (notice,) = told()
    assert (notice.event, notice.severity, notice.key) == (Event.GATE_OPENED, Severity.INFO, str(KEY))
    assert notice.about == f"gate/{gate.id}/gate.opened"
    assert dict(notice.facts) == {
        "kind": "approve",
        "groups": "approver, boss",
        "digest": run.digest[:12],
        "attempt": str(run.attempt_id),
        "run": str(RUN),
    }


def test_a_question_asked_afresh_says_so(
    ledger: PostgresLedger, run: Execution, clock: FakeClock, told: Callable[[], Sequence[Notice]]
) -> None:
    """Nobody answered for two weeks: that is told instead of another first question."""
    ask(ledger, run, clock, GateKind.APPROVE)
    told()
    clock.time += TWO_WEEKS
    (fresh,) = ledger.rearm(clock.now())
    assert [(n.event, n.about) for n in told() if str(fresh.id) in n.about] == [
        (Event.GATE_REARMED, f"gate/{fresh.id}/gate.rearmed")
    ]


def test_waiting_for_a_grace_is_not_told(
    ledger: PostgresLedger, run: Execution, clock: FakeClock, told: Callable[[], Sequence[Notice]]
) -> None:
    """Nobody is asked there."""
    ask(ledger, run, clock, GateKind.GRACE)
    assert told() == []


@pytest.mark.parametrize(
    ("state", "event", "severity"),
    [
        (AttemptState.COMPLETED, Event.ATTEMPT_COMPLETED, Severity.INFO),
        (AttemptState.REJECTED, Event.ATTEMPT_REJECTED, Severity.ERROR),
    ],
)
def test_an_end_is_told(
    ledger: PostgresLedger,
    run: Execution,
    told: Callable[[], Sequence[Notice]],
    state: AttemptState,
    event: Event,
    severity: Severity,
) -> None:
    """Once, however often the execution says so, and without the reason, in which people are named."""
    ledger.finish(run, state, "rejected by bob: carol said so")
    ledger.finish(run, state, "rejected by bob: carol said so")
    (notice,) = told()
    assert (notice.event, notice.severity) == (event, severity)
    assert "bob" not in str(notice)
    assert "carol" not in str(notice)


def test_an_abandonment_is_not_told(
    ledger: PostgresLedger, run: Execution, person: People, told: Callable[[], Sequence[Notice]]
) -> None:
    """Somebody has just done it, and knows."""
    ledger.abandon(run.attempt_id, person("alice"), "not needed")
    assert told() == []


def test_a_change_that_is_rolled_back_tells_nothing(
    ledger: PostgresLedger, run: Execution, clock: FakeClock, told: Callable[[], Sequence[Notice]]
) -> None:
    """Notice and change are one transaction."""
    with pytest.raises(RuntimeError), ledger.exclusive(run) as work:  # noqa: PT012  the block is the transaction
        work.open_gate(GateKind.APPROVE, Policy(1, ("approver",)), {}, clock.now() + TWO_WEEKS)
        raise RuntimeError
    assert told() == []


def test_a_used_wrapping_token_pages_somebody(
    ledger: PostgresLedger, run: Execution, clock: FakeClock, person: People, told: Callable[[], Sequence[Notice]]
) -> None:
    """Although the hand-over is refused; once a day for each gate, and without the person's name."""
    ask(ledger, run, clock, GateKind.GONG_ADMIN)
    told()

    def hand_in() -> None:
        with pytest.raises(WrappingTokenUsedError), ledger.deciding(KEY, GateKind.GONG_ADMIN) as at:  # noqa: PT012
            at.audit(person("gina", "boss"), "alert.wrapping_token_used", {"problem": "opened before"})
            raise WrappingTokenUsedError(str(KEY), "opened before")

    hand_in()
    hand_in()
    (notice,) = told()
    assert (notice.event, notice.severity) == (Event.WRAPPING_TOKEN_USED, Severity.CRITICAL)
    assert notice.facts["kind"] == "gong_admin"
    assert "gina" not in str(notice)
    clock.move(days=1)
    hand_in()
    alerts = {n.about for n in told() if n.event is Event.WRAPPING_TOKEN_USED}
    assert len(alerts - {notice.about}) == 1
