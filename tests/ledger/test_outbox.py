from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from keyturn.domain.notice import Event, Notice, Severity
from keyturn.ledger.outbox import LEASE, PostgresOutbox
from keyturn.ledger.tables import notices
from tests.fakes.clock import FakeClock


def notice(about: str = "drift/1", **facts: str) -> Notice:
    """Something to tell."""
    return Notice(Event.DRIFT_RAISED, Severity.WARNING, "acme/production", about, facts)


@pytest.fixture
def outbox(engine: Engine, clock: FakeClock) -> PostgresOutbox:
    """The outbox of this test's ledger."""
    return PostgresOutbox(engine, clock, lock_timeout_s=20.0)


def test_the_same_is_not_told_twice(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """`about` names an occurrence: the second one is refused, also after the first was settled."""
    assert outbox.tell(notice(cause="secret_reset"))
    assert not outbox.tell(notice(cause="other"))
    (owed,) = outbox.owed(clock.now(), 10)
    assert owed.notice == notice(cause="secret_reset")
    assert (owed.created_at, owed.delivered, owed.tries) == (clock.now(), frozenset(), 0)
    outbox.settle(owed.id, ["slack"], None, "")
    assert not outbox.tell(notice())
    clock.move(days=100)
    assert list(outbox.owed(clock.now(), 10)) == []


def test_what_is_claimed_is_given_to_nobody_else(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """Not until the lease is over: whoever claimed it may have died."""
    outbox.tell(notice())
    assert len(outbox.owed(clock.now(), 10)) == 1
    assert list(outbox.owed(clock.now(), 10)) == []
    clock.time += LEASE
    assert len(outbox.owed(clock.now(), 10)) == 1


def test_concurrent_senders_share_the_work(
    outbox: PostgresOutbox, clock: FakeClock, threads: ThreadPoolExecutor
) -> None:
    """Eight senders at once claim every notice exactly once."""
    abouts = {f"drift/{n}" for n in range(40)}
    for about in sorted(abouts):
        outbox.tell(notice(about))
    start = Barrier(8)

    def claim() -> list[str]:
        start.wait(10)
        return [o.notice.about for _ in range(12) for o in outbox.owed(clock.now(), 3)]

    claims = [about for done in [threads.submit(claim) for _ in range(8)] for about in done.result(20)]
    assert Counter(claims) == Counter(abouts)


def test_concurrent_tellers_make_one_notice(
    outbox: PostgresOutbox, clock: FakeClock, threads: ThreadPoolExecutor
) -> None:
    """Eight tell the same at once: one is believed."""
    start = Barrier(8)

    def tell() -> bool:
        start.wait(10)
        return outbox.tell(notice())

    assert sum(done.result(20) for done in [threads.submit(tell) for _ in range(8)]) == 1
    assert len(outbox.owed(clock.now(), 10)) == 1


def test_a_failure_is_kept_and_tried_later(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """It is due again at the time given, with who has taken it and how often it failed."""
    outbox.tell(notice())
    (owed,) = outbox.owed(clock.now(), 10)
    later = clock.now() + timedelta(minutes=1)
    outbox.settle(owed.id, ["mail"], later, "channel slack did not take the message")
    assert list(outbox.owed(later - timedelta(seconds=1), 10)) == []
    (again,) = outbox.owed(later, 10)
    assert (again.id, again.delivered, again.tries) == (owed.id, {"mail"}, 1)


def test_putting_off_is_not_a_try(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """Without a failure nothing is counted."""
    outbox.tell(notice())
    (owed,) = outbox.owed(clock.now(), 10)
    outbox.settle(owed.id, [], clock.now(), "")
    assert outbox.owed(clock.now(), 10)[0].tries == 0


def test_those_tried_least_come_first(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """So a notice that never gets through cannot keep the others from being told."""
    for about in ("old", "new"):
        outbox.tell(notice(about))
    old, new = outbox.owed(clock.now(), 10)
    outbox.settle(old.id, [], clock.now(), "failed")
    outbox.settle(new.id, [], clock.now(), "")
    assert [o.notice.about for o in outbox.owed(clock.now(), 1)] == ["new"]


def test_the_end_stands(outbox: PostgresOutbox, clock: FakeClock, engine: Engine) -> None:
    """A sender whose lease had run out cannot take back what another one settled."""
    outbox.tell(notice())
    (owed,) = outbox.owed(clock.now(), 10)
    outbox.settle(owed.id, ["slack"], None, "")
    clock.move(minutes=20)
    outbox.settle(owed.id, [], clock.now(), "late")
    with engine.connect() as connection:
        row = connection.execute(select(notices)).one()
    assert (row.delivered, row.failure, row.settled_at) == (["slack"], "", clock.now() - timedelta(minutes=20))


def test_strange_facts_can_be_kept(outbox: PostgresOutbox, clock: FakeClock) -> None:
    """NUL and half characters, as a vendor's answer may hold, do not make it fail."""
    outbox.tell(notice(evidence="a\0b\ud800c"))
    assert outbox.owed(clock.now(), 10)[0].notice.facts == {"evidence": "ab?c"}
