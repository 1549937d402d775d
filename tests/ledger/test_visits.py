from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, select, text

from keyturn.domain.gate import Person
from keyturn.domain.trail import GENESIS
from keyturn.ledger.console_tables import sessions
from keyturn.ledger.repository import PostgresLedger
from keyturn.ledger.trail import PostgresTrail
from keyturn.ledger.visits import PostgresVisits
from tests.fakes.clock import FakeClock

IDLE_S = 900.0
BOB = Person("oidc:bob", "bob", frozenset({"approver", "viewer"}), "oidc (provider)")
ANN = Person("oidc:ann", "ann", frozenset(), "oidc (provider)")


@pytest.fixture
def visits(engine: Engine, clock: FakeClock) -> PostgresVisits:
    """What this test's console remembers."""
    return PostgresVisits(engine, clock, lock_timeout_s=20.0)


@pytest.fixture
def begun(visits: PostgresVisits, clock: FakeClock) -> Callable[..., str]:
    """Begin a session of eight hours, and give its token."""

    def begin(person: Person = BOB) -> str:
        token = uuid4().hex
        visits.begin(token, person, clock.now() + timedelta(hours=8))
        return token

    return begin


def _sent(engine: Engine) -> list[str]:
    """From now on, every statement that is sent."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *said: sent.append(said[2]))
    return sent


def _at_once(threads: ThreadPoolExecutor, call: Callable[[], object]) -> list[object]:
    start = Barrier(8)

    def run() -> object:
        start.wait(10)
        return call()

    return [done.result(20) for done in [threads.submit(run) for _ in range(8)]]


def test_a_session(visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock) -> None:
    """A token gives its person and times back, until the session is ended; other tokens give nothing."""
    token, began = begun(), clock.now()
    clock.move(minutes=5)
    session = visits.visit(token, IDLE_S)
    assert session is not None
    assert (session.person, session.began_at, session.ends_at) == (BOB, began, began + timedelta(hours=8))
    assert visits.visit("another", IDLE_S) is None
    assert visits.end(token) == BOB
    assert visits.visit(token, IDLE_S) is None
    assert visits.end(token) is None


def test_idle_sessions_end(visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock) -> None:
    """A session lives as long as it is used; after the idle time without use it is over."""
    token = begun()
    for _ in range(4):
        clock.move(minutes=14)
        assert visits.visit(token, IDLE_S)
    clock.move(minutes=15)
    assert visits.visit(token, IDLE_S) is None


def test_used_sessions_end_too(visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock) -> None:
    """However much it is used, a session ends at its latest moment."""
    token = begun()
    clock.move(hours=8, seconds=-1)
    assert visits.visit(token, 1e6)
    clock.move(seconds=1)
    assert visits.visit(token, 1e6) is None


def test_page_loads_hardly_write(
    visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock, engine: Engine
) -> None:
    """A visit is one statement, and writes the session's use down at most every half minute."""
    token = begun()
    version = select(text("xmin::text"), sessions.c.seen_at).select_from(sessions)
    seen, sent = [], _sent(engine)
    for _ in range(7):
        with engine.connect() as connection:
            seen.append(tuple(connection.execute(version).one()))
        clock.move(seconds=10)
        sent.clear()
        assert visits.visit(token, IDLE_S)
        assert [s for s in sent if "set_config" not in s and "sessions" not in s] == []
        assert len([s for s in sent if "sessions" in s]) == 1
    assert len(set(seen)) == 3


def test_tokens_are_kept_as_hashes(
    visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock, engine: Engine
) -> None:
    """Nowhere in the ledger is a token or a code from which somebody could sign in."""
    token = begun()
    visits.offer("one-time-code", BOB, clock.now() + timedelta(minutes=5))
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT sessions::text FROM sessions UNION ALL SELECT codes::text FROM codes"))
        rows = kept.scalars().all()
    assert len(rows) == 2
    assert not [row for row in rows if token in row or "one-time-code" in row]


def test_signing_in_and_out_is_in_the_trail(
    visits: PostgresVisits, begun: Callable[..., str], ledger: PostgresLedger, engine: Engine
) -> None:
    """Who signed in and out, and how, is in the audit trail; what was refused is not; the chain holds."""
    token = begun()
    visits.end(token)
    visits.end(token)
    begun()
    begun(ANN)
    begun()
    assert visits.end_all(BOB.id, ANN) == 2
    assert visits.end_all(BOB.id, ANN) == 0
    said = [(e.event, e.actor, e.key, e.attempt_id, e.signed_in, e.detail) for e in ledger.trail()]
    how = BOB.signed_in
    assert said[:2] == [
        ("console.signed_in", BOB.id, "", None, how, {"name": "bob", "groups": ["approver", "viewer"]}),
        ("console.signed_out", BOB.id, "", None, how, {"name": "bob"}),
    ]
    ended = {"name": ANN.name, "person": BOB.id, "sessions": 2}
    assert said[5:] == [("console.signed_out", ANN.id, "", None, ANN.signed_in, ended)]
    inspection = PostgresTrail(engine).verify(GENESIS)
    assert (inspection.rows, inspection.fault) == (6, None)


def test_signing_out_everywhere(visits: PostgresVisits, begun: Callable[..., str]) -> None:
    """All sessions of a person end, and nobody else's."""
    mine, hers = [begun(), begun()], begun(ANN)
    assert visits.end_all(BOB.id, ANN) == 2
    assert [visits.visit(token, IDLE_S) for token in mine] == [None, None]
    assert visits.visit(hers, IDLE_S)


def test_signing_out_everywhere_by_name(
    visits: PostgresVisits, begun: Callable[..., str], ledger: PostgresLedger
) -> None:
    """Whoever is called that is signed out, and the trail has each one's id."""
    other = replace(BOB, id="oidc:another#bob")
    mine = [begun(), begun(other)]
    assert visits.end_all(BOB.name, ANN) == 2
    assert [visits.visit(token, IDLE_S) for token in mine] == [None, None]
    ended = [e.detail["person"] for e in ledger.trail() if e.event == "console.signed_out"]
    assert ended == sorted([BOB.id, other.id])


def test_who_was_signed_out_does_not_come_back_by_a_code(visits: PostgresVisits, clock: FakeClock) -> None:
    """A one-time code that was made before is used up; somebody else's is not."""
    for person in (BOB, ANN):
        visits.offer(f"code of {person.name}", person, clock.now() + timedelta(minutes=5))
    assert visits.end_all(BOB.id, ANN) == 0
    assert visits.redeem(f"code of {BOB.name}") is None
    assert visits.redeem(f"code of {ANN.name}") == ANN


def test_a_code_signs_in_once(visits: PostgresVisits, clock: FakeClock) -> None:
    """A one-time code gives its person once; unknown and old ones give nobody."""
    visits.offer("good", BOB, clock.now() + timedelta(minutes=5))
    visits.offer("old", BOB, clock.now() + timedelta(minutes=5))
    assert visits.redeem("unknown") is None
    assert visits.redeem("good") == BOB
    assert visits.redeem("good") is None
    clock.move(minutes=5)
    assert visits.redeem("old") is None


def test_a_code_is_redeemed_by_one(visits: PostgresVisits, clock: FakeClock, threads: ThreadPoolExecutor) -> None:
    """Of eight who redeem a code at the same moment, one is signed in."""
    for n in range(5):
        code = f"code {n}"
        visits.offer(code, BOB, clock.now() + timedelta(minutes=5))
        found = _at_once(threads, lambda code=code: visits.redeem(code))  # type: ignore[misc]
        assert sorted(map(str, found)) == sorted([str(BOB), *["None"] * 7])


def test_tries_are_counted_in_a_sliding_window(visits: PostgresVisits, clock: FakeClock) -> None:
    """What lies within the window before now counts, bucket by bucket."""
    counts = []
    for _ in range(5):
        counts.append(visits.tries("intake/bob", 60))
        clock.move(seconds=20)
    assert counts == [1, 2, 3, 3, 3]
    assert visits.tries("intake/ann", 60) == 1
    clock.move(seconds=60)
    assert visits.tries("intake/bob", 60) == 1


def test_no_try_is_missed(visits: PostgresVisits, threads: ThreadPoolExecutor) -> None:
    """Eight tries at the same moment are counted one after the other."""
    counts = [count for _ in range(3) for count in _at_once(threads, lambda: visits.tries("b", 60))]
    assert set(counts) == set(range(1, 25))


def test_the_first_time(visits: PostgresVisits, clock: FakeClock) -> None:
    """Within the window of the first time, nothing is the first time again."""
    assert visits.first("webhook/1", 300)
    assert not visits.first("webhook/1", 300)
    assert visits.first("webhook/2", 300)
    clock.move(seconds=299)
    assert not visits.first("webhook/1", 300)
    clock.move(seconds=1)
    assert visits.first("webhook/1", 300)


def test_only_one_is_first(visits: PostgresVisits, clock: FakeClock, threads: ThreadPoolExecutor) -> None:
    """Of eight that ask at the same moment one is first, also when it was seen long ago."""
    for _ in range(3):
        assert sum(map(bool, _at_once(threads, lambda: visits.first("webhook/1", 300)))) == 1
        clock.move(seconds=300)


def test_ticks(visits: PostgresVisits) -> None:
    """Each person ticks steps of each gate off alone, and can take it back; doing it twice is doing it once."""
    gate, other = uuid4(), uuid4()
    for step in (1, 3, 3):
        visits.tick(gate, BOB.id, step, done=True)
    visits.tick(gate, ANN.id, 2, done=True)
    visits.tick(other, BOB.id, 5, done=True)
    assert visits.ticked(gate, BOB.id) == {1, 3}
    for _ in range(2):
        visits.tick(gate, BOB.id, 3, done=False)
    assert (visits.ticked(gate, BOB.id), visits.ticked(gate, ANN.id)) == ({1}, {2})


def test_what_is_over_is_forgotten(
    visits: PostgresVisits, begun: Callable[..., str], clock: FakeClock, engine: Engine
) -> None:
    """Old and ended sessions, old codes, tries and sightings go; what still counts stays."""
    begun()
    visits.offer("old", BOB, clock.now() + timedelta(minutes=5))
    visits.tries("old", 60)
    visits.first("old", 60)
    clock.move(hours=8)
    visits.end(begun())
    kept = begun()
    visits.offer("kept", BOB, clock.now() + timedelta(minutes=5))
    visits.tries("kept", 60)
    visits.first("kept", 60)
    visits.prune()
    with engine.connect() as connection:
        count = (
            "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {}), (SELECT count(*) FROM {}), count(*) FROM {}"
        )
        left = connection.execute(text(count.format("sessions", "codes", "tries", "sightings"))).one()
    assert tuple(left) == (1, 1, 1, 1)
    assert visits.visit(kept, IDLE_S)
    assert visits.redeem("kept") == BOB
    assert (visits.tries("kept", 60), visits.first("kept", 60)) == (2, False)
