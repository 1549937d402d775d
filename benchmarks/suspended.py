"""What attempts that wait for people hold outside the databases: `python benchmarks/suspended.py`.

They are rows in the ledger and suspended runs in Prefect. So between two rounds of the watch there is nothing, and in a
round there is what it reads, for as long as it reads it.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import cost_seed
from benchmarks.cost_per_integration import Place, at
from benchmarks.cost_vendors import prefect
from benchmarks.servers import database, server
from benchmarks.tables import table

SIZES = (10, 10_000)
MOST: Mapping[str, float] = {"processes": 0, "threads": 0, "memory_mib": 1.0}
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Held:
    """What there is after a round of the watch that was not there before it.

    Attributes:
        processes: how many more of them.
        threads: how many more of this process.
        memory_mib: how much more Python has in use.
        peak_mib: how much more it had at most, during the round.
        claimed: how many integrations a round has taken on to be checked.
    """

    processes: int
    threads: int
    memory_mib: float
    peak_mib: float
    claimed: int


def held(url: str, count: int, claim: int = 200) -> Held:
    """What so many suspended attempts hold."""
    cost_seed.suspended(url, count)
    with ExitStack() as stack:
        place = Place(url, count)
        stack.callback(place.engine.dispose)
        stack.enter_context(at(stack.enter_context(prefect(place.counted))))
        _round(place)  # what is imported and compiled at the first time counts for nobody
        gc.collect()
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        processes, threads, before = _children(), threading.active_count(), tracemalloc.get_traced_memory()[0]
        _round(place)
        gc.collect()
        now, peak = tracemalloc.get_traced_memory()
        more = _children() - processes, threading.active_count() - threads
        claimed = place.observatory.claim(place.clock.now(), place.clock.now(), claim)
        return Held(*more, (now - before) / _MIB, (peak - before) / _MIB, len(claimed))


def figures(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """By the number of suspended attempts."""
    found = {}
    with server() as postgres:
        for size in sizes:
            with database(postgres) as url:
                found[size] = asdict(held(url, size))
    return {"held": found}


def goals(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing stays: no process, no thread, and no memory that grows with the number."""
    found: Mapping[int, Mapping[str, float]] = figures["held"]
    most = found[max(found)]
    told = {f"{what} of {max(found):,} suspended": (most[what], bound) for what, bound in MOST.items()}
    return {
        name: {"found": round(amount, 2), "at_most": bound, "met": amount <= bound}
        for name, (amount, bound) in told.items()
    }


def shown(figures: Mapping[str, Any]) -> str:
    """The figures as a table."""
    head = ("suspended attempts", "processes", "threads", "memory kept", "memory in a round", "taken on in a round")
    return table(head, [_row(size, Held(**held)) for size, held in figures["held"].items()])


def _row(size: int, held: Held) -> tuple[object, ...]:
    memory = (f"+{held.memory_mib:.1f} MiB", f"{held.peak_mib:.1f} MiB")
    return (f"{size:,}", f"+{held.processes}", f"+{held.threads}", *memory, held.claimed)


def _round(place: Place) -> None:
    place.watch()
    place.remind()


def _children() -> int:
    """Processes that this one has started and that live."""
    return sum(1 for file in Path("/proc").glob("[0-9]*/stat") if _parent(file) == os.getpid())


def _parent(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return 0


if __name__ == "__main__":
    print(shown(figures(tuple(map(int, sys.argv[1:])) or SIZES)))
