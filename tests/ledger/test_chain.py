from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, text

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.trail import GENESIS, AuditEntry, FaultKind, Head, chain, sha256_of, text_of
from keyturn.errors import RefusedError, UnavailableError
from keyturn.ledger.repository import PostgresLedger
from keyturn.ledger.trail import PostgresTrail, append
from keyturn.ledger.unit import transaction
from keyturn.ports import Clock

Sealed = Callable[..., SealedManifest]
People = Callable[..., Person]
ENTRIES = 9
CLOSE_UP = """
UPDATE audit SET seq = n.now FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS now FROM audit) AS n
WHERE audit.seq = n.seq
"""
COLUMNS = "at, key, attempt_id, actor, signed_in, event, digest, detail, prev, hash"


@pytest.fixture
def trail(engine: Engine) -> PostgresTrail:
    """The trail of this test's ledger."""
    return PostgresTrail(engine)


@pytest.fixture
def attempt(ledger: PostgresLedger, sealed: Sealed) -> Attempt:
    """What the entries are about; its opening is row 1."""
    return ledger.open_attempt(sealed(), None).attempt


@pytest.fixture
def written(engine: Engine, clock: Clock, attempt: Attempt) -> Head:
    """A trail of nine rows, each by a transaction of its own; gives its head."""
    for number in range(2, ENTRIES + 1):
        with transaction(engine, clock, 5.0, "test") as unit:
            unit.audit("test.entry", attempt, {"number": number, "note": "naïve ✓"})
    return PostgresTrail(engine).head()


def by_force(url: str, *statements: str) -> None:
    """What only the owner of the tables can do, and nobody should."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE audit DISABLE TRIGGER tr_audit_append_only")
        for statement in statements:
            connection.execute(statement)
        connection.execute("ALTER TABLE audit ENABLE TRIGGER tr_audit_append_only")


def fault_of(trail: PostgresTrail, known: Head = GENESIS) -> tuple[FaultKind, int] | None:
    """Kind and row of the first fault."""
    fault = trail.verify(known).fault
    return (fault.kind, fault.seq) if fault else None


def test_what_the_ledger_writes_is_a_chain(
    trail: PostgresTrail, ledger: PostgresLedger, sealed: Sealed, person: People
) -> None:
    """Several entries of one transaction and those of several integrations are one chain, from the first row on."""
    assert (trail.head(), trail.verify(GENESIS).head) == (GENESIS, GENESIS)
    attempt = ledger.open_attempt(sealed(), person("alice")).attempt
    ledger.open_attempt(sealed("globex"), person("bob"))
    ledger.open_attempt(sealed(note="other"), person("carol"))
    ledger.abandon(attempt.id, person("carol"), "wrong tenant")
    assert trail.verify(GENESIS).fault is None
    rows = list(trail.entries())
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert [row.entry for row in rows] == list(ledger.trail())
    key = IntegrationKey("globex", "production")
    assert [row.entry for row in trail.entries(key)] == list(ledger.trail(key))
    assert trail.head() == trail.verify(GENESIS).head == Head(rows[-1].seq, rows[-1].hash)


numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(texts | st.integers(), inner),
    max_leaves=8,
)


@given(detail=st.dictionaries(texts, values, max_size=4))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_jsonb_changes_no_hash(engine: Engine, detail: dict[str, object]) -> None:
    """Whatever JSON an entry holds, what comes back from PostgreSQL is spelled like what went in."""
    with engine.connect() as connection:
        asked = text("SELECT CAST(CAST(:detail AS jsonb) AS text)")
        back = connection.execute(asked, {"detail": json.dumps(detail)}).scalar_one()
    assert text_of("", {}, back) == text_of("", {}, json.dumps(detail))


@given(body=st.dictionaries(texts, values, max_size=4))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_jsonb_changes_no_hash_of_a_body(engine: Engine, body: dict[str, object]) -> None:
    """The same for a receipt's body, which comes back as values of Python's."""
    with engine.connect() as connection:
        asked = text("SELECT CAST(:body AS jsonb)")
        back = connection.execute(asked, {"body": json.dumps(body)}).scalar_one()
    assert sha256_of(back) == sha256_of(body)


@pytest.mark.parametrize("value", [1e16, -0.0, 5e-324, 1.0, 1e300, 10**400, (1, (2,)), {2: "b", 10: "a"}, "\u2028é😀"])
def test_awkward_values_are_chained(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt, value: object
) -> None:
    """The same, all the way: written by the ledger, read and verified by the trail."""
    with transaction(engine, clock, 5.0, "test") as unit:
        unit.audit("test.entry", attempt, {"value": value})
    assert trail.verify(GENESIS).fault is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\0", "\ud800"])
def test_what_postgresql_cannot_keep_is_refused(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt, value: object
) -> None:
    """It is our own error, as before there were hashes, and nothing is kept."""
    with pytest.raises(RefusedError, match="cannot keep"), transaction(engine, clock, 5.0, "test") as unit:
        unit.audit("test.entry", attempt, {"value": value})
    assert trail.verify(GENESIS).head.seq == 1


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "at = 'infinity'",
        "at = (to_char(at, 'YYYY-MM-DD HH24:MI:SS.US') || '+00 BC')::timestamptz",
        "key = 'acme/productiom'",
        "attempt_id = NULL",
        "attempt_id = gen_random_uuid()",
        "actor = 'vault:entity/mallory'",
        "signed_in = 'x'",
        "event = event || ' '",
        "digest = upper(digest)",
        "detail = jsonb_set(detail, '{note}', '\"naive ✓\"')",
        "detail = jsonb_set(detail, '{number}', '5.0')",
        "detail = detail - 'note'",
        "detail = detail || '{\"more\": null}'",
        "detail = ('[' || repeat('9', 6000) || ']')::jsonb",
        "detail = (repeat('[', 3000) || repeat(']', 3000))::jsonb",
        "prev = hash",
        "hash = prev",
    ],
)
@pytest.mark.usefixtures("written")
def test_a_changed_row_is_named(trail: PostgresTrail, url: str, change: str) -> None:
    """Whichever column the owner of the tables changes, to whatever value."""
    by_force(url, f"UPDATE audit SET {change} WHERE seq = 5")  # noqa: S608  ours
    assert fault_of(trail) == (FaultKind.CHANGED, 5)


@pytest.mark.parametrize(("gone", "first"), [("seq = 1", 1), ("seq = 4", 4), ("seq IN (4, 5, 7)", 4)])
@pytest.mark.usefixtures("written")
def test_a_missing_row_is_named(trail: PostgresTrail, url: str, gone: str, first: int) -> None:
    """With a gap left behind, and with the numbers closed up over it."""
    by_force(url, f"DELETE FROM audit WHERE {gone}")  # noqa: S608  ours
    assert fault_of(trail) == (FaultKind.MISSING, first)
    by_force(url, "ALTER TABLE audit DROP CONSTRAINT pk_audit", CLOSE_UP)
    assert fault_of(trail) == (FaultKind.MISSING, first)


def test_a_cut_off_end_is_found_by_the_head(trail: PostgresTrail, url: str, written: Head) -> None:
    """The rest of the chain is sound, so only the head that was kept elsewhere tells."""
    by_force(url, "DELETE FROM audit WHERE seq > 6")
    assert fault_of(trail) is None
    assert fault_of(trail, written) == (FaultKind.MISSING, 7)
    fault = trail.verify(written, whole=False).fault
    assert fault
    assert fault.kind is FaultKind.MISSING


def test_an_emptied_trail_is_found_by_the_head(trail: PostgresTrail, url: str, written: Head) -> None:
    """Nothing is left that could be wrong."""
    by_force(url, "TRUNCATE audit")
    assert fault_of(trail) is None
    assert fault_of(trail, written) == (FaultKind.MISSING, 1)


@pytest.mark.usefixtures("written")
def test_an_inserted_row_is_named(trail: PostgresTrail, url: str) -> None:
    """Room was made for it by pushing the later rows on."""
    by_force(
        url,
        "UPDATE audit SET seq = seq + 1000 WHERE seq >= 4",
        "UPDATE audit SET seq = seq - 999 WHERE seq >= 1000",
        f"INSERT INTO audit (seq, {COLUMNS}) SELECT 4, {COLUMNS} FROM audit WHERE seq = 2",  # noqa: S608  ours
    )
    assert fault_of(trail) == (FaultKind.INSERTED, 4)


@pytest.mark.usefixtures("written")
def test_swapped_rows_are_named(trail: PostgresTrail, url: str) -> None:
    """Each stands where the other one was written."""
    by_force(
        url,
        "UPDATE audit SET seq = 1000 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 7",
        "UPDATE audit SET seq = 7 WHERE seq = 1000",
    )
    assert fault_of(trail) == (FaultKind.MISSING, 3)


def test_a_trail_written_anew_is_found_by_the_head(trail: PostgresTrail, url: str, written: Head) -> None:
    """Somebody who knows how the hashes are made replaces row 3, and makes all later ones again."""
    by_force(url, "UPDATE audit SET actor = 'vault:entity/mallory' WHERE seq = 3")
    assert fault_of(trail) == (FaultKind.CHANGED, 3)
    rows = list(trail.entries())
    sound = Head(2, rows[1].hash)
    anew = chain(sound, [row.entry for row in rows[2:]])
    by_force(url, *(f"UPDATE audit SET prev = '{r.prev}', hash = '{r.hash}' WHERE seq = {r.seq}" for r in anew))  # noqa: S608  ours
    assert fault_of(trail) is None
    assert fault_of(trail, written) == (FaultKind.REWRITTEN, ENTRIES)
    assert fault_of(trail, sound) is None


def test_a_long_trail_is_read_in_batches(trail: PostgresTrail, engine: Engine, attempt: Attempt) -> None:
    """Three and a half thousand rows, some of them after the head that is known."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    entries = [AuditEntry(at, str(attempt.key), None, "system", "", "test", "d", {"n": n}) for n in range(3500)]
    with engine.begin() as connection:
        append(connection, entries)
    assert (trail.verify(GENESIS).rows, trail.verify(trail.head()).fault) == (3501, None)
    assert trail.verify(trail.head(), whole=False).rows == 1


def test_writers_at_the_same_time_make_one_chain(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt, threads: ThreadPoolExecutor
) -> None:
    """Eight writers with 25 transactions each: no number twice, none left out, in a few seconds."""

    def write(writer: int) -> None:
        for number in range(25):
            with transaction(engine, clock, 20.0, "test") as unit:
                unit.audit("test.entry", attempt, {"writer": writer, "number": number})
                unit.audit("test.other", attempt, {})

    began = time.monotonic()
    list(threads.map(write, range(8)))
    assert time.monotonic() - began < 20
    inspection = trail.verify(GENESIS)
    assert (inspection.fault, inspection.rows) == (None, 401)


def test_whoever_works_does_not_hold_the_trail(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt
) -> None:
    """While a transaction has said something and is not at its end, others write theirs; it comes after them."""
    with transaction(engine, clock, 2.0, "test") as slow:
        slow.audit("test.slow", attempt, {})
        with transaction(engine, clock, 2.0, "test") as quick:
            quick.audit("test.quick", attempt, {})
    assert [row.entry.event for row in trail.entries()][1:] == ["test.quick", "test.slow"]
    assert trail.verify(GENESIS).fault is None


def test_the_text_of_a_moment_stays_as_it_was_hashed(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt
) -> None:
    """Whatever is done about moments that keyturn never writes: chains that exist must stay valid."""
    with transaction(engine, clock, 5.0, "test") as unit:
        unit.audit("test.entry", attempt, {})
    assert [json.loads(row.text)["at"] for row in trail.entries()] == ["2026-03-02T09:00:00.000000Z"] * 2


def test_something_is_said_about_the_trail_itself(trail: PostgresTrail, clock: Clock, attempt: Attempt) -> None:
    """It is one more row of the same chain, about no attempt."""
    entry = AuditEntry(clock.now(), "", None, "system", "", "trail.verified", "", {"rows": 1})
    trail.add(entry)
    assert [row.entry for row in trail.entries()][1:] == [entry]
    assert list(trail.entries(attempt.key))[-1].seq == 1
    assert trail.verify(GENESIS).rows == 2


def test_saying_something_about_a_held_trail_does_not_wait_for_ever(
    trail: PostgresTrail, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as long as half a minute here."""
    monkeypatch.setattr("keyturn.ledger.trail._PATIENCE_MS", 100)
    entry = AuditEntry(clock.now(), "", None, "system", "", "trail.verified", "", {})
    with engine.connect() as holder:
        append(holder, [entry])
        with pytest.raises(UnavailableError, match="holds the audit trail"):
            trail.add(entry)


def test_a_trail_held_by_somebody_says_so(trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt) -> None:
    """Whoever waits for it too long can try again, and is not told that the attempt is being worked on."""
    with engine.connect() as holder:
        append(holder, [AuditEntry(clock.now(), "k", None, "system", "", "test", "d", {})])
        waiting = pytest.raises(UnavailableError, match="holds the audit trail")
        with waiting, transaction(engine, clock, 0.1, "test") as unit:
            unit.audit("test.entry", attempt, {})
        assert [row.seq for row in trail.entries()] == [1], "reading waits for nobody"
    assert trail.head().seq == 1


def test_a_writer_that_freezes_is_ended_soon(engine: Engine, clock: Clock) -> None:
    """PostgreSQL is told so once the trail is held: everybody waits for it, not only those of one attempt."""
    setting = select(text("current_setting('idle_in_transaction_session_timeout')"))
    with engine.connect() as connection:
        assert connection.execute(setting).scalar_one() == "5min"
        append(connection, [AuditEntry(clock.now(), "k", None, "system", "", "test", "d", {})])
        assert connection.execute(setting).scalar_one() == "15s"
        connection.rollback()
        assert connection.execute(setting).scalar_one() == "5min"


def test_a_writer_killed_before_its_commit_leaves_no_gap(
    trail: PostgresTrail, engine: Engine, clock: Clock, attempt: Attempt
) -> None:
    """What it wrote is not there, the number is given again, and nobody waits for the dead."""
    with engine.connect() as dying:
        append(dying, [AuditEntry(clock.now(), "k", None, "system", "", "test", "d", {})])
        pid = dying.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        dying.invalidate()
    with transaction(engine, clock, 5.0, "test") as unit:
        unit.audit("test.entry", attempt, {})
    assert [row.seq for row in trail.entries()] == [1, 2]
    assert trail.verify(GENESIS).fault is None


def test_the_newest_rows_come_first(
    trail: PostgresTrail, ledger: PostgresLedger, sealed: Sealed, person: People, written: Head
) -> None:
    """The newest rows of one integration or one attempt, newest first, and on from any of them down to the first."""
    key = sealed().key
    ledger.open_attempt(sealed("globex"), person("bob"))
    first, second = trail.latest(key, 4), trail.latest(key, 4, before_seq=6)
    assert [row.seq for row in first] == [written.seq, 8, 7, 6]
    assert [row.seq for row in second] == [5, 4, 3, 2]
    assert [row.seq for row in trail.latest(key, 4, before_seq=2)] == [1]
    assert first == list(trail.entries(key))[:-5:-1]
    mine = ledger.attempts(key)[0].id
    ledger.abandon(mine, person("carol"), "anew")
    other = ledger.open_attempt(sealed(), person("carol")).attempt.id
    assert [row.entry.event for row in trail.latest(key, 4, attempt_id=other)] == ["attempt.opened"]
    assert [row.entry.event for row in trail.latest(key, 2, attempt_id=mine)] == ["attempt.abandoned", "test.entry"]
    assert trail.latest(IntegrationKey("nobody", "nowhere"), 5) == []
