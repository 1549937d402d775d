"""Budgets shared by four processes: `python benchmarks/budgets.py`.

Two candidates, Prefect's global concurrency limits and the ledger, and what becomes of the vendor's limit with either.
The vendor counts arrivals in a strict sliding window; calls take 20 to 300 ms, part of it before they are counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import make_url

from benchmarks.budget_worker import Work, begin, ended
from benchmarks.servers import database, server
from benchmarks.strict_vendor import Terms, report_of, strict_vendor
from benchmarks.tables import say, table
from keyturn.clients.budget import GIVE
from keyturn.ledger import migrate
from keyturn.ledger.budgets import PostgresSlots
from keyturn.ledger.engine import make_engine
from keyturn.ports import Window
from keyturn.sandbox.prefect import PrefectServer, start_server
from keyturn.sandbox.processes import Children

PROCESSES = 4
LIMIT = "benchmark"
SLOTS = 200
STACKONE = Terms(1000, 60, (5, 60), (15, 240))
GONG = Terms(3, 1, (5, 20), (15, 280))
SCALED = Terms(1000, 6, (5, 60), (15, 240))
SMALL = Terms(50, 2, (5, 60), (15, 240))


@dataclass(frozen=True)
class Proof:
    """A run against the vendor: what it is called, its terms, calls and threads of each process."""

    name: str
    terms: Terms
    calls: int
    threads: int


PROOFS = (
    Proof("10,000 calls at 1000 in 6 s", SCALED, 2500, 12),
    Proof("StackOne, 1000 a minute, two minutes", STACKONE, 600, 8),
    Proof("Gong, 3 a second, half a minute", GONG, 24, 2),
)


def figures(proofs: tuple[Proof, ...] = PROOFS) -> dict[str, Any]:
    """Everything that is measured: the cost of a slot, both candidates at a vendor, the proof, and the simulation."""
    with ExitStack() as stack:
        address = stack.enter_context(server())
        ledger = stack.enter_context(database(address))
        migrate.upgrade(ledger)
        prefect = stack.enter_context(_prefect(stack.enter_context(database(address))))
        found: dict[str, Any] = {"slot_ms": _slot_ms(ledger, prefect), "vendor": [], "simulated": list(_simulated())}
        compared = Proof("50 in 2 s", SMALL, 75, 6)
        found["vendor"].append({"budget": "Prefect"} | _at_the_vendor(compared, ledger, _limited(prefect, SMALL)))
        for proof in (compared, *proofs):
            found["vendor"].append({"budget": "ledger"} | _at_the_vendor(proof, ledger, ""))
    return found


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    vendor = [
        (r["budget"], r["run"], f"{r['calls']:,}", r["refused"], f"{r['share']:.1%}", f"{r['fullest']} of {r['limit']}",
         f"{r['statements_a_call']:.2f}")
        for r in found["vendor"]
    ]  # fmt: skip
    head = ("budget", "run", "calls", "429", "of the limit", "fullest window", "statements a call")
    slot = f"A slot costs, in ms (median of {SLOTS}, asked in turn): {found['slot_ms']}"
    simulated = [(f"{r['scheme']}, {r['case']}", f"{r['share']:.1%}", r["refused"]) for r in found["simulated"]]
    return "\n\n".join([table(head, vendor), slot, table(("simulated", "of the limit", "429 in 10,000"), simulated)])


def main() -> None:
    """Print the figures as Markdown, and as JSON where an argument says."""
    found = figures()
    say(shown(found))
    for file in sys.argv[1:]:
        Path(file).write_text(json.dumps(found, indent=1), encoding="utf-8")


# --- the real thing ---------------------------------------------------------------------------------------------------


def _at_the_vendor(proof: Proof, ledger: str, limit: str) -> dict[str, Any]:
    terms = proof.terms
    _forget(ledger)
    with strict_vendor(terms) as url:
        windows = [(terms.calls, terms.seconds)]
        work = Work(ledger, url, windows, proof.calls, proof.threads, prefect_limit=limit)
        said = ended([begin(work) for _ in range(PROCESSES)])
        seen = report_of(url)
    return {
        "run": proof.name,
        "calls": len(seen.arrivals) + len(seen.refused),
        "refused": len(seen.refused),
        "impatient": said.get("impatient", 0),
        "share": seen.share(terms),
        "fullest": seen.fullest(terms.seconds),
        "limit": terms.calls,
        "statements_a_call": said.get("statements", 0) / (PROCESSES * proof.calls),
    }


def _slot_ms(ledger: str, prefect: PrefectServer) -> dict[str, float]:
    """What one slot costs that is free, either way, asked in turn."""
    from prefect.concurrency.sync import rate_limit  # noqa: PLC0415  after its address is set

    _limited(prefect, Terms(1_000_000, 1))
    engine = make_engine(ledger)
    slots = PostgresSlots(engine)
    ways: dict[str, Callable[[], object]] = {
        "Prefect": lambda: rate_limit(LIMIT, strict=True),
        "ledger": lambda: slots.take("benchmark", [Window(1_000_000, 1)], 60),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(SLOTS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)
    engine.dispose()
    cost = {name: round(1000 * median(each), 2) for name, each in times.items()}
    return cost | {"ratio": round(cost["Prefect"] / cost["ledger"], 1)}


def _forget(ledger: str) -> None:
    engine = make_engine(ledger)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM budgets")
    engine.dispose()


def _limited(prefect: PrefectServer, terms: Terms) -> str:
    """The limit as it has to be set: as many slots as may come at once, decaying at the vendor's rate.

    Half of the calls at once and half by decay is the most that never puts more than all of them into one window.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415  as above

    async def ask() -> None:
        async with get_client() as client:
            rate = terms.calls / 2 / terms.seconds
            await client.upsert_global_concurrency_limit_by_name(LIMIT, max(1, terms.calls // 2), rate)

    os.environ["PREFECT_API_URL"] = prefect.api_url
    asyncio.run(ask())
    return LIMIT


@contextmanager
def _prefect(url: str) -> Iterator[PrefectServer]:
    """A Prefect server on a database; its address is in the environment meanwhile, for the workers too."""
    folder = Path(tempfile.mkdtemp(prefix="kt-b-", dir="/tmp"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        with Children(folder) as children:
            yield start_server(children, address, port)
    finally:
        del os.environ["PREFECT_API_URL"]
        shutil.rmtree(folder, ignore_errors=True)


# --- what cannot be seen from outside ---------------------------------------------------------------------------------

Leave = Callable[[list[tuple[float, float]], Terms, float], float]


def _kept(give: float) -> Leave:
    """A slot counts from when the call left, for the window and a part of it more."""
    return lambda made, terms, now: max(now, made[-terms.calls][0] + terms.seconds * (1 + give))


def _answered(made: list[tuple[float, float]], terms: Terms, now: float) -> float:
    """A slot counts from when its answer came: strict whatever happens on the way."""
    return max(now, made[-terms.calls][1] + terms.seconds)


def _simulated() -> Iterator[dict[str, Any]]:
    """10,000 calls as fast as each scheme lets them, with more and more of the 20 to 300 ms before they are counted."""
    schemes = {"as long as the window": _kept(0), f"{GIVE:.1%} longer": _kept(GIVE), "from the answer": _answered}
    for name, leave in schemes.items():
        for vendor, terms in (("1000 a minute", STACKONE), ("3 a second", GONG)):
            for most_ms in (20, 45, 150, 300):
                share, refused = _simulate(leave, terms, most_ms / 1000)
                case = f"{vendor}, up to {most_ms} ms before it is counted"
                yield {"scheme": name, "case": case, "share": share, "refused": refused}


def _simulate(leave: Leave, terms: Terms, most_s: float, calls: int = 10_000) -> tuple[float, int]:
    """Which part of the limit is used, and how many calls are refused by a sliding window."""
    chance, now = random.Random(7), 0.0  # noqa: S311  not for secrets
    made: list[tuple[float, float]] = []
    arrivals: list[float] = []
    for _ in range(calls):
        now = leave(made, terms, now) if len(made) >= terms.calls else now
        way = chance.uniform(0.0, most_s)
        arrivals.append(now + way)
        made.append((now, now + max(way, chance.uniform(0.02, 0.3))))
    recent: deque[float] = deque()
    refused = 0
    for at in sorted(arrivals):
        while recent and recent[0] <= at - terms.seconds:
            recent.popleft()
        if len(recent) < terms.calls:
            recent.append(at)
        else:
            refused += 1
    return (calls / terms.calls - 1) * terms.seconds / made[-1][0], refused


if __name__ == "__main__":
    main()
