"""What the fleet costs to ask with 100 integrations and with 10,000: `python benchmarks/console_fleet.py`.

Both ledgers are on one server and are asked in turn, so that whatever else the machine does slows both. Only the ledger
is asked here; the time to render a page comes on top, the same for both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from sqlalchemy import Engine

from benchmarks.fleet_lives import key_of
from benchmarks.fleet_seed import seed
from benchmarks.servers import database, server
from keyturn.clients.clock import SystemClock
from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetSort, FleetState
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger.engine import make_engine
from keyturn.ledger.fleet_book import PostgresFleet

SMALL, LARGE = (100, 10_000), (10_000, 1_000_000)
ROUNDS = 200
FILTERS: Mapping[str, FleetQuery] = {
    "state live": FleetQuery(states=frozenset({FleetState.LIVE})),
    "state halted or ended": FleetQuery(states=frozenset({FleetState.HALTED, FleetState.ENDED})),
    "health unknown, by key": FleetQuery(healths=frozenset({FleetHealth.UNKNOWN}), sort=FleetSort.KEY),
    "cause rotation overdue, by age": FleetQuery(cause=Cause.ROTATION_OVERDUE, sort=FleetSort.AGE),
    "waits for approver, by due date": FleetQuery(group="approver", sort=FleetSort.DUE),
    "text, one match": FleetQuery(text="00042"),
    "text, one match, by last check": FleetQuery(text="00042", sort=FleetSort.CHECKED),
    "text, no match": FleetQuery(text="nobody"),
}
Ask = Callable[[PostgresFleet], object]


def asked() -> Iterator[tuple[str, Ask]]:
    """What is measured, by name."""
    for sort in FleetSort:
        yield f"first page by {sort}", lambda fleet, sort=sort: fleet.search(FleetQuery(sort=sort))  # type: ignore[misc]
    for name, query in FILTERS.items():
        yield f"first page, {name}", lambda fleet, query=query: fleet.search(query)  # type: ignore[misc]
    key = IntegrationKey.parse(key_of(42))
    yield "one row", lambda fleet: fleet.row(key)
    yield "what waits for approver or gong-admin", lambda fleet: fleet.waiting_for(["approver", "gong-admin"], 50)
    yield "pictures, as counted", lambda fleet: fleet.pictures()


def fiftieth(fleet: PostgresFleet, sort: FleetSort) -> FleetQuery:
    """The fiftieth page of a list."""
    query = FleetQuery(sort=sort)
    for _ in range(49):
        query = FleetQuery(sort=sort, after=fleet.search(query).next)
    return query


def compare(small: Callable[[], object], large: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of both, asked in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for ask, kept in zip((small, large), times, strict=True):
            began = time.perf_counter()
            ask()
            kept.append(time.perf_counter() - began)
    return median(times[0]), median(times[1])


@contextmanager
def fleets(address: str) -> Iterator[tuple[PostgresFleet, PostgresFleet]]:
    """Both fleets, seeded."""
    with database(address) as small, database(address) as large:
        engines: list[Engine] = []
        for url, size in ((small, SMALL), (large, LARGE)):
            began = time.perf_counter()
            seed(url, *size)
            say(f"seeded {size[0]:,} integrations and {size[1]:,} observations in {time.perf_counter() - began:.0f} s")
            engines.append(make_engine(url))
        clock = SystemClock()
        yield PostgresFleet(engines[0], clock, 10.0), PostgresFleet(engines[1], clock, 10.0)
        for engine in engines:
            engine.dispose()


def report(small: PostgresFleet, large: PostgresFleet) -> None:
    """Measure everything, and print a table."""
    say(f"\n| asked | {SMALL[0]:,} | {LARGE[0]:,} | ratio |\n|---|---:|---:|---:|")
    for name, ask in asked():
        line(name, *compare(lambda ask=ask: ask(small), lambda ask=ask: ask(large)))  # type: ignore[misc]
    for sort in FleetSort:
        first, far = FleetQuery(sort=sort), fiftieth(large, sort)
        name = f"page 50 by {sort}, to the first of the small fleet"
        line(name, *compare(lambda q=first: small.search(q), lambda q=far: large.search(q)))  # type: ignore[misc]


def line(name: str, small_s: float, large_s: float) -> None:
    """A line of the table, in milliseconds."""
    say(f"| {name} | {small_s * 1000:.2f} ms | {large_s * 1000:.2f} ms | {large_s / small_s:.2f} |")


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with server() as address, fleets(address) as both:
        report(*both)
