"""What the book says of an integration is what the ledger's other tables say, whoever wrote last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Event as Signal
from typing import Any

import pytest
from sqlalchemy import event, text

from keyturn.domain.attempt import AttemptState, Execution, Halt, Stage
from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetRow, FleetState
from keyturn.domain.gate import GateKind, Person, Policy
from keyturn.domain.health import Cause, Outcome
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import ConfigurationError
from keyturn.ledger import migrate, standings
from keyturn.ledger.engine import make_engine
from keyturn.ledger.fleet_book import PostgresFleet
from keyturn.ledger.observatory import PostgresObservatory
from tests.ledger.booked import VERDICT, Booked
from tests.services.fleet import ALICE, _sealed

KEY = IntegrationKey("acme", "production")
BOB = Person("vault:entity/bob", "bob", frozenset({"gong_admin"}), "vault token (userpass)")
OK, BAD, UNKNOWN = Outcome.OK, Outcome.BAD, Outcome.UNKNOWN


@pytest.fixture
def fleet(url: str) -> Iterator[Booked]:
    """A fleet and its book."""
    engine = make_engine(url)
    yield Booked(engine)
    engine.dispose()


def _says(row: FleetRow) -> tuple[FleetState, str, Stage | None, int]:
    return row.state, row.says, row.stage, row.done


def test_an_integration_that_is_not_known(fleet: Booked) -> None:
    """There is no row of it, and an empty fleet has an empty list."""
    assert fleet.book.row(KEY) is None
    assert fleet.book.search(FleetQuery()).rows == ()


def test_an_onboarding(fleet: Booked) -> None:
    """From its request to its end, a row says where the onboarding is, what it waits for, and how its test went."""
    run = fleet.started("acme")
    assert _says(fleet.row(KEY)) == (FleetState.MOVING, "onboarding active", Stage.REGISTER, 0)
    fleet.done(run, Stage.REGISTER)
    gate, since = fleet.asked(run, GateKind.APPROVE), fleet.clock.now()
    row = fleet.row(KEY)
    assert _says(row) == (FleetState.WAITING, "onboarding active", Stage.APPROVE, 1)
    assert [(w.gate_id, w.kind, w.groups, w.since) for w in row.waiting] == [
        (gate.id, GateKind.APPROVE, ("gong_admin",), since)
    ]
    assert (row.turned_at, row.due_at, row.verdict, row.attempt_id) == (None, None, {}, run.attempt_id)
    fleet.clock.move(days=1)
    fleet.closed(run, gate)
    assert _says(fleet.row(KEY)) == (FleetState.MOVING, "onboarding active", Stage.APPROVE, 1)
    turned = fleet.clock.now()
    fleet.done(run, Stage.APPROVE, Stage.GONG_ADMIN, Stage.FETCH_SECRET)
    with fleet.ledger.exclusive(run) as work:
        work.write_receipt(Stage.STORE_SECRET, {"stored_as": "current"})
    assert fleet.row(KEY).turned_at == turned
    fleet.done(run, Stage.CREATE_PROFILE, Stage.LINK_ACCOUNT)
    fleet.tested(run)
    row = fleet.row(KEY)
    assert _says(row) == (FleetState.LIVE, "onboarding completed", None, 8)
    assert (row.total, row.turned_at, row.due_at) == (8, turned, turned + timedelta(days=90))
    assert row.verdict == VERDICT
    assert row == fleet.truth(KEY)


def test_a_rotation(fleet: Booked) -> None:
    """A rotation's row says its state, the end of the older secret's grace, and is live again after its end."""
    key = fleet.onboarded("acme")
    fleet.clock.move(days=80)
    run = fleet.turning(key)
    assert _says(fleet.row(key)) == (FleetState.MOVING, "rotation due", Stage.PREFLIGHT, 0)
    fleet.done(run, Stage.PREFLIGHT, Stage.APPROVE)
    click = fleet.asked(run, GateKind.GONG_ROTATION, grace_hours=168)
    assert _says(fleet.row(key))[:3] == (FleetState.WAITING, "rotation awaiting_gong", Stage.GONG_ROTATION)
    fleet.closed(run, click)
    ends = fleet.clicked(run)
    assert (fleet.row(key).grace_ends_at, fleet.row(key).says) == (ends, "rotation awaiting_gong")
    promoted = fleet.clock.now()
    fleet.done(run, Stage.STAGE_SECRET, Stage.PROBE_SECRET, Stage.APPLY, Stage.VERIFY, Stage.PROMOTE)
    with fleet.ledger.exclusive(run) as work:
        work.open_gate(GateKind.GRACE, Policy(1, ()), {"until": ends.isoformat()}, ends)
    row = fleet.row(key)
    assert _says(row) == (FleetState.MOVING, "rotation grace", Stage.RETIRE, 8)
    assert [(w.kind, w.groups) for w in row.waiting] == [(GateKind.GRACE, ())]
    assert (row.turned_at, row.due_at) == (promoted, promoted + timedelta(days=90))
    assert row == fleet.truth(key)
    fleet.move_to(ends)
    assert fleet.row(key).grace_ends_at is None
    fleet.done(run, Stage.RETIRE)
    fleet.ledger.finish(run, AttemptState.COMPLETED, "")
    assert _says(fleet.row(key)) == (FleetState.LIVE, "rotation done", None, 9)


def test_a_halt_and_what_follows(fleet: Booked) -> None:
    """A halted rotation says why, and waits for no gate; when it is abandoned, the integration is live."""
    key = fleet.onboarded("acme")
    run = fleet.turning(key)
    fleet.asked(run, GateKind.PROOF)
    assert fleet.row(key).state is FleetState.WAITING
    fleet.ledger.halt(run, Halt.ROLLED_BACK, "disproven")
    row = fleet.row(key)
    assert (row.state, row.says, row.reason) == (FleetState.HALTED, "rotation rolled_back", "disproven")
    assert row.waiting == ()
    fleet.ledger.abandon(run.attempt_id, ALICE, "not now")
    row = fleet.row(key)
    assert (row.state, row.says, row.reason, row.waiting) == (FleetState.LIVE, "rotation ended", "not now", ())
    assert row == fleet.truth(key)


def test_an_onboarding_that_came_to_nothing(fleet: Booked) -> None:
    """It has ended; but beside one that was completed before, the integration lives on."""
    fleet.registered("acme")
    assert (fleet.row(KEY).state, fleet.row(KEY).says) == (FleetState.ENDED, "onboarding abandoned")
    key = fleet.onboarded("globex")
    fleet.registered("globex", every_days=30)
    assert (fleet.row(key).state, fleet.row(key).says) == (FleetState.LIVE, "onboarding abandoned")


def test_a_refused_secret_after_the_click(fleet: Booked) -> None:
    """The grace runs although the new secret is asked for again, from the earliest moment of the click."""
    run = fleet.turning(fleet.onboarded("acme"))
    clicked = fleet.clock.now() - timedelta(hours=1)
    fleet.asked(run, GateKind.GONG_ROTATION, grace_hours=168, told_hours=48, clicked_since=clicked.isoformat())
    assert fleet.row(KEY).grace_ends_at == clicked + timedelta(hours=48)


def test_health(fleet: Booked) -> None:
    """Never checked, ok, unknown, raised, and ok again: by the newest look at each thing, and what stands."""
    key = fleet.onboarded("acme")
    healths = [fleet.row(key).health]
    for outcomes in ((OK, OK), (OK, UNKNOWN), (OK,), (OK, OK), (BAD, OK), (OK, OK)):
        fleet.looked(key, *outcomes)
        healths.append(fleet.row(key).health)
        assert fleet.row(key).checked_at == fleet.clock.now()
    assert healths == [
        FleetHealth.NEVER,
        FleetHealth.OK,
        FleetHealth.UNKNOWN,
        FleetHealth.UNKNOWN,
        FleetHealth.OK,
        FleetHealth.UNKNOWN,
        FleetHealth.OK,
    ]
    for health in (FleetHealth.UNKNOWN, FleetHealth.RAISED):  # seen once, nothing stands yet
        fleet.looked(key, BAD, causes=[Cause.MANIFEST_CHANGED])
        assert fleet.row(key).health is health
    fleet.raised(key, Cause.MANIFEST_CHANGED, Cause.CONSENT_LOST)
    row = fleet.row(key)
    assert (row.health, row.causes) == (FleetHealth.RAISED, (Cause.CONSENT_LOST, Cause.MANIFEST_CHANGED))
    for _ in range(2):
        fleet.looked(key, OK, OK)
    assert (fleet.row(key).health, fleet.row(key).causes) == (FleetHealth.OK, ())
    assert fleet.row(key) == fleet.truth(key)


def test_old_observations_are_forgotten(fleet: Booked) -> None:
    """When what is forgotten was all that was known of a thing, the book says what is left."""
    key = fleet.onboarded("acme")
    fleet.looked(key, OK, UNKNOWN)
    fleet.clock.move(days=1)
    fleet.looked(key, OK)
    assert fleet.row(key).health is FleetHealth.UNKNOWN
    assert fleet.observatory.prune(fleet.clock.now() - timedelta(hours=1), 100) == 2
    assert fleet.row(key).health is FleetHealth.OK
    assert fleet.observatory.prune(fleet.clock.now() + timedelta(hours=1), 100) == 1
    assert fleet.row(key).health is FleetHealth.NEVER


def test_rounds_that_find_the_same_cost_the_book_nothing(fleet: Booked) -> None:
    """Taking integrations on, and finding what was found before, marks nothing to be listed anew."""
    key = fleet.onboarded("acme")
    fleet.looked(key, OK, UNKNOWN)
    fleet.row(key)
    fleet.looked(key, OK, UNKNOWN)
    fleet.observatory.claim(fleet.clock.now(), fleet.clock.now(), 10)
    fleet.observatory.prune(fleet.clock.now(), 1)
    with fleet.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM stale")).scalar() == 0


def test_what_is_looked_at_no_more_is_not_well(fleet: Booked) -> None:
    """Where the watch is dead, what was well when it died is unknown by and by: in lists, pictures and by itself."""
    well, bad = fleet.onboarded("acme"), fleet.onboarded("other")
    fleet.raised(bad, Cause.PROFILE_EDITED)
    fleet.looked(well, OK)
    hour = timedelta(hours=1)
    book, watch = (made(fleet.engine, fleet.clock, 20.0, hour) for made in (PostgresFleet, PostgresObservatory))
    fleet.clock.move(minutes=59)
    row = book.row(well)
    assert row is not None
    assert (row.health, watch.health(well).words) == (FleetHealth.OK, "ok")
    assert book.pictures().healths[FleetHealth.OK] == 1
    fleet.clock.move(minutes=1)
    rows = {row.key: row for row in book.search(FleetQuery()).rows}
    assert (rows[well].health, watch.health(well).words) == (FleetHealth.UNKNOWN, "unknown")
    assert rows[well].checked_at == fleet.clock.now() - hour
    assert rows[bad].health is FleetHealth.RAISED
    counted = book.pictures().healths
    assert (counted[FleetHealth.OK], counted[FleetHealth.UNKNOWN], counted[FleetHealth.RAISED]) == (0, 1, 1)


def test_a_reader_does_not_wait_for_long(fleet: Booked) -> None:
    """While somebody is stuck listing anew, what was listed before is shown; afterwards what is new."""
    fleet.started("acme")
    before = fleet.row(KEY)
    with fleet.engine.connect() as stuck:
        standings.refresh(stuck, print)
        fleet.ledger.abandon(before.attempt_id, ALICE, "not needed")
        began = time.monotonic()
        assert fleet.row(KEY) == before
        assert time.monotonic() - began < 10
    assert fleet.row(KEY).says == "onboarding abandoned"


def test_a_word_that_only_a_newer_keyturn_knows(fleet: Booked, caplog: pytest.LogCaptureFixture) -> None:
    """What it has written to one integration hides no other: that one stays as it was listed, and is named once."""
    keys = [fleet.onboarded(tenant) for tenant in ("acme", "odd", "other")]
    assert {row.key for row in fleet.book.search(FleetQuery()).rows} == {*keys}
    for key in keys:
        fleet.raised(key, Cause.PROFILE_EDITED)
    with fleet.engine.begin() as connection:
        connection.execute(text("UPDATE conditions SET cause = 'unheard_of' WHERE key = 'odd/production'"))
        connection.execute(text("INSERT INTO stale (key) SELECT key FROM integrations"))
    for _ in range(2):
        healths = {row.key.tenant: row.health for row in fleet.book.search(FleetQuery()).rows}
        assert healths == {"acme": FleetHealth.RAISED, "odd": FleetHealth.NEVER, "other": FleetHealth.RAISED}
    with fleet.engine.begin() as connection:
        connection.execute(text("UPDATE standings SET causes = '{unheard_of}' WHERE key = 'odd/production'"))
    assert [row.key.tenant for row in fleet.book.search(FleetQuery()).rows] == ["acme", "other"]
    with pytest.raises(ConfigurationError, match="newer keyturn"):
        fleet.book.row(keys[1])
    assert [record.getMessage() for record in caplog.records if "odd/production" in record.getMessage()] == [
        "odd/production cannot be read, so it is not listed (anew): a newer keyturn has written to it"
    ]


def test_many_marks_of_few_integrations_are_taken_at_once(fleet: Booked) -> None:
    """Where nobody looks for weeks there are thousands of marks, and one batch takes all of an integration."""
    for tenant in ("acme", "other"):
        fleet.started(tenant)
    with fleet.engine.begin() as connection:
        connection.execute(text("INSERT INTO stale (key) SELECT key FROM integrations, generate_series(1, 2000)"))
    assert fleet.book.refresh(1) == 2
    with fleet.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM stale")).scalar() == 0
    assert fleet.book.refresh(1) == 0


def test_every_write_is_seen(fleet: Booked) -> None:
    """After each kind of write to the ledger, the book says what the tables it was made from say."""
    fleet.onboarded("acme")
    run = fleet.turning(KEY)
    rows = [fleet.row(KEY)]
    for change in _changes(fleet, run):
        change()
        rows.append(fleet.row(KEY))
        assert rows[-1] == fleet.truth(KEY)
    assert all(before != after for before, after in pairwise(rows))


def _changes(fleet: Booked, run: Execution) -> Iterator[Callable[[], object]]:
    """Writes of every kind that a row shows, one after the other."""
    ledger, later = fleet.ledger, fleet.clock.now() + timedelta(days=21)
    yield lambda: fleet.done(run, Stage.PREFLIGHT, Stage.APPROVE)
    yield lambda: fleet.asked(run, GateKind.GONG_ROTATION, grace_hours=168)
    fleet.move_to(later)
    yield lambda: ledger.rearm(later)
    yield lambda: _decide(fleet)
    yield lambda: fleet.clicked(run)
    yield lambda: _withdraw(fleet, run)
    yield lambda: _rewind(fleet, run)
    yield lambda: ledger.halt(run, Halt.ORPHANED, "lost")
    yield lambda: ledger.unhalt(run.attempt_id, ALICE, "found")
    yield lambda: fleet.raised(KEY, Cause.CONSENT_LOST)
    yield lambda: [fleet.looked(KEY, OK) for _ in range(2)]
    yield lambda: fleet.looked(KEY, UNKNOWN)
    yield lambda: ledger.abandon(run.attempt_id, ALICE, "enough")
    yield lambda: ledger.open_attempt(_sealed("acme", {}), ALICE)
    yield lambda: fleet.done(ledger.begin_execution(fleet.attempt(KEY).id, None), Stage.REGISTER)
    yield lambda: ledger.open_attempt(_sealed("acme", {"every_days": 30}), ALICE)  # what was done counts no more


def _decide(fleet: Booked) -> None:
    with fleet.ledger.deciding(KEY, GateKind.GONG_ROTATION) as at:
        at.decide(BOB, approved=True, digest=at.gate.digest, note="", answer={})


def _withdraw(fleet: Booked, run: Execution) -> None:
    with fleet.ledger.exclusive(run) as work:
        work.withdraw(Stage.GONG_ROTATION, "refused", {})


def _rewind(fleet: Booked, run: Execution) -> None:
    with fleet.ledger.exclusive(run) as work:
        work.rewind((Stage.PREFLIGHT,), "undone")


def test_what_is_not_committed_is_neither_seen_nor_waited_for(fleet: Booked) -> None:
    """Whoever looks while an execution is in the middle of a step sees at once what was before, and then the rest."""
    run = fleet.turning(fleet.onboarded("acme"))
    with fleet.ledger.exclusive(run) as work:
        work.write_receipt(Stage.PREFLIGHT, {})
        assert fleet.row(KEY).stage is Stage.PREFLIGHT
    assert fleet.row(KEY).stage is Stage.APPROVE


def test_a_write_while_the_book_is_written(fleet: Booked) -> None:
    """What is committed between the book's reading and its writing is seen by whoever looks next."""
    run, writes = fleet.turning(fleet.onboarded("acme")), []

    def meanwhile(*said: Any) -> None:
        if said[2].startswith("INSERT INTO standings") and not writes:
            writes.append(said[2])
            fleet.done(run, Stage.PREFLIGHT)

    event.listen(fleet.engine, "before_cursor_execute", meanwhile)
    fleet.row(KEY)
    assert writes
    assert fleet.row(KEY).stage is Stage.APPROVE


def test_two_write_the_book_one_after_the_other(fleet: Booked, threads: ThreadPoolExecutor) -> None:
    """Whoever has read first does not write last: the second one waits, and what it has read stays."""
    run, second = fleet.turning(fleet.onboarded("acme")), []

    def meanwhile(*said: Any) -> None:
        if said[2].startswith("INSERT INTO standings") and not second:
            second.append(None)
            fleet.done(run, Stage.PREFLIGHT)
            second[0] = threads.submit(fleet.row, KEY)
            _wait_until(lambda: second[0].done() or _waits(fleet))

    event.listen(fleet.engine, "before_cursor_execute", meanwhile)
    fleet.row(KEY)
    assert second[0].result(20).stage is Stage.APPROVE
    assert fleet.row(KEY).stage is Stage.APPROVE


def _waits(fleet: Booked) -> bool:
    """Whether somebody waits for a lock of nobody's row."""
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with fleet.engine.connect() as connection:
        return bool(connection.execute(waiting).scalar())


def _wait_until(so: Callable[[], bool], deadline_s: float = 20.0) -> None:
    until = time.monotonic() + deadline_s
    while not so():
        assert time.monotonic() < until
        time.sleep(0.01)  # between two looks: PostgreSQL does not tell when somebody begins to wait for a lock


def test_readers_and_writers_at_once(fleet: Booked, threads: ThreadPoolExecutor) -> None:
    """However reading and writing come together, no row stays behind what was written last."""
    keys = [fleet.onboarded(f"tenant-{n}") for n in range(3)]
    runs, over = [fleet.turning(key) for key in keys], Signal()

    def write(run: Execution) -> None:
        for _ in range(15):
            fleet.done(run, Stage.PREFLIGHT)
            with fleet.ledger.exclusive(run) as work:
                work.rewind((Stage.PREFLIGHT,), "undone")
        fleet.done(run, Stage.PREFLIGHT)

    def read() -> int:
        book, rounds = fleet.another_book(), 0
        while not over.is_set() or rounds < 3:
            assert len(book.search(FleetQuery()).rows) == len(keys)
            rounds += 1
        return rounds

    readers = [threads.submit(read) for _ in range(3)]
    writers = [threads.submit(write, run) for run in runs]
    for done in writers:
        done.result(60)
    over.set()
    assert all(done.result(60) for done in readers)
    assert [fleet.row(key) for key in keys] == [fleet.truth(key) for key in keys]
    assert {fleet.row(key).stage for key in keys} == {Stage.APPROVE}


def test_integrations_from_before_the_book(fleet: Booked, url: str) -> None:
    """What a ledger of an older keyturn holds is listed after the upgrade."""
    rows = [fleet.row(fleet.onboarded(tenant)) for tenant in ("acme", "globex")]
    fleet.engine.dispose()
    migrate.downgrade(url, "0004")
    migrate.upgrade(url)
    assert list(fleet.book.search(FleetQuery()).rows) == rows
