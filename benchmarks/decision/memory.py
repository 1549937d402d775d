"""What a worker holds while it is idle, and a run while it waits for a consent in its process."""

from __future__ import annotations

from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types

from benchmarks.decision.journeys import Gate, until
from benchmarks.decision.on_prefect import OnPrefect
from benchmarks.sandboxes import Place
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey

_MIB = 2**20


def run_and_worker(place: Place, system: OnPrefect, key: str) -> dict[str, Any]:
    """MiB of both; the journey that is played for it comes to its end.

    PSS counts memory that processes share once, in equal parts; USS is what a process has for itself alone. A run that
    is forked in a worker's first seconds has more, since the fork server still changes what it would share.
    """
    until(system.complete, "the worker has imported everything")
    idle = _family(system)
    worker = sum(one.memory_full_info().pss for one in idle)
    system.begin(key)
    for gate in Gate:
        until(lambda gate=gate: system.opened(key, gate), f"{key} asks at {gate}")  # type: ignore[misc]
        system.decide(key, gate)
    place.wait_for(IntegrationKey.parse(key), GateKind.CONSENT)
    held = [one.memory_full_info() for one in set(_family(system)) - set(idle)]
    system.finish(key)
    place.settle()
    return {
        "name": system.name,
        "idle_worker_pss_mib": round(worker / _MIB, 1),
        "run_uss_mib": round(sum(one.uss for one in held) / _MIB, 1),
        "run_pss_mib": round(sum(one.pss for one in held) / _MIB, 1),
    }


def _family(system: OnPrefect) -> list[psutil.Process]:
    leader = psutil.Process(system.worker.process.pid)
    return [leader, *leader.children(recursive=True)]
