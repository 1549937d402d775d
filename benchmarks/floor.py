"""Machine time of a whole onboarding and a whole rotation, against a bare script: `python benchmarks/floor.py`.

Machine time is the time from the first command to the end, less what people do on the vendors' pages; people act at
once here. Both play on one sandbox, onboardings in turn, so that whatever else the machine does slows both. The bare
script is in `bare.py`. Neither pays for its imports: the warm worker has them before a run begins, and the script has
them, too. keyturn's time has in it what nobody can hurry: a consent is looked for once in a second.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx
import psycopg

from benchmarks.bare import Bare
from benchmarks.sandboxes import Place, sandbox
from benchmarks.tables import say, table

ROUNDS, COUNTED = 3, 1  # calls are counted in the first round only, since that takes its time
_IDLE_S = 5.0
_FLUSHED_S = 12.0  # PostgreSQL counts an idle session's transactions ten seconds later at the latest
_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_LEDGER = "the ledger (transactions)"
WHO = ("keyturn", "bare script")


@dataclass(frozen=True)
class Measured:
    """One journey: seconds of machine time, of processor time, and calls by whom they went to, where counted."""

    machine_s: float
    cpu_s: float
    calls: Mapping[str, int]


def figures(rounds: int = ROUNDS) -> dict[str, Any]:
    """Machine time, processor time and calls of both, as medians, and as ratios."""
    numbers = range(1, rounds + 1)
    with sandbox() as place:
        bare = Bare(place)
        play = _Play(place, bare)
        play.onboard(0)  # the first time loads what it needs
        play.onboard_bare(0)
        idle = _idle_share(place)
        onboarding = [(_measured(place, play.onboard, n), _measured(place, play.onboard_bare, n)) for n in numbers]
        rotated = [_measured(place, play.rotate, n) for n in numbers]
        # Afterwards: its clocks would be ahead of keyturn's.
        rotated_bare = [_measured(place, play.rotate_bare, n) for n in numbers]
        bare.close()
    rotation = list(zip(rotated, rotated_bare, strict=True))
    found = {"onboarding": _compared(onboarding), "rotation": _compared(rotation)}
    return {"rounds": rounds, "idle_cpu_share": round(idle, 3), **found}


@dataclass
class _Play:
    """Both ways of each journey."""

    place: Place
    bare: Bare

    def __post_init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._made: dict[int, tuple[str, str, str]] = {}

    def onboard(self, n: int) -> None:
        self._ids[n] = self.place.onboarded(self.place.integration(f"full-{n}"))

    def onboard_bare(self, n: int) -> None:
        self._made[n] = self.bare.onboard(f"bare-{n}")

    def rotate(self, n: int) -> None:
        self.place.rotated(self.place.integration(f"full-{n}"), self._ids[n])

    def rotate_bare(self, n: int) -> None:
        self.bare.rotate(f"bare-{n}", *self._made[n])


def _measured(place: Place, play: Callable[[int], None], n: int) -> Measured:
    place.settle()
    before = _calls(place) if n == COUNTED else {}
    cpu, people, looks = place.cpu_s(), place.watch.people_s, place.looks
    began = time.perf_counter()
    play(n)
    took = time.perf_counter() - began - (place.watch.people_s - people)
    looked = place.looks - looks
    place.settle()
    used = place.cpu_s() - cpu
    if not before:
        return Measured(took, used, {})
    made = {to: count - before[to] for to, count in _calls(place).items()}
    return Measured(took, used, made | {_LEDGER: made[_LEDGER] - looked})


def _calls(place: Place) -> dict[str, int]:
    """How often each has been called so far. The ledger's transactions are counted late, so they are waited for."""
    with psycopg.connect(place.running.postgres.ledger_url, autocommit=True) as connection:
        time.sleep(_FLUSHED_S)
        row = connection.execute(_COMMITS).fetchone()
    twins = {"Gong": place.running.twins.gong, "StackOne": place.running.twins.stackone}
    vendors = {name: _api_calls(url) for name, url in twins.items()}
    with place.running.openbao.audit_file.open() as lines:
        asked = Counter(json.loads(line)["type"] for line in lines)
    return vendors | {"Vault": asked["request"], _LEDGER: int(row[0]) if row else 0}


def _api_calls(url: str) -> int:
    """Calls of a vendor's API; people's clicks on its pages are no calls of ours."""
    calls = httpx.get(f"{url}/_twin/effects", trust_env=False).raise_for_status().json()["calls"]
    pages = ("/admin", "/dashboard", "/sign-in", "/connect/", "/oauth2/authorize")
    made: dict[str, int] = {name.partition(" ")[2]: 0 for name in calls}
    for name, count in calls.items():
        made[name.partition(" ")[2]] += count
    return sum(count for path, count in made.items() if path != "/connect" and not path.startswith(pages))


def _idle_share(place: Place) -> float:
    """Processor time per second when nothing is to do: part of every journey's."""
    place.settle()
    before = place.cpu_s()
    time.sleep(_IDLE_S)
    return (place.cpu_s() - before) / _IDLE_S


def _compared(pairs: list[tuple[Measured, Measured]]) -> dict[str, Any]:
    machine = [median(pair[n].machine_s for pair in pairs) for n in (0, 1)]
    cpu = [median(pair[n].cpu_s for pair in pairs) for n in (0, 1)]
    counted = pairs[COUNTED - 1]
    calls = {to: [one.calls[to] for one in counted] for to in counted[0].calls}
    return {
        "machine_s": dict(zip(WHO, (round(s, 3) for s in machine), strict=True)),
        "machine_ratio": round(machine[0] / machine[1], 1),
        "cpu_s": dict(zip(WHO, (round(s, 3) for s in cpu), strict=True)),
        "calls": {to: dict(zip(WHO, counts, strict=True)) for to, counts in calls.items()},
    }


def shown(found: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    rows: list[tuple[object, ...]] = []
    for kind in ("onboarding", "rotation"):
        one = found[kind]
        rows.append((f"{kind}: machine time", *_of(one["machine_s"], " s"), one["machine_ratio"]))
        rows.append((f"{kind}: processor time", *_of(one["cpu_s"], " s"), _ratio(one["cpu_s"])))
        rows += [(f"{kind}: calls to {to}", *_of(made), _ratio(made)) for to, made in one["calls"].items()]
    idle = f"All servers together use {found['idle_cpu_share']:.2f} s of processor time a second when idle, in both."
    return "\n".join([table(("", *WHO, "ratio"), rows), "", idle])


def _of(both: Mapping[str, float], unit: str = "") -> list[str]:
    return [f"{both[who]:.2f}{unit}" if unit else f"{both[who]:.0f}" for who in WHO]


def _ratio(both: Mapping[str, float]) -> str:
    return f"{both[WHO[0]] / both[WHO[1]]:.1f}" if both[WHO[1]] else ""


def main() -> None:
    """Measure, and print Markdown."""
    say(shown(figures()))


if __name__ == "__main__":
    main()
