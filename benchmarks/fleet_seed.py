"""A ledger with a fleet in it, as large as wanted, made in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import psycopg
from psycopg import sql

from benchmarks.fleet_lives import NEVER_CHECKED, RAISED, UNCLEAR, Life, Row, lives
from keyturn.clients.clock import SystemClock
from keyturn.domain.health import Cause, Subject
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import AuditEntry
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.fleet_book import PostgresFleet
from keyturn.ledger.trail import append

_BATCH = 1000
_TABLES = ("manifests", "integrations", "attempts", "receipts", "gates", "decisions", "conditions")
_WATCHED = ("attempts", "receipts", "gates", "integrations", "conditions")
# Round after round over the whole fleet, as the watch does it, so that what is read together is not kept together.
_OBSERVE = """
INSERT INTO observations (key, subject, outcome, cause, evidence, latency_ms, at)
SELECT 'tenant-' || lpad(n::text, 5, '0') || '/production', subject,
    CASE WHEN subject <> 'pair' THEN 'ok' WHEN n %% 100 = ANY (%(unclear)s) THEN 'unknown'
        WHEN n %% 100 = %(refused)s THEN 'bad' ELSE 'ok' END,
    '', 'as it should be', 120, %(now)s - (%(rounds)s - round) * interval '15 minutes' + n * interval '10 milliseconds'
FROM generate_series(1, %(rounds)s) AS round, generate_series(0, %(integrations)s - 1) AS n,
    unnest(%(subjects)s::text[]) AS subject
WHERE n %% 100 <> %(never)s OR round < 0
ORDER BY round, n
"""


def seed(url: str, integrations: int, observations: int, now: datetime | None = None) -> None:
    """Fill an empty database: tables, integrations in every state, observations, and the lists made from them.

    Args:
        url: of a database that may not even have tables yet.
        integrations: how many.
        observations: how many at least; a round over the fleet is never left half done.
        now: the moment up to which everything has happened; by default the present.
    """
    moment = now or datetime.now(UTC)
    migrate.upgrade(url)
    with psycopg.connect(url) as connection:
        _switch(connection, "DISABLE")
        for batch in _batches(lives(integrations, moment)):
            _copy(connection, batch)
        _observe(connection, integrations, observations, moment)
        _switch(connection, "ENABLE")
        connection.execute("INSERT INTO stale (key) SELECT key FROM integrations")
    _write_trail(url, integrations, moment)
    _list(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _switch(connection: psycopg.Connection, what: str) -> None:
    """Marking one integration a thousand times over does no harm, but takes its time."""
    for table in _WATCHED:
        connection.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table), sql.SQL(what)))


def _batches(made: Iterator[Life]) -> Iterator[list[Life]]:
    while batch := list(islice(made, _BATCH)):
        yield batch


def _copy(connection: psycopg.Connection, batch: Iterable[Life]) -> None:
    rows: dict[str, list[Row]] = defaultdict(list)
    for life in batch:
        for table, some in life.rows.items():
            rows[table] += some
    for table in _TABLES:
        if rows[table]:
            _copy_into(connection, table, rows[table])


def _copy_into(connection: psycopg.Connection, table: str, rows: list[Row]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def _observe(connection: psycopg.Connection, integrations: int, observations: int, now: datetime) -> None:
    subjects = [subject.value for subject in Subject]
    asked = {
        "integrations": integrations,
        "rounds": -(-observations // (integrations * len(subjects))),
        "subjects": subjects,
        "unclear": list(UNCLEAR),
        "refused": next(n for n, cause in RAISED.items() if cause is Cause.SECRET_RESET),
        "never": NEVER_CHECKED,
        "now": now,
    }
    connection.execute(_OBSERVE, asked)


def _write_trail(url: str, integrations: int, now: datetime) -> None:
    engine = make_engine(url)
    for first in range(0, integrations, _BATCH):
        entries = [
            AuditEntry(now - timedelta(days=200), str(life), None, "system", "", event, "", {"n": 1})
            for life in _keys(range(first, min(first + _BATCH, integrations)))
            for event in ("attempt.opened", "gate.opened", "gate.decided", "receipt.written", "attempt.completed")
        ]
        with engine.begin() as connection:
            append(connection, entries)
    engine.dispose()


def _keys(numbers: Iterable[int]) -> Iterator[IntegrationKey]:
    return (IntegrationKey(f"tenant-{n:05d}", "production") for n in numbers)


def _list(url: str) -> None:
    """Read once, so that all is listed that there is."""
    engine = make_engine(url)
    PostgresFleet(engine, SystemClock(), 60.0).row(IntegrationKey("tenant-00000", "production"))
    engine.dispose()
