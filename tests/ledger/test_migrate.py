from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from keyturn.errors import ConfigurationError
from keyturn.ledger import migrate
from keyturn.ledger.engine import make_engine
from keyturn.ledger.tables import metadata

CATALOGUE = """
SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
ORDER BY 1
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
    assert migrate.pending(url) == ["0001 the first tables"]
    migrate.upgrade(url)
    assert migrate.current(url) == "0001"
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


def test_unknown_revision_to_go_back_to(url: str) -> None:
    """Going back to a revision that does not exist changes nothing."""
    with pytest.raises(ConfigurationError, match="nowhere"):
        migrate.downgrade(url, "nowhere")
    assert migrate.current(url) == "0001"
