"""The fleet in numbers: each number is of what is there, and costs the same however much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert

from keyturn.domain.attempt import AttemptState, Execution, Stage, Terms
from keyturn.domain.gate import GateKind, GateState, Policy
from keyturn.domain.gauges import CallOutcome, Readings
from keyturn.domain.health import Cause, Drift, Observation, Outcome, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.verdict import Layer, LayerStatus
from keyturn.ledger.fleet_book import PostgresFleet
from keyturn.ledger.gauges import PostgresGauges
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.repository import PostgresLedger
from keyturn.ledger.tables import vendor_calls
from tests.fakes.clock import FakeClock

Sealed = Callable[..., SealedManifest]
Started = Callable[..., Execution]
EDITED = Drift(Cause.PROFILE_EDITED, "profile p1 was edited", "Ask who did it.")


@pytest.fixture
def read(engine: Engine, clock: FakeClock) -> Callable[[], Readings]:
    """Read the gauges, as `/metrics` does: after the pictures, which are counted anew a quarter of a minute later."""

    def reading() -> Readings:
        clock.move(seconds=15)
        PostgresFleet(engine, clock, 20.0).pictures()
        return PostgresGauges(engine, clock, 20.0).read()

    return reading


@pytest.fixture
def onboarded(ledger: PostgresLedger, sealed: Sealed) -> Started:
    """Onboard an integration; each layer of its test passed but those given."""

    def onboard(tenant: str, **layers: str) -> Execution:
        run = ledger.begin_execution(ledger.open_attempt(sealed(tenant), None).attempt.id, None)
        said = {layer.value: {"status": layers.get(layer.value, LayerStatus.PASSED)} for layer in Layer}
        with ledger.exclusive(run) as work:
            work.write_receipt(Stage.STORE_SECRET, {"stored_as": "current"})
            work.write_receipt(Stage.TEST_CONNECTION, said)
        ledger.finish(run, AttemptState.COMPLETED, "")
        return run

    return onboard


@pytest.fixture
def turning(ledger: PostgresLedger, sealed: Sealed, onboarded: Started) -> Started:
    """Begin a rotation of an onboarded integration, with these receipts."""

    def turn(tenant: str, receipts: Mapping[Stage, Mapping[str, object]]) -> Execution:
        onboarded(tenant)
        run = ledger.begin_execution(ledger.open_rotation(sealed(tenant), None, Terms()).attempt.id, None)
        with ledger.exclusive(run) as work:
            for stage, body in receipts.items():
                work.write_receipt(stage, body)
        return run

    return turn


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that are sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_an_empty_ledger(read: Callable[[], Readings], clock: FakeClock) -> None:
    """Where nothing is, nothing is counted, and nothing has an age."""
    assert read() == Readings(clock.now())


def test_gates(
    ledger: PostgresLedger, sealed: Sealed, policy: Policy, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """Open gates are counted by kind with the oldest one's moment; closed ones are not."""
    opened = []
    for tenant, kind in (("one", GateKind.APPROVE), ("two", GateKind.APPROVE), ("three", GateKind.CONSENT)):
        run = ledger.begin_execution(ledger.open_attempt(sealed(tenant), None).attempt.id, None)
        with ledger.exclusive(run) as work:
            gate = work.open_gate(kind, policy, {}, clock.now() + timedelta(days=14))
        opened.append(gate)
        clock.move(hours=1)
    first, _, last = opened
    with ledger.exclusive(run) as work:
        work.close_gate(last.id, GateState.APPROVED, "", {})
    assert read().gates == {GateKind.APPROVE: (2, first.opened_at)}


def test_conditions_by_the_one_raised_longest(
    ledger: PostgresLedger, sealed: Sealed, engine: Engine, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """A cause is as old as where it is raised longest; what was seen once only is not raised."""
    observatory = PostgresObservatory(engine, clock, 20.0)
    raised_at = []
    for tenant, rounds in (("one", 2), ("two", 2), ("three", 1)):
        key = ledger.open_attempt(sealed(tenant), None).attempt.key
        for _ in range(rounds):
            clock.move(minutes=15)
            look = Observation(Subject.PROFILE, Outcome.BAD, "edited", clock.now(), Cause.PROFILE_EDITED, 12)
            observatory.observe(key, [look], [EDITED], ())
        raised_at.append(clock.now())
    assert read().raised == {Cause.PROFILE_EDITED: raised_at[0]}


def test_verdict_layers_and_the_oldest_secret(
    onboarded: Started, ledger: PostgresLedger, sealed: Sealed, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """Each integration counts once a layer, by its newest test; one that was never tested counts nowhere."""
    onboarded("one", L1=LayerStatus.NOT_TESTED)
    turned_at = clock.now()
    clock.move(days=1)
    onboarded("two", L3=LayerStatus.FAILED)
    ledger.open_attempt(sealed("begun"), None)
    seen = read()
    assert seen.layers == {
        (Layer.L0, LayerStatus.PASSED): 2,
        (Layer.L1, LayerStatus.PASSED): 1,
        (Layer.L1, LayerStatus.NOT_TESTED): 1,
        (Layer.L2, LayerStatus.PASSED): 2,
        (Layer.L3, LayerStatus.PASSED): 1,
        (Layer.L3, LayerStatus.FAILED): 1,
    }
    assert seen.oldest_secret == turned_at


def test_graces(turning: Started, clock: FakeClock, read: Callable[[], Readings]) -> None:
    """The grace that ends first is told, those whose new secret is verified and the others apart."""
    ends = [clock.now() + timedelta(days=days) for days in (3, 2, 5, 4)]
    receipts: list[dict[Stage, Mapping[str, object]]]
    receipts = [{Stage.GONG_ROTATION: {"grace_ends_earliest": end.isoformat()}} for end in ends]
    for number in (2, 3):
        receipts[number][Stage.VERIFY] = {"by": "refresh"}
    for number, body in enumerate(receipts):
        turning(f"tenant-{number}", body)
    assert read().graces == {False: ends[1], True: ends[3]}


def test_a_grace_is_over_with_its_rotation(
    turning: Started, ledger: PostgresLedger, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """A rotation that is done, or given up, has no grace that anybody waits for."""
    ends = (clock.now() + timedelta(days=3)).isoformat()
    run = turning("acme", {Stage.GONG_ROTATION: {"grace_ends_earliest": ends}})
    ledger.finish(run, AttemptState.COMPLETED, "")
    assert read().graces == {}


@pytest.mark.parametrize("told", [None, 3])
def test_a_click_that_nobody_has_answered_for(
    turning: Started,
    ledger: PostgresLedger,
    policy: Policy,
    clock: FakeClock,
    read: Callable[[], Readings],
    told: int | None,
) -> None:
    """Where Gong was clicked and no secret handed in, the old secret dies all the same; without a click it does not."""
    question = {"grace_hours": 48} | ({"told_hours": told} if told else {})
    run, clicked = turning("clicked", {}), clock.now()
    with ledger.exclusive(run) as work:
        asked = question | {"clicked_since": clicked.isoformat()}
        work.open_gate(GateKind.GONG_ROTATION, policy, asked, clock.now() + timedelta(days=14))
    with ledger.exclusive(turning("not-clicked", {})) as work:
        work.open_gate(GateKind.GONG_ROTATION, policy, question, clock.now() + timedelta(days=14))
    assert read().graces == {False: clicked + timedelta(hours=told or 48)}


def test_a_click_whose_moment_was_not_kept(
    turning: Started, ledger: PostgresLedger, policy: Policy, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """A keyturn before this one left it empty: then the question's own moment has to do, here and in the lists."""
    run, question = turning("clicked", {}), {"grace_hours": 48, "clicked_since": ""}
    with ledger.exclusive(run) as work:
        asked = work.open_gate(GateKind.GONG_ROTATION, policy, question, clock.now() + timedelta(days=14))
    assert read().graces == {False: asked.opened_at + timedelta(hours=48)}


def test_checks(
    ledger: PostgresLedger, sealed: Sealed, engine: Engine, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """The one that was not taken on for the longest counts; those that never were are counted by themselves."""
    observatory = PostgresObservatory(engine, clock, 20.0)
    for tenant in ("one", "two", "three"):
        ledger.open_attempt(sealed(tenant), None)
    observatory.claim(clock.now(), clock.now(), 1)
    first = clock.now()
    clock.move(minutes=1)
    observatory.claim(clock.now(), first - timedelta(seconds=1), 1)
    assert (read().oldest_check, read().unchecked) == (first, 1)
    observatory.hasten(IntegrationKey("one", "production"))
    assert (read().oldest_check, read().unchecked) == (first, 1)


def test_notices(engine: Engine, clock: FakeClock, read: Callable[[], Readings]) -> None:
    """What is owed, what of it failed the last time, and what was given up; what was told counts nowhere."""
    outbox = PostgresOutbox(engine, clock, 20.0)
    for about in ("told", "given up", "failing", "owed"):
        outbox.tell(Notice(Event.TEST, Severity.INFO, "", about))
    told, given_up, failing, _ = outbox.owed(clock.now(), 10)
    outbox.settle(told.id, ["mail"], None, "")
    outbox.settle(given_up.id, [], None, "channel mail did not take it")
    outbox.settle(failing.id, [], clock.now(), "channel mail did not take it")
    seen = read()
    assert (seen.owed, seen.failing, seen.given_up) == (2, 1, 1)
    (failing,) = [o for o in outbox.owed(clock.now(), 10) if o.notice.about == "failing"]
    outbox.settle(failing.id, ["mail"], None, "")
    seen = read()
    assert (seen.owed, seen.failing, seen.given_up) == (1, 0, 1)


def test_calls(engine: Engine, read: Callable[[], Readings]) -> None:
    """Requests to vendors are told as they were counted."""
    with engine.begin() as connection:
        rows: list[dict[str, Any]] = [{"vendor": "gong", "outcome": "ok", "count": 7}]
        connection.execute(insert(vendor_calls), rows)
    assert read().calls == {("gong", CallOutcome.OK): 7}


def test_as_many_statements_for_any_fleet(
    turning: Started, engine: Engine, clock: FakeClock, read: Callable[[], Readings]
) -> None:
    """However many integrations there are, reading them costs the same number of statements."""
    ends = {"grace_ends_earliest": clock.now().isoformat()}
    numbers = []
    for tenants in (1, 9):
        for number in range(tenants):
            turning(f"t-{tenants}-{number}", {Stage.GONG_ROTATION: ends})
        read()
        with counted(engine) as sent:
            PostgresGauges(engine, clock, 20.0).read()
        numbers.append(len(sent))
    assert numbers[0] == numbers[1] <= 11
