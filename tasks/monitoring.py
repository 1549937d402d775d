"""The watch, as a Prefect task."""

from __future__ import annotations

from prefect import get_run_logger, task

from keyturn import wiring
from keyturn.services.watch import Watch
from tasks.policies import VENDOR


@task(name="tick", **VENDOR)
def tick() -> int:
    """One round over the open gates.

    Returns:
        How many runs were woken.
    """
    ports = wiring.ports()
    seen = Watch(ports.ledger, ports.runs, ports.hub, ports.clock).tick()
    for problem in seen.problems:
        get_run_logger().warning("%s", problem)
    get_run_logger().info("woken: %s, asked afresh: %s", len(seen.woken), len(seen.rearmed))
    return len(seen.woken)
