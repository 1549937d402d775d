"""A thousand decisions, each at a moment of its own after its gate opened, without the watch: is one ever lost?"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import monotonic, sleep
from typing import Any

import httpx

from benchmarks.decision.journeys import LONGEST_DELAY_S, LOST_AFTER_S, Decision, Gate, decided, summary
from benchmarks.decision.on_prefect import OnPrefect
from benchmarks.sandboxes import Place
from benchmarks.tables import say

_TELL_EVERY = 100


def thousand(place: Place, system: OnPrefect, keys: Sequence[str], random: Random, at_once: int) -> dict[str, Any]:
    """Begin journeys, so many at once, and approve each; then let the watch look at those whose decision was lost."""
    delays, began = [random.uniform(0, LONGEST_DELAY_S) for _ in keys], monotonic()
    done: list[Decision] = []

    def play(key: str, delay_s: float) -> None:
        system.begin(key)
        done.append(decided(system, key, Gate.APPROVE, delay_s))
        if len(done) % _TELL_EVERY == 0:
            say(f"{len(done)} of {len(keys)} decisions in {monotonic() - began:.0f} s")

    watch = _paused_watch(place)
    with ThreadPoolExecutor(at_once) as threads:
        for played in [threads.submit(play, *each) for each in zip(keys, delays, strict=True)]:
            played.result()
    seconds = monotonic() - began
    _resume(place, watch)
    lost = [decision for decision in done if decision.took_s is None]
    return summary(done) | {
        "at_once": at_once,
        "seconds": round(seconds, 1),
        "lost_at_delays_s": sorted(round(decision.delay_s, 2) for decision in lost),
        "needed_the_watch": _found_by_watch(place, system, [decision.key for decision in lost]),
    }


def _paused_watch(place: Place) -> str:
    """Nothing may be mended while decisions are counted."""
    with _prefect(place) as api:
        watch = str(api.get("/deployments/name/watch/watch").raise_for_status().json()["id"])
        api.post(f"/deployments/{watch}/pause_deployment").raise_for_status()
    place.settle()
    return watch


def _resume(place: Place, watch: str) -> None:
    with _prefect(place) as api:
        api.post(f"/deployments/{watch}/resume_deployment").raise_for_status()


def _found_by_watch(place: Place, system: OnPrefect, lost: Sequence[str]) -> int:
    """How many of them one round of the watch brings on."""
    if not lost:
        return 0
    place.ports.runs.ask_for_watch()
    deadline = monotonic() + LOST_AFTER_S
    while monotonic() < deadline:
        if all(system.next_started(key, Gate.APPROVE) for key in lost):
            break
        sleep(1)
    return sum(system.next_started(key, Gate.APPROVE) is not None for key in lost)


def _prefect(place: Place) -> httpx.Client:
    return httpx.Client(base_url=place.running.prefect.api_url, trust_env=False, timeout=30)
