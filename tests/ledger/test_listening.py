from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Engine, text

from keyturn.domain.attempt import Stage
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import UnavailableError
from keyturn.ledger.repository import PostgresLedger


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
