"""What the watch does in one round, as Prefect tasks: each part by itself, so that none keeps the others waiting."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from datetime import timedelta
from functools import cached_property
from math import ceil

from prefect import get_run_logger, task

from keyturn import wiring
from keyturn.domain.attempt import Halt
from keyturn.domain.integration import IntegrationKey
from keyturn.services import alarms as alarming
from keyturn.services.check import Checking
from keyturn.services.lost_runs import LostRuns
from keyturn.services.manifest_folder import Folder
from keyturn.services.notify import deliver, page_of
from keyturn.services.profile_list import Profiles
from keyturn.services.trail import guard
from keyturn.services.watch import Watch
from tasks import artifacts, events
from tasks.policies import LEDGER, VENDOR

_SHARD = 25
_PRUNED_AT_ONCE = 10_000
_LISTED_AT_ONCE = 10_000


class _Lists:
    """What all shards of a round go by: StackOne's list of all profiles and the manifest files, each read once.

    Every shard by itself would read all of the fleet for its few, and so the fleet's square in a round.
    """

    @cached_property
    def profiles(self) -> Profiles:
        """All profiles."""
        return Profiles(wiring.ports().hub, wiring.ports().clock)

    @cached_property
    def filed(self) -> Folder:
        """All manifests."""
        return Folder(wiring.ports().settings.manifests)


_AT_HAND: ContextVar[_Lists] = ContextVar("lists")  # Prefect's threads begin with the context of whoever submits


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
    for attempt in map(p.ledger.attempt, found.stuck):
        if attempt.halt is Halt.ORPHANED:  # no run is left that could say so
            events.rotation(attempt.key, "orphaned", str(attempt.id))
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
    """Check the integrations whose turn it is, in shards side by side that share this worker's threads.

    Any number of workers share the fleet: what one has claimed, no other takes on.

    Returns:
        How many were checked.
    """
    shards = claim()
    _AT_HAND.set(_Lists())
    threads = wiring.ports().settings.watch.threads // max(1, len(shards))
    checks = [check.submit(shard, threads) for shard in shards]
    checked = sum(done.result() for done in checks)
    if checked:
        fleet()
    return checked


@task(name="claim", **LEDGER)
def claim() -> list[list[str]]:
    """Take on integrations that nobody has looked at for a while, and let old observations and sessions go.

    The fleet is listed anew and counted besides, so that its history has every day although nobody has a console open.

    Returns:
        Their keys, in shards.
    """
    p = wiring.ports()
    now, watch = p.clock.now(), p.settings.watch
    p.observatory.prune(now - timedelta(days=watch.keep_days), _PRUNED_AT_ONCE)
    p.visits.prune()
    p.fleet.refresh(_LISTED_AT_ONCE)
    p.fleet.pictures()
    keys = [str(k) for k in p.observatory.claim(now, now - timedelta(seconds=watch.check_every_s), watch.claim)]
    return sharded(keys, watch.threads)


def sharded(keys: list[str], threads: int) -> list[list[str]]:
    """The keys in shards, no more of them than threads, so that each has one at least."""
    size = max(_SHARD, ceil(len(keys) / threads))
    return [keys[start : start + size] for start in range(0, len(keys), size)]


@task(name="check", **VENDOR)
def check(keys: list[str], threads: int) -> int:
    """Check some integrations from every side, within the vendors' budgets. Read-only.

    Args:
        keys: which.
        threads: how many at once.

    Returns:
        How many.
    """
    p, lists = wiring.ports(), _AT_HAND.get(None) or _Lists()
    checking = Checking(p.ledger, p.secrets, p.gong, p.hub, p.observatory, p.clock, lists.filed)
    checked = checking.check_many([IntegrationKey.parse(key) for key in keys], threads, profiles=lists.profiles)
    _warn(c.problem for c in checked if c.problem)
    for one in checked:
        for transition in one.transitions:
            events.drift(one.key, transition.condition.cause.value, raised=transition.condition.raised)
    return len(checked)


@task(name="fleet", **LEDGER)
def fleet() -> None:
    """Show every integration as it was left, on one page that is written anew."""
    artifacts.fleet(wiring.ports().observatory.fleet())


@task(name="notices", **LEDGER)
def notices() -> int:
    """Send what people are to be told. A channel that fails is tried again, and fails nothing.

    Returns:
        How many messages were taken.
    """
    p = wiring.ports()
    page = page_of(lambda: p.runs, str(p.settings.notify_link or ""), str(p.settings.console.url or ""))
    delivered = deliver(p.outbox, p.channels, p.notifier, p.clock, page)
    _warn((*delivered.problems, *delivered.given_up))
    get_run_logger().info("sent: %s, waiting: %s", delivered.sent, delivered.waiting)
    return delivered.sent


@task(name="audit_trail", **LEDGER)
def audit_trail() -> int:
    """Follow the audit trail to its end, once a day from its first row on, and keep its head in Vault.

    What does not fit is told at once, and fails nothing: a failed run reaches nobody.

    Returns:
        How many rows are new.
    """
    p = wiring.ports()
    seen = guard(p.trail, p.anchor, p.outbox, p.clock)
    _warn(seen.problems)
    return seen.rows


def _warn(problems: Iterable[str]) -> None:
    for problem in problems:
        get_run_logger().warning("%s", problem)
