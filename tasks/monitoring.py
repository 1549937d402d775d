"""What the watch does in one round, as Prefect tasks: each part by itself, so that none keeps the others waiting."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from prefect import get_run_logger, task

from keyturn import wiring
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.services import alarms as alarming
from keyturn.services.check import Checking
from keyturn.services.lost_runs import LostRuns
from keyturn.services.notify import deliver, page_of
from keyturn.services.trail import anchor
from keyturn.services.watch import Watch
from tasks import artifacts, events
from tasks.policies import LEDGER, VENDOR

_SHARD = 25
_PRUNED_AT_ONCE = 10_000


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


def health() -> int:
    """Check the integrations whose turn it is, in shards side by side.

    Any number of workers share the fleet: what one has claimed, no other takes on.

    Returns:
        How many were checked.
    """
    shards = [check.submit(shard) for shard in claim()]
    return sum(shard.result() for shard in shards)


@task(name="claim", **LEDGER)
def claim() -> list[list[str]]:
    """Take on integrations that nobody has looked at for a while, and let old observations go.

    Returns:
        Their keys, in shards.
    """
    p = wiring.ports()
    now, watch = p.clock.now(), p.settings.watch
    p.observatory.prune(now - timedelta(days=watch.keep_days), _PRUNED_AT_ONCE)
    keys = [str(k) for k in p.observatory.claim(now, now - timedelta(seconds=watch.check_every_s), watch.claim)]
    return [keys[start : start + _SHARD] for start in range(0, len(keys), _SHARD)]


@task(name="check", **VENDOR)
def check(keys: list[str]) -> int:
    """Check some integrations from every side, within the vendors' budgets. Read-only.

    Returns:
        How many.
    """
    p = wiring.ports()
    checking = Checking(p.ledger, p.secrets, p.gong, p.hub, p.observatory, p.clock)
    checked = checking.check_many([IntegrationKey.parse(key) for key in keys], p.settings.watch.threads)
    _warn(c.problem for c in checked if c.problem)
    for one in checked:
        for transition in one.transitions:
            events.drift(one.key, transition.condition.cause.value, raised=transition.condition.raised)
    artifacts.fleet(p.observatory.fleet())
    return len(checked)


@task(name="notices", **LEDGER)
def notices() -> int:
    """Send what people are to be told. A channel that fails is tried again, and fails nothing.

    Returns:
        How many messages were taken.
    """
    p = wiring.ports()
    page = page_of(lambda: p.runs, str(p.settings.notify_link or ""))
    delivered = deliver(p.outbox, p.channels, p.notifier, p.clock, page)
    _warn((*delivered.problems, *delivered.given_up))
    get_run_logger().info("sent: %s, waiting: %s", delivered.sent, delivered.waiting)
    return delivered.sent


@task(name="audit_trail", **LEDGER)
def audit_trail() -> int:
    """Follow the audit trail to its end, and keep its head in Vault; what does not fit is told at once.

    Returns:
        How many rows are new.
    """
    p = wiring.ports()
    found = anchor(p.trail, p.anchor)
    if found.fault is not None:
        _warn([found.fault.says])
        today = p.clock.now().date().isoformat()
        p.outbox.tell(Notice(Event.AUDIT_BROKEN, Severity.CRITICAL, "", f"audit/broken/{today}"))
    return found.rows


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        get_run_logger().warning("%s", problem)
