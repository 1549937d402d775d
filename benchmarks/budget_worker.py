"""One of the processes that share a budget: `python -m benchmarks.budget_worker '<JSON of a Work>'`.

It makes calls with keyturn's own transport until there is nothing left to do, and prints what that cost as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from keyturn.clients.answer import Call
from keyturn.clients.budget import Budget
from keyturn.clients.clock import SystemClock
from keyturn.clients.transport import Transport, Vendor
from keyturn.errors import RateLimitedError
from keyturn.ledger.budgets import PostgresSlots
from keyturn.ledger.engine import make_engine
from keyturn.ports import Clock, Window


@dataclass(frozen=True)
class Work:
    """What a process does.

    Attributes:
        ledger, vendor: addresses; without a ledger the budget is the process's own.
        windows: of the vendor, `[[calls, seconds], …]`.
        calls: how many of them this process makes.
        threads: at once.
        path: what is asked.
        prefect_limit: name of a global concurrency limit of Prefect's to be taken instead of the budget.
    """

    ledger: str
    vendor: str
    windows: Sequence[tuple[int, float]]
    calls: int
    threads: int
    path: str = "/call"
    prefect_limit: str = ""


def begin(work: Work) -> subprocess.Popen[str]:
    """Start one."""
    program = [sys.executable, "-m", "benchmarks.budget_worker", json.dumps(asdict(work))]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])  # noqa: S603  ours


def ended(workers: Sequence[subprocess.Popen[str]]) -> dict[str, int]:
    """Wait for them, and add up what they report.

    Raises:
        CalledProcessError: one of them failed; what it said of that is on stderr. All of them have ended.
    """
    said = [worker.communicate()[0] for worker in workers]
    total: Counter[str] = Counter()
    for worker, counts in zip(workers, said, strict=True):
        if worker.returncode:
            raise subprocess.CalledProcessError(worker.returncode, worker.args)
        total.update(json.loads(counts))
    return dict(total)


def run(work: Work) -> dict[str, int]:
    """Make the calls; gives how many were answered, refused and out of patience, and the ledger's statements."""
    said: Counter[str] = Counter()
    engine = make_engine(work.ledger) if work.ledger else None
    if engine:
        event.listen(engine, "before_cursor_execute", lambda *_: said.update(statements=1))
    windows = [Window(calls, seconds) for calls, seconds in work.windows]
    budget = Budget("Vendor", windows, SystemClock(), PostgresSlots(engine) if engine else None)
    if work.prefect_limit:
        budget = _PrefectBudget("Vendor", windows, SystemClock(), limit=work.prefect_limit)
    transport = Transport(Vendor("Vendor", work.vendor), budget, SystemClock())
    with transport, ThreadPoolExecutor(work.threads) as pool:
        said.update(pool.map(lambda _: _one(transport, work.path), range(work.calls)))
    return dict(said)


class _PrefectBudget(Budget):
    """Waits for a slot of a global concurrency limit of Prefect's. For comparison only."""

    def __init__(self, name: str, windows: Sequence[Window], clock: Clock, *, limit: str) -> None:
        super().__init__(name, windows, clock)
        self._limit = limit

    def acquire(self, company: str = "") -> float:  # noqa: ARG002  there is only one company here
        """Take a slot, waiting for it."""
        from prefect.concurrency.sync import rate_limit  # noqa: PLC0415  two seconds, for these workers only

        rate_limit(self._limit, strict=True)
        return float("inf")


def _one(transport: Transport, path: str) -> str:
    try:
        return "refused" if transport.ask(Call("GET", path)).status == 429 else "answered"  # noqa: PLR2004
    except RateLimitedError:
        return "impatient"


if __name__ == "__main__":
    asked: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(run(Work(**asked))))
