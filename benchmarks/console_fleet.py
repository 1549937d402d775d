"""What the fleet costs to ask with 100 integrations and with 10,000: `python benchmarks/console_fleet.py`.

Both ledgers are on one server and are asked in turn, so that whatever else the machine does slows both. Since that only
ever adds, what is shown is the time that a tenth of all rounds stayed below. Only the ledger is asked here: the time to
render a page comes on top, the same for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any

from sqlalchemy import Engine, text

from benchmarks.fleet_lives import key_of
from benchmarks.fleet_seed import seed
from benchmarks.servers import database, server
from benchmarks.tables import say, table
from keyturn.clients.clock import SystemClock
from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetSort, FleetState
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.engine import make_engine
from keyturn.ledger.fleet_book import PostgresFleet

SMALL, LARGE = (100, 10_000), (10_000, 1_000_000)
ROUNDS, FEW_ROUNDS = 200, 20
PARTS: Mapping[str, FleetQuery] = {
    "state live": FleetQuery(states=frozenset({FleetState.LIVE})),
    "state halted or ended": FleetQuery(states=frozenset({FleetState.HALTED, FleetState.ENDED})),
    "health unknown, by key": FleetQuery(healths=frozenset({FleetHealth.UNKNOWN}), sort=FleetSort.KEY),
    "cause rotation_overdue, by age": FleetQuery(cause=Cause.ROTATION_OVERDUE, sort=FleetSort.AGE),
    "waits for approver, by due": FleetQuery(group="approver", sort=FleetSort.DUE),
    "waits for approver, by checked": FleetQuery(group="approver", sort=FleetSort.CHECKED),
    "text 00042": FleetQuery(text="00042"),
    "text 00042, by checked": FleetQuery(text="00042", sort=FleetSort.CHECKED),
    "text nobody": FleetQuery(text="nobody"),
}
GROUPS = ("approver", "gong-admin")
KEY = IntegrationKey.parse(key_of(42))
Ask = Callable[[], object]


class HurryingClock(SystemClock):
    """A clock by which a minute passes between two looks at it."""

    looks = 0

    def now(self) -> datetime:
        """Later than the last time."""
        self.looks += 1
        return super().now() + self.looks * timedelta(minutes=1)


@dataclass(frozen=True)
class Asked:
    """A ledger and its fleet."""

    engine: Engine

    @property
    def fleet(self) -> PostgresFleet:
        """As the console asks for it."""
        return PostgresFleet(self.engine, SystemClock(), 10.0)

    def search(self, query: FleetQuery) -> Ask:
        """A page."""
        fleet = self.fleet
        return lambda: fleet.search(query)

    def row(self) -> Ask:
        """One row."""
        fleet = self.fleet
        return lambda: fleet.row(KEY)

    def changed_row(self) -> Ask:
        """One row that has to be made anew."""
        fleet, mark = self.fleet, text("INSERT INTO stale (key) VALUES (:key)").bindparams(key=str(KEY))

        def ask() -> None:
            with self.engine.begin() as connection:
                connection.execute(mark)
            fleet.row(KEY)

        return ask

    def waiting(self, limit: int) -> Ask:
        """An inbox."""
        fleet = self.fleet
        return lambda: fleet.waiting_for(GROUPS, limit)

    def pictures(self) -> Ask:
        """What somebody has counted."""
        fleet = self.fleet
        return fleet.pictures

    def recount(self) -> Ask:
        """What nobody has counted yet."""
        return PostgresFleet(self.engine, HurryingClock(), 10.0).pictures

    def fiftieth(self, sort: FleetSort) -> FleetQuery:
        """The fiftieth page of a list."""
        query = FleetQuery(sort=sort)
        for _ in range(49):
            query = FleetQuery(sort=sort, after=self.fleet.search(query).next)
        return query


def comparisons(small: Asked, large: Asked) -> Iterator[tuple[str, Ask, Ask, int]]:
    """What is asked of both, and how often. Of a part the small fleet has a few rows, the large one a page."""
    for sort in FleetSort:
        query = FleetQuery(sort=sort)
        yield f"first page by {sort}", small.search(query), large.search(query), ROUNDS
    for sort in FleetSort:
        first, far = small.search(FleetQuery(sort=sort)), large.search(large.fiftieth(sort))
        yield f"page 50 by {sort}, to page 1 of the small fleet", first, far, ROUNDS
    for name, part in PARTS.items():
        rows = " and ".join(str(len(asked.fleet.search(part).rows)) for asked in (small, large))
        yield f"{name} ({rows} rows)", small.search(part), large.search(part), ROUNDS
    rows = " and ".join(str(len(asked.fleet.waiting_for(GROUPS, 50))) for asked in (small, large))
    yield f"what waits for two groups ({rows} rows)", small.waiting(50), large.waiting(50), ROUNDS
    yield "one row", small.row(), large.row(), ROUNDS
    yield "one row that has changed", small.changed_row(), large.changed_row(), ROUNDS
    yield "pictures", small.pictures(), large.pictures(), ROUNDS
    yield "pictures, counted anew (once in 15 s)", small.recount(), large.recount(), FEW_ROUNDS


def timed(small: Ask, large: Ask, rounds: int) -> tuple[float, float]:
    """Seconds for either, asked in turn: the first decile."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for ask, kept in zip((small, large), times, strict=True):
            began = time.perf_counter()
            ask()
            kept.append(time.perf_counter() - began)
    return quantiles(times[0], n=10)[0], quantiles(times[1], n=10)[0]


@contextmanager
def both(address: str) -> Iterator[tuple[Asked, Asked]]:
    """Both ledgers, seeded."""
    with database(address) as small, database(address) as large:
        for url, size in ((small, SMALL), (large, LARGE)):
            began = time.perf_counter()
            seed(url, *size)
            say(f"seeded {size[0]:,} integrations and {size[1]:,} observations in {time.perf_counter() - began:.0f} s")
        engines = make_engine(small), make_engine(large)
        yield Asked(engines[0]), Asked(engines[1])
        for engine in engines:
            engine.dispose()


def figures() -> dict[str, Any]:
    """Milliseconds for either fleet, and their ratio."""
    with server() as address, both(address) as ledgers:
        rows = [_row(name, *timed(few, many, rounds)) for name, few, many, rounds in comparisons(*ledgers)]
    return {"small": SMALL[0], "large": LARGE[0], "rows": rows}


def _row(name: str, few: float, many: float) -> dict[str, Any]:
    return {
        "asked": name,
        "small_ms": round(few * 1000, 2),
        "large_ms": round(many * 1000, 2),
        "ratio": round(many / few, 2),
    }


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    head = ("asked of the ledger", f"{found['small']:,}", f"{found['large']:,}", "ratio")
    rows = [(r["asked"], f"{r['small_ms']:.2f} ms", f"{r['large_ms']:.2f} ms", r["ratio"]) for r in found["rows"]]
    return table(head, rows)


if __name__ == "__main__":
    say(shown(figures()))
