"""From a decision to the start of the next stage, side by side: `python benchmarks/decisions.py [--quick]`.

The same gated journey, against the same twins and the same Vault, on keyturn with its warm worker, on keyturn with
Prefect's own worker, on DBOS and on Airflow, one after the other on one machine; only what is measured runs meanwhile.
Decisions come at random moments, from at once to 10 s after their gate opened.
"""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.decision.journeys import LONGEST_DELAY_S, Gate, System, played, resumed_after_kill, summary
from benchmarks.decision.memory import run_and_worker
from benchmarks.decision.on_airflow import OnAirflow
from benchmarks.decision.on_dbos import OnDbos
from benchmarks.decision.on_prefect import OnPrefect
from benchmarks.decision.thousand import thousand
from benchmarks.sandboxes import Place, sandbox
from benchmarks.tables import say, table
from keyturn.sandbox.people import Pair
from keyturn.sandbox.prefect import STOCK, WARM

P95_GOAL_S, TIMES_FASTER_GOAL, AFTER_KILL_GOAL_S = 1.0, 5.0, 4.0
_PARKED_S = 5.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is played. A journey has two decisions.

    Attributes:
        journeys: on the warm worker and on DBOS.
        slow_journeys: on the stock worker and on Airflow, where one takes half a minute; 0 leaves the former out.
        decisions: of which none may be lost.
        at_once: so many of them.
        kills: of each system.
        peers: whether DBOS and Airflow play, too.
    """

    journeys: int = 12
    slow_journeys: int = 8
    decisions: int = 1000
    at_once: int = 20
    kills: int = 5
    peers: bool = True


QUICK = Sizes(journeys=1, slow_journeys=1, decisions=4, at_once=2, kills=1)


def figures(sizes: Sizes = Sizes(), seed: int | None = None) -> dict[str, Any]:
    """Everything, system by system."""
    seed = int(os.environ.get("KEYTURN_BENCH_SEED") or secrets.randbelow(2**32)) if seed is None else seed
    say(f"seed {seed}: KEYTURN_BENCH_SEED={seed} gives the same delays again")
    with sandbox(console=True) as place:
        contest = _Contest(place, sizes, Random(seed))  # noqa: S311  delays, not secrets
        contest.on_prefect()
        if sizes.peers:
            contest.on_peers()
    return {"seed": seed, "longest_delay_s": LONGEST_DELAY_S, **contest.found, "goals": goals(contest.found)}


def goals(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was to be reached, and whether it was."""
    warm, stock = found["systems"][WARM], found["systems"].get(STOCK, {"approve": {}})
    lost = found["thousand"]["lost"] + sum(warm[gate]["lost"] for gate in Gate)
    told = {"approve_p95_s": (warm["approve"].get("p95_s"), P95_GOAL_S)}
    told["start_after_kill_s"] = (found["after_kill"][WARM].get("longest_s"), AFTER_KILL_GOAL_S)
    faster = _ratio(stock["approve"].get("median_s"), warm["approve"].get("median_s"))
    met = {name: {"found": f, "at_most": most, "met": f is not None and f <= most} for name, (f, most) in told.items()}
    met["times_faster_than_stock"] = {
        "found": faster,
        "at_least": TIMES_FASTER_GOAL,
        "met": faster is not None and faster >= TIMES_FASTER_GOAL,
    }
    met["decisions_lost"] = {"found": lost, "at_most": 0, "met": lost == 0}
    return met


class _Contest:
    """One system after the other, on one sandbox."""

    def __init__(self, place: Place, sizes: Sizes, random: Random) -> None:
        self._place, self._sizes, self._random = place, sizes, random
        self._pair = _created(place)
        self._number = 0
        self.found: dict[str, Any] = {"systems": {}, "after_kill": {}, "memory": {}, "failed": {}}
        place.running.children.stop(place.running.worker)

    def on_prefect(self) -> None:
        """The stock worker first, so that the thousand journeys burden nobody."""
        stock = [(STOCK, self._sizes.slow_journeys)] if self._sizes.slow_journeys else []
        for kind, journeys in (*stock, (WARM, self._sizes.journeys)):
            system = OnPrefect(self._place, kind, self._pair)
            system.start()
            self._place.settle()
            self.found["memory"][kind] = run_and_worker(self._place, system, next(self._keys("memory", 1)))
            self._play(kind, system, journeys)
            if kind == WARM:
                self._kill(kind, system)
                keys = list(self._keys("thousand", self._sizes.decisions))
                found = thousand(self._place, system, keys, self._random, self._sizes.at_once)
                self.found["thousand"] = found
            self._place.settle()  # the stock worker, told to stop, leaves its runs saying Running for ever
            system.stop()
            system.close()

    def on_peers(self) -> None:
        """With keyturn's own servers stopped; twins, Vault and PostgreSQL go on."""
        running = self._place.running
        for server in (running.prefect, running.console):
            if server is not None:
                running.children.stop(server.child)
        folder, sizes = running.children.state, self._sizes
        for name, sqlite in (("dbos_postgresql", False), ("dbos_sqlite", True)):
            with self._whatever_happens(name):
                dbos = OnDbos(self._place, folder / name, self._pair, sqlite=sqlite)
                self._play_and_kill(name, dbos, sizes.journeys)
        with self._whatever_happens("airflow"):
            airflow = OnAirflow(self._place, folder / "airflow", self._pair)
            self._play_and_kill("airflow", airflow, sizes.slow_journeys)

    @contextmanager
    def _whatever_happens(self, name: str) -> Iterator[None]:
        """A peer that does not come up, or gets stuck, is told of, and the others play."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001  as the docstring says
            self.found["failed"][name] = f"{type(fault).__name__}: {fault}"
            say(f"{name} failed: {fault}")

    def _play_and_kill(self, name: str, peer: OnDbos | OnAirflow, journeys: int) -> None:
        with peer:
            self._play(name, peer, journeys)
            self._kill(name, peer)

    def _play(self, name: str, system: System, journeys: int) -> None:
        done = played(system, self._keys(name, journeys), self._random)
        self.found["systems"][name] = {"name": system.name, **done.figures()}
        say(f"{system.name}: {self.found['systems'][name]}")

    def _kill(self, name: str, system: System) -> None:
        times = [resumed_after_kill(system, key, _PARKED_S) for key in self._keys("killed", self._sizes.kills)]
        self.found["after_kill"][name] = {"name": system.name, **summary(times)}
        say(f"{system.name}, after kill -9: {self.found['after_kill'][name]}")

    def _keys(self, what: str, count: int) -> Iterator[str]:
        """Integrations that nobody else has."""
        for _ in range(count):
            self._number += 1
            yield f"{what.replace('_', '-')}-{self._number:04d}/production"


def _created(place: Place) -> Pair:
    """One integration at Gong, as its kit has it; its pair is handed in again and again."""
    key = place.integration("pair")
    return place.gong.create_integration(place.desks["grace"].plan(str(key)).model_dump()["kit"]["steps"])


def _ratio(more: float | None, less: float | None) -> float | None:
    return round(more / less, 1) if more and less else None


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    parts = [_decisions(found), _after_kill(found), _thousand(found["thousand"]), _memory(found["memory"])]
    failed = [f"**Failed**: {name}, {why}" for name, why in found["failed"].items()]
    return "\n\n".join([*parts, *failed])


def _decisions(found: Mapping[str, Any]) -> str:
    warm = found["systems"][WARM]
    head = ("decision to next stage", "gate", "decisions", "median", "p95", "lost", "median, of the warm worker's")
    rows = [_decision(system, warm, gate) for system in found["systems"].values() for gate in Gate]
    return table(head, rows)


def _decision(system: Mapping[str, Any], warm: Mapping[str, Any], gate: Gate) -> Sequence[object]:
    told = system[gate]
    ratio = _ratio(told.get("median_s"), warm[gate].get("median_s"))
    asked = "approval" if gate is Gate.APPROVE else "pair handed in"
    return (system["name"], asked, told["n"], _s(told, "median_s"), _s(told, "p95_s"), told["lost"], ratio)


def _after_kill(found: Mapping[str, Any]) -> str:
    head = ("kill -9, decision given: process start to next stage", "times", "median", "longest", "lost")
    told = found["after_kill"].values()
    return table(head, [(t["name"], t["n"], _s(t, "median_s"), _s(t, "longest_s"), t["lost"]) for t in told])


def _thousand(told: Mapping[str, Any]) -> str:
    return (
        f"Of {told['n']:,} decisions, {told['at_once']} journeys at once, {told['lost']} were lost, of which the watch "
        f"brought on {told['needed_the_watch']}; under that load the next stage began after {_s(told, 'median_s')} "
        f"(median) and {_s(told, 'p95_s')} (p95)."
    )


def _memory(told: Mapping[str, Any]) -> str:
    head = ("MiB", "idle worker, PSS", "a run that waits, USS", "a run that waits, PSS")
    rows = [(t["name"], t["idle_worker_pss_mib"], t["run_uss_mib"], t["run_pss_mib"]) for t in told.values()]
    return table(head, rows)


def _s(told: Mapping[str, Any], name: str) -> str:
    return f"{told[name]:.2f} s" if name in told else "none"


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description="From a decision to the start of the next stage.")
    parser.add_argument("--quick", action="store_true", help="a few of each: shows that it works, and no more")
    say(shown(figures(QUICK if parser.parse_args().quick else Sizes())))


if __name__ == "__main__":
    main()
