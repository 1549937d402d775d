"""Being woken by PostgreSQL (LISTEN) instead of asking again and again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from keyturn.ledger.faults import translated
from keyturn.ledger.unit import CHANNEL


def changes(engine: Engine, attempt_id: UUID, timeout_s: float) -> Generator[bool, None, None]:
    """Say whether the attempt may have changed: at once, at each change, and every `timeout_s` seconds without one.

    The first item comes after listening has begun, so nothing falls between looking and listening. Endless; the
    connection is closed with the iterator.
    """
    with translated(engine.url, f"attempt {attempt_id}"), engine.connect() as connection:
        driver = connection.connection.driver_connection
        connection.detach()  # it listens, so it must not go back to the pool
        assert isinstance(driver, psycopg.Connection)  # noqa: S101  make_engine allows no other driver
        driver.rollback()
        driver.autocommit = True
        driver.execute(f"LISTEN {CHANNEL}")
        yield True
        while True:
            yield _heard(driver, str(attempt_id), timeout_s)


def _heard(driver: psycopg.Connection, payload: str, timeout_s: float) -> bool:
    with closing(driver.notifies(timeout=timeout_s)) as notes:
        return any(note.payload == payload for note in notes)
