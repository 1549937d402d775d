from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Engine, text

from keyturn.domain.attempt import STAGES, Stage
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import UnavailableError
from keyturn.ledger.fleet_book import PostgresFleet
from keyturn.ledger.repository import PostgresLedger
from tests.fakes.clock import FakeClock


def test_a_watcher_is_woken(
    ledger: PostgresLedger, sealed: Callable[..., SealedManifest], threads: ThreadPoolExecutor
) -> None:
    """Who watches an attempt hears of a receipt when it is committed, and nothing of other attempts."""
    mine = ledger.begin_execution(ledger.open_attempt(sealed(), None).attempt.id, None)
    other = ledger.begin_execution(ledger.open_attempt(sealed("globex"), None).attempt.id, None)
    with closing(ledger.changes(mine.attempt_id, timeout_s=20)) as heard:
        assert next(heard) is True, "listening has begun"
        with ledger.exclusive(other) as work:
            work.write_receipt(Stage.REGISTER, {})
        woken = threads.submit(next, heard)
        with ledger.exclusive(mine) as work:
            work.write_receipt(Stage.REGISTER, {})
            assert not woken.done()
        assert woken.result(20) is True


def test_a_quiet_attempt(ledger: PostgresLedger, sealed: Callable[..., SealedManifest], engine: Engine) -> None:
    """Without a change the watcher is told so after the timeout, and its connection does not outlive it."""
    attempt = ledger.open_attempt(sealed(), None).attempt
    with closing(ledger.changes(attempt.id, timeout_s=0.05)) as heard:
        assert [next(heard), next(heard), next(heard)] == [True, False, False]
    listeners = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    with engine.connect() as connection:
        assert connection.execute(listeners).scalar() == 0


def test_a_lost_listener(ledger: PostgresLedger, sealed: Callable[..., SealedManifest], engine: Engine) -> None:
    """A watcher whose connection is cut gets a transient error, not a driver's."""
    attempt = ledger.open_attempt(sealed(), None).attempt
    heard = ledger.changes(attempt.id, timeout_s=20)
    next(heard)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        assert connection.execute(cut).all()
    with pytest.raises(UnavailableError):
        next(heard)


def test_changes_of_the_fleet(
    ledger: PostgresLedger, engine: Engine, clock: FakeClock, sealed: Callable[..., SealedManifest]
) -> None:
    """Who watches the fleet is answered at once, then hears which integrations changed, and when none do."""
    book = PostgresFleet(engine, clock, 20.0)
    heard = book.changes(timeout_s=20)
    assert next(heard) == frozenset()
    mine, other = (ledger.open_attempt(sealed(tenant), None).attempt for tenant in ("acme", "globex"))
    changed: set[IntegrationKey] = set()
    while changed != {mine.key, other.key}:
        news = next(heard)
        assert news, "nothing comes without a change"
        changed |= news
    heard.close()
    heard = book.changes(timeout_s=0.05)
    assert [next(heard), next(heard)] == [frozenset(), frozenset()]
    heard.close()


def test_what_changes_together_is_heard_together(
    ledger: PostgresLedger, engine: Engine, clock: FakeClock, sealed: Callable[..., SealedManifest]
) -> None:
    """Ten writes to two integrations before anybody looks are one piece of news."""
    runs = [ledger.begin_execution(ledger.open_attempt(sealed(t), None).attempt.id, None) for t in ("acme", "globex")]
    with closing(PostgresFleet(engine, clock, 20.0).changes(timeout_s=20)) as heard:
        next(heard)
        for stage in STAGES[:5]:
            for run in runs:
                with ledger.exclusive(run) as work:
                    work.write_receipt(stage, {})
        assert next(heard) == {run.key for run in runs}
