"""What the watch does in one round, as Prefect tasks: each part by itself, so that none keeps the others waiting."""

from __future__ import annotations

from collections.abc import Iterable

from prefect import get_run_logger, task

from keyturn import wiring
from keyturn.services import alarms as alarming
from keyturn.services.lost_runs import LostRuns
from keyturn.services.notify import deliver, page_of
from keyturn.services.watch import Watch
from tasks.policies import LEDGER, VENDOR


@task(name="gates", **VENDOR)
def gates() -> int:
    """Wake runs whose gates were decided or have settled themselves, and ask old questions afresh.

    Returns:
        How many runs were woken.
    """
    p = wiring.ports()
    seen = Watch(p.ledger, p.runs, p.hub, p.clock).tick()
    _warn(seen.problems)
    get_run_logger().info("woken: %s, asked afresh: %s", len(seen.woken), len(seen.rearmed))
    return len(seen.woken)


@task(name="lost_runs", **LEDGER)
def lost_runs() -> int:
    """Start attempts again whose run is gone, crashed, or running only by Prefect's word.

    Returns:
        How many were started.
    """
    p = wiring.ports()
    found = LostRuns(p.ledger, p.runs, p.outbox, p.clock).find()
    _warn(found.problems)
    get_run_logger().info("restarted: %s, given up: %s", len(found.restarted), len(found.stuck))
    return len(found.restarted)


@task(name="alarms", **LEDGER)
def alarms() -> int:
    """Tell of gates that nobody answers, and of graces that run out unverified.

    Returns:
        How many notices are new.
    """
    p = wiring.ports()
    told = alarming.remind(p.ledger, p.outbox, p.clock) + alarming.alarm(p.ledger, p.outbox, p.clock)
    get_run_logger().info("told: %s", told)
    return told


@task(name="notices", **LEDGER)
def notices() -> int:
    """Send what people are to be told. A channel that fails is tried again, and fails nothing.

    Returns:
        How many messages were taken.
    """
    p = wiring.ports()
    delivered = deliver(p.outbox, p.channels, p.notifier, p.clock, page_of(lambda: p.runs, p.settings.notify.link_text))
    _warn((*delivered.problems, *delivered.given_up))
    get_run_logger().info("sent: %s, waiting: %s", delivered.sent, delivered.waiting)
    return delivered.sent


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        get_run_logger().warning("%s", problem)
