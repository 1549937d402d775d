"""Being woken by PostgreSQL (LISTEN) instead of asking again and again."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import stale
from keyturn.ledger.faults import translated
from keyturn.ledger.unit import CHANNEL

_TOGETHER_S = 0.05


def changes(engine: Engine, attempt_id: UUID, timeout_s: float) -> Generator[bool, None, None]:
    """Say whether the attempt may have changed: at once, at each change, and every `timeout_s` seconds without one.

    The first item comes after listening has begun, so nothing falls between looking and listening. Endless; the
    connection is closed with the iterator.
    """
    with _listener(engine, CHANNEL, f"attempt {attempt_id}") as driver:
        yield True
        while True:
            yield _heard(driver, str(attempt_id), timeout_s)


def changed_integrations(engine: Engine, timeout_s: float) -> Generator[frozenset[IntegrationKey], None, None]:
    """Say which integrations changed: none at once, those at each change, none after `timeout_s` seconds without one.

    What changes at nearly the same moment is said together. Otherwise as `changes`.
    """
    with _listener(engine, stale.CHANNEL, "fleet") as driver:
        yield frozenset()
        while True:
            yield frozenset(IntegrationKey.parse(key) for key in _payloads(driver, timeout_s))


@contextmanager
def _listener(engine: Engine, channel: str, subject: str) -> Iterator[psycopg.Connection]:
    """A connection of its own that listens."""
    with translated(engine.url, subject), engine.connect() as connection:
        driver = connection.connection.driver_connection
        connection.detach()  # it listens, so it must not go back to the pool
        assert isinstance(driver, psycopg.Connection)  # noqa: S101  make_engine allows no other driver
        driver.rollback()
        driver.autocommit = True
        driver.execute(f"LISTEN {channel}")
        yield driver


def _heard(driver: psycopg.Connection, payload: str, timeout_s: float) -> bool:
    with closing(driver.notifies(timeout=timeout_s)) as notes:
        return any(note.payload == payload for note in notes)


def _payloads(driver: psycopg.Connection, timeout_s: float) -> set[str]:
    with closing(driver.notifies(timeout=timeout_s, stop_after=1)) as notes:
        heard = {note.payload for note in notes}
    if heard:
        with closing(driver.notifies(timeout=_TOGETHER_S)) as more:
            heard |= {note.payload for note in more}
    return heard
