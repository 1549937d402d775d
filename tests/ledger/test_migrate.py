from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from keyturn.domain.trail import GENESIS
from keyturn.errors import ConfigurationError
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.tables import metadata
from keyturn.ledger.trail import PostgresTrail
from tests.console.serving import until

CATALOGUE = """
SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
ORDER BY 1
"""

SIX_THOUSAND = """
INSERT INTO audit (at, key, attempt_id, actor, signed_in, event, digest, detail)
SELECT now(), 'acme/production', gen_random_uuid(), 'system', '', 'gate.opened', 'd',
    jsonb_build_object('n', n, 'ratio', 1e16, 'note', 'naïve ✓') FROM generate_series(1, 6000) AS n
"""


def _objects(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


def _difference(url: str) -> object:
    engine = make_engine(url)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()
    return found


def test_tables_and_migrations_agree(url: str) -> None:
    """The migrated database has the tables that the code declares."""
    assert _difference(url) == []


def test_constraints_and_indexes_agree(url: str, new_database: Callable[[str], str]) -> None:
    """Constraints and partial indexes, which Alembic does not compare, are the same too."""
    declared = new_database("template0")
    engine = make_engine(declared)
    metadata.create_all(engine)
    engine.dispose()
    assert _objects(url) == _objects(declared)


def test_up_down_up(new_database: Callable[[str], str]) -> None:
    """Migrations go up, down to nothing, and up again; what is pending is said at each point."""
    url = new_database("template0")
    assert migrate.current(url) is None
    pending = migrate.pending(url)
    assert pending[0] == "0001 the first tables"
    migrate.upgrade(url)
    assert migrate.current(url) == pending[-1].split()[0]
    assert migrate.pending(url) == []
    migrate.downgrade(url, "base")
    assert migrate.current(url) is None
    with psycopg.connect(url) as connection:
        left = connection.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace").fetchall()
    assert left == []
    assert [name for name, _ in _objects(url)] == []
    migrate.upgrade(url)
    assert _difference(url) == []


def test_upgrades_at_the_same_time(new_database: Callable[[str], str], threads: ThreadPoolExecutor) -> None:
    """Four upgrades at once wait for each other, and the first does the work."""
    url = new_database("template0")
    for done in [threads.submit(migrate.upgrade, url) for _ in range(4)]:
        done.result()
    assert migrate.pending(url) == []


def test_an_upgrade_gives_nobody_up_for_a_deadlock(
    new_database: Callable[[str], str], threads: ThreadPoolExecutor
) -> None:
    """A run that works on one table while the migration begins can still come to another one, and then it is let in."""
    url = new_database("template0")
    migrate.upgrade(url, "0004")
    with psycopg.connect(url) as run, psycopg.connect(url, autocommit=True) as onlooker:
        run.execute("SET lock_timeout = '10s'")
        run.execute("DELETE FROM receipts")
        upgrading = threads.submit(migrate.upgrade, url)
        until(lambda: _waits(onlooker) or upgrading.done())
        run.execute("DELETE FROM attempts")  # a migration that held this one while it waits for the other would fail it
        run.execute("DELETE FROM gates")
        run.commit()
        upgrading.result(60)
    assert migrate.pending(url) == []


def _waits(onlooker: psycopg.Connection[tuple[str]]) -> bool:
    """Whether somebody waits in this database: for a lock, or before trying again."""
    asked = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event IN ('relation', 'PgSleep')"
    )
    return onlooker.execute(asked).fetchone() is not None


def test_ledger_of_a_newer_keyturn(url: str) -> None:
    """A revision this keyturn does not know is named, with the remedy."""
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match="9999"):
        migrate.pending(url)
    with pytest.raises(ConfigurationError, match="9999"):
        migrate.upgrade(url)
    assert migrate.lacking(url) == []


def test_ledger_of_an_older_keyturn(url: str) -> None:
    """It lacks what is pending."""
    migrate.downgrade(url, "-1")
    assert len(migrate.lacking(url)) == 1
    assert migrate.lacking(url) == migrate.pending(url)


def test_unknown_revision_to_go_back_to(url: str) -> None:
    """Going back to a revision that does not exist changes nothing."""
    before = migrate.current(url)
    with pytest.raises(ConfigurationError, match="nowhere"):
        migrate.downgrade(url, "nowhere")
    assert migrate.current(url) == before


def test_an_old_trail_is_chained(new_database: Callable[[str], str]) -> None:
    """Rows written before there were hashes are numbered without gaps in their order, sealed, and as good as new ones.

    Afterwards the trail only grows, as before. Going back leaves the rows and their order, and takes new ones.
    """
    url = new_database("template0")
    migrate.upgrade(url, "0002")
    with psycopg.connect(url) as connection:
        connection.execute(SIX_THOUSAND)
        connection.execute("SELECT nextval(pg_get_serial_sequence('audit', 'id'))")  # a gap, as a rollback leaves it
        connection.execute(SIX_THOUSAND)
    migrate.upgrade(url)
    engine = make_engine(url)
    inspection = PostgresTrail(engine).verify(GENESIS)
    assert (inspection.rows, inspection.head.seq, inspection.fault) == (12_000, 12_000, None)
    numbers = [row.entry.detail["n"] for row in PostgresTrail(engine).entries()]
    engine.dispose()
    assert numbers == [*range(1, 6_001), *range(1, 6_001)]
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE audit SET actor = 'x'")
    migrate.downgrade(url, "0002")
    with psycopg.connect(url) as connection:
        connection.execute(SIX_THOUSAND)
        ids = connection.execute("SELECT id, detail->'n' FROM audit ORDER BY id").fetchall()
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM audit")
    assert ids == [(id_, (id_ - 1) % 6_000 + 1) for id_ in range(1, 18_001)]
    migrate.upgrade(url)
    assert _difference(url) == []
