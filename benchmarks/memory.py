"""What each process of a sandbox holds, idle and after an onboarding: `python benchmarks/memory.py`.

PSS counts memory that processes share once, in equal parts; USS is what a process has for itself alone, and what would
be free without it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from threading import Event, Thread
from typing import Any, Self

import psutil  # type: ignore[import-untyped]  # ships no types

from benchmarks.sandboxes import Place, sandbox
from benchmarks.tables import say, table

WORKER_GOAL_MIB, RUN_GOAL_MIB = 250, 60
WORKER, RUN = "worker with its fork server", "a run (the largest seen)"
_LOOK_EVERY_S = 0.1
_QUIET_S = 5.0
_MIB = 2**20
_KINDS = {
    "prefect-server": "Prefect server",
    "prefect-worker": WORKER,
    "openbao": "OpenBao",
    "postgres": "PostgreSQL (all its processes)",
    "console": "console",
    "gong-twin": "Gong twin",
    "stackone-twin": "StackOne twin",
}
_Sizes = dict[str, dict[str, float]]


def figures() -> dict[str, Any]:
    """MiB of each part, idle and after an onboarding, and of a run while it lasts."""
    with sandbox(console=True) as place:
        time.sleep(_QUIET_S)
        idle = sizes(place)
        with _RunsWatched(place) as watched:
            place.onboarded(place.integration("measured"))
            place.settle()
        time.sleep(_QUIET_S)
        after = sizes(place)
    return {
        "idle": idle,
        "after_an_onboarding": after,
        "run": {"pss_mib": round(watched.pss_mib, 1), "uss_mib": round(watched.uss_mib, 1), "seen": watched.seen},
        "goals": {
            "idle_worker_pss_mib": _goal(idle[WORKER]["pss_mib"], WORKER_GOAL_MIB),
            "run_uss_mib": _goal(watched.uss_mib, RUN_GOAL_MIB) if watched.seen else {"met": None},
        },
    }


def _goal(found: float, below: float) -> dict[str, Any]:
    return {"found": round(found, 1), "below": below, "met": found < below}


def sizes(place: Place) -> _Sizes:
    """PSS and USS in MiB, by part of the sandbox."""
    found: dict[str, list[Any]] = defaultdict(list)
    for child in place.running.children:
        kind = _KINDS.get(child.name)
        if kind is not None and child.alive:
            found[kind] += _held(_family(child.process.pid))
    return {
        kind: {"pss_mib": _sum_mib(held, "pss"), "uss_mib": _sum_mib(held, "uss"), "processes": len(held)}
        for kind, held in found.items()
    }


def _family(pid: int) -> list[psutil.Process]:
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def _held(processes: Iterable[psutil.Process]) -> list[Any]:
    held = []
    for process in processes:
        try:
            held.append(process.memory_full_info())
        except psutil.Error:
            continue  # it has ended in the meantime
    return held


def _sum_mib(held: Iterable[Any], what: str) -> float:
    return round(sum(getattr(one, what) for one in held) / _MIB, 1)


class _RunsWatched:
    """Looks at the processes that execute runs, while they last.

    Those are below the worker and were not there when nothing was to do. What a fork server is below the worker itself
    is no run: another one is started when the code has changed.
    """

    def __init__(self, place: Place) -> None:
        self._worker = place.running.worker.process.pid
        self._idle = {process.pid for process in _family(self._worker)}
        self._over = Event()
        self._thread = Thread(target=self._look)
        self.pss_mib = self.uss_mib = 0.0
        self.seen = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        known: set[int] = set()
        while not self._over.wait(_LOOK_EVERY_S):
            for process in _family(self._worker):
                if process.pid in self._idle or not self._is_run(process):
                    continue
                known.add(process.pid)
                for held in _held([process]):
                    self.pss_mib = max(self.pss_mib, held.pss / _MIB)
                    self.uss_mib = max(self.uss_mib, held.uss / _MIB)
        self.seen = len(known)

    def _is_run(self, process: psutil.Process) -> bool:
        """Prefect's own worker has its runs as children, and the warm one its fork server's."""
        forks = len(self._idle) > 1
        try:
            return (process.ppid() != self._worker) is forks
        except psutil.Error:
            return False  # it has ended in the meantime


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    idle, after = found["idle"], found["after_an_onboarding"]
    rows = [
        (
            kind,
            idle[kind]["processes"],
            *(f"{when[kind][what]:.0f}" for when in (idle, after) for what in ("pss_mib", "uss_mib")),
        )
        for kind in idle
    ]
    run = found["run"]
    rows.append((RUN, 1, "", "", f"{run['pss_mib']:.0f}", f"{run['uss_mib']:.0f}"))
    head = ("MiB", "processes", "idle, PSS", "idle, USS", "after an onboarding, PSS", "after an onboarding, USS")
    goals = [_said(name, goal) for name, goal in found["goals"].items() if goal["met"] is not None]
    return "\n".join([table(head, rows), "", *goals])


def _said(name: str, goal: Mapping[str, Any]) -> str:
    met = "met" if goal["met"] else "NOT met"
    return f"- {name.replace('_', ' ')}: {goal['found']}, to be below {goal['below']}: {met}"


def main() -> None:
    """Measure, and print Markdown."""
    say(shown(figures()))


if __name__ == "__main__":
    main()
