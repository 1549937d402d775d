"""How fast a fleet can be asked after: calls a second, against what is possible: `python benchmarks/fleet_checks.py`.

Possible is the lesser of two: the vendor's limit, and as many calls as the threads can have under way while each takes
its time at the vendor (threads / latency). Processes with the watch's number of threads make calls by keyturn's own
transport and the budget they share in the ledger, to a vendor that takes 50 ms for each, counts arrivals in a strict
sliding window, and refuses what is too much. StackOne's 1,000 calls a minute are asked for as 100 in six seconds, the
same rate, so that several windows pass.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.budget_worker import Work, begin, ended
from benchmarks.servers import database, server
from benchmarks.strict_vendor import Report, Terms, report_of, strict_vendor
from benchmarks.tables import say, table
from keyturn.ledger import migrate
from keyturn.settings.tree import WatchSettings

LATENCY_S, THREADS = 0.05, WatchSettings().threads
PROCESSES = (1, 4)
GOAL = 0.95  # of the vendor's limit; what threads and latency allow is no promise of anybody's


@dataclass(frozen=True)
class Bound:
    """What holds a fleet back.

    Attributes:
        calls_per_process: long enough to tell, and many windows.
    """

    name: str
    calls: int
    seconds: float
    calls_per_process: int

    @property
    def limit_per_s(self) -> float:
        """As a rate."""
        return self.calls / self.seconds


BOUNDS = (
    Bound("StackOne's limit (1,000 a minute)", 100, 6, 350),
    Bound("Gong's limit (3 a second, one company)", 3, 1, 48),
    Bound("threads / latency (no limit that matters)", 100_000, 1, 1_000),
)


def figures() -> dict[str, Any]:
    """Calls a second achieved and possible, by what holds them back and by the number of processes."""
    with server() as address:
        found = [_measured(address, bound, processes) for bound in BOUNDS for processes in PROCESSES]
    return {"latency_s": LATENCY_S, "threads_per_process": THREADS, "fleet": found}


def _measured(address: str, bound: Bound, processes: int) -> dict[str, Any]:
    half_ms = LATENCY_S * 500
    terms = Terms(bound.calls, bound.seconds, (half_ms, half_ms), (half_ms, half_ms))
    # A limit is shared, so more processes get no further; what threads do is done by each.
    each = bound.calls_per_process // (processes if _by_limit(bound, processes) else 1)
    with database(address) as url, strict_vendor(terms) as vendor:
        migrate.upgrade(url)
        work = Work(url, vendor, [(bound.calls, bound.seconds)], each, THREADS)
        ended([begin(work) for _ in range(processes)])
        report = report_of(vendor)
    return _compared(bound, processes, report)


def _compared(bound: Bound, processes: int, report: Report) -> dict[str, Any]:
    possible = min(bound.limit_per_s, processes * THREADS / LATENCY_S)
    achieved = _per_s(report, bound.calls if _by_limit(bound, processes) else 1)
    ratio, limited = achieved / possible, _by_limit(bound, processes)
    return {
        "bound": bound.name,
        "processes": processes,
        "achieved_per_s": round(achieved, 2),
        "possible_per_s": round(possible, 2),
        "ratio": round(ratio, 3),
        "refused": len(report.refused),
        "goal": GOAL if limited else None,
        "met": (ratio >= GOAL and not report.refused) if limited else None,
    }


def _by_limit(bound: Bound, processes: int) -> bool:
    return bound.limit_per_s < processes * THREADS / LATENCY_S


def _per_s(report: Report, burst: int) -> float:
    """From the first call to the last whole window: a limit may be used up at once at first, which is no rate."""
    windows = (len(report.arrivals) - 1) // burst
    return windows * burst / (report.arrivals[windows * burst] - report.arrivals[0])


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    head = ("held back by", "processes", "achieved a second", "possible a second", "ratio", "refused (429)", "goal")
    rows = [
        (
            one["bound"],
            one["processes"],
            one["achieved_per_s"],
            one["possible_per_s"],
            one["ratio"],
            one["refused"],
            {None: "", True: "met", False: "NOT met"}[one["met"]],
        )
        for one in found["fleet"]
    ]
    terms = (
        f"{found['threads_per_process']} threads a process, {found['latency_s'] * 1000:.0f} ms a call at the vendor."
    )
    return "\n".join([table(head, rows), "", terms])


def main() -> None:
    """Measure, and print Markdown."""
    began = time.perf_counter()
    say(shown(figures()))
    say(f"\nmeasured in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
