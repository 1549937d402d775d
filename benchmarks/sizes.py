"""What an attempt leaves behind in each store: `python benchmarks/sizes.py`.

Several integrations are onboarded and rotated in a sandbox, one after the other. What the stores have grown by, divided
by the number, is what an attempt costs. Before each look tables are vacuumed and the log is written down, so that
what is measured is what stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from benchmarks.sandboxes import Place, sandbox
from benchmarks.tables import say, table

ATTEMPTS = 5
SHOWN_TABLES = 5
_TABLES = """
SELECT relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_toast%'
"""
_RETENTION = """\
By default Prefect lets only events go, after `PREFECT_SERVER_EVENTS_RETENTION_PERIOD` (7 days); runs, their tasks,
states, logs and artifacts stay for ever. `PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs` has it remove
runs that ended longer ago than `PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD` (90 days) with all that belongs to
them, so that nothing of an attempt stays in Prefect. A suspended run has not ended, and is kept. keyturn needs no run
that has ended: what counts is in the ledger. Of the ledger only observations go by themselves
(`KEYTURN_WATCH__KEEP_DAYS`). Vault keeps the pair's last versions and nothing of an attempt besides; its audit file
grows until somebody rotates it away.
"""


def figures(attempts: int = ATTEMPTS) -> dict[str, Any]:
    """Bytes per onboarding and per rotation, by store and by the tables that grow most."""
    with sandbox() as place:
        place.onboarded(place.integration("before"))  # the first one makes what is made once
        keys = [place.integration(f"measured-{number}") for number in range(attempts)]
        ids: list[str] = []
        onboarding = _grown(place, attempts, lambda: ids.extend(place.onboarded(key) for key in keys))
        turn = zip(keys, ids, strict=True)
        rotation = _grown(place, attempts, lambda: [place.rotated(key, integration) for key, integration in turn])
    return {"attempts": attempts, "onboarding": onboarding, "rotation": rotation, "retention": _RETENTION}


def _grown(place: Place, attempts: int, play: Callable[[], object]) -> dict[str, Any]:
    place.settle()
    before = _look(place)
    play()
    place.settle()
    after = _look(place)
    return {store: _difference(before[store], after[store], attempts) for store in after}


def _difference(before: Mapping[str, int], after: Mapping[str, int], attempts: int) -> dict[str, Any]:
    grown = {name: round((size - before.get(name, 0)) / attempts) for name, size in after.items()}
    total = grown.pop("total")
    most = sorted(grown.items(), key=lambda pair: -pair[1])[:SHOWN_TABLES]
    return {"bytes_per_attempt": total, "most": {name: size for name, size in most if size > 0}}


def _look(place: Place) -> dict[str, dict[str, int]]:
    """Bytes by store; in a database by table, too."""
    storage = place.running.openbao.audit_file.parent
    return {
        "ledger": _database(place.running.postgres.ledger_url),
        "Prefect's database": _database(place.running.postgres.url("prefect")),
        "Vault's storage": {"total": _folder(storage / "raft")},
        "Vault's audit file": {"total": place.running.openbao.audit_file.stat().st_size},
    }


def _database(url: str) -> dict[str, int]:
    address = make_url(url).render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM")
        connection.execute("CHECKPOINT")
        pages = connection.execute(_TABLES).fetchall()
        total = sum(heap + indexes for _, heap, indexes in pages)
        rows = {name: _rows(connection, name) for name, _, _ in pages}
    return rows | {"total": total}


def _rows(connection: psycopg.Connection[Any], name: str) -> int:
    query = sql.SQL("SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM {} t").format(sql.Identifier(name))
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _folder(path: Path) -> int:
    """Bytes that are in use: the storage's file is as large as it ever was."""
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    kinds = ("onboarding", "rotation")
    rows = [
        (store, *(_kilobytes(found[kind][store]["bytes_per_attempt"]) for kind in kinds)) for store in found[kinds[0]]
    ]
    grown = [
        f"- {store}, {kind}, rows: "
        + ", ".join(f"{name} {_kilobytes(size)}" for name, size in found[kind][store]["most"].items())
        for kind in kinds
        for store in ("ledger", "Prefect's database")
    ]
    head = ("grows by", *(f"an {kinds[0]}", f"a {kinds[1]}"))
    return "\n".join([table(head, rows), "", *grown, "", found["retention"]])


def _kilobytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"


def main() -> None:
    """Measure, and print Markdown."""
    say(shown(figures()))


if __name__ == "__main__":
    main()
