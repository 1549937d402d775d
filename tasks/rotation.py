"""The stages of a rotation, as Prefect tasks. Each is one call of a service.

A stage that waits returns the gate it waits at, and `None` once it has its receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from prefect import get_run_logger, runtime, task

from keyturn import wiring
from keyturn.domain.attempt import AttemptKind, Execution, Halt, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.errors import KeyturnError, SupersededError
from keyturn.services import execution, waiting
from keyturn.services.rotation import approval
from keyturn.services.rotation import orphan as ending
from keyturn.services.rotation.applying import Applying
from keyturn.services.rotation.preflight import Preflight
from keyturn.services.rotation.promoting import Promoting
from keyturn.services.rotation.proof import Proving
from keyturn.services.rotation.staging import Staging
from keyturn.services.rotation.turn import Turning
from keyturn.services.sweep import Sweep
from tasks import artifacts, events
from tasks.policies import LEDGER, VENDOR
from tasks.waiting import Waiting, done, settled_or_waiting


@task(name="begin", **LEDGER)
def begin(key: str, attempt: str | None) -> Execution:
    """Take the attempt's next number, which fences off every older execution of it."""
    ports = wiring.ports()
    run = runtime.flow_run.get_id()
    begun = execution.begin(ports.ledger, key, attempt, UUID(run) if run else None, AttemptKind.ROTATION)
    ports.ledger.hold(begun)
    return begun


@task(name="heed", **LEDGER)
def heed(run: Execution) -> None:
    """Look whether the older secret is to be put back."""
    ending.heed(wiring.ports().ledger, run)


@task(name=Stage.PREFLIGHT.value, **VENDOR)
def preflight(run: Execution) -> None:
    """Look at everything that the steps after the click will need."""
    p = wiring.ports()
    ready = Preflight(p.ledger, p.secrets, p.gong, p.hub, p.writers, p.channels, p.outbox, p.clock)
    done(run, ready.check(run))


@task(name=Stage.APPROVE.value, **LEDGER)
def approve(run: Execution) -> Waiting | None:
    """Ask for approval before anybody clicks."""
    ports = wiring.ports()
    result = approval.ask_approval(ports.ledger, ports.clock, run)
    if isinstance(result, Gate):
        artifacts.turn(ports, run)
    return settled_or_waiting(run, result)


@task(name=Stage.GONG_ROTATION.value, **VENDOR)
def gong_rotation(run: Execution) -> Waiting | None:
    """Ask Gong's admin to rotate the secret and to hand the new one in."""
    ports = wiring.ports()
    result = Turning(ports.ledger, ports.secrets, ports.clock).ask(run)
    if isinstance(result, Gate) and result.kind is GateKind.GONG_ROTATION:
        artifacts.click(ports, run, result)
    return settled_or_waiting(run, result)


@task(name=Stage.STAGE_SECRET.value, **VENDOR)
def stage_secret(run: Execution) -> None:
    """Make the new secret pending in Vault by check-and-set."""
    done(run, _staging().stage(run))


@task(name=Stage.PROBE_SECRET.value, **VENDOR)
def probe_secret(run: Execution) -> Waiting | None:
    """Try the new secret at Gong; a wrong one is asked for again."""
    return settled_or_waiting(run, _staging().probe(run))


@task(name=Stage.APPLY.value, **VENDOR)
def apply(run: Execution) -> Waiting | None:
    """Put the new secret into the StackOne profile, and read the profile back."""
    return _patiently(run, _applying().apply)


@task(name=Stage.VERIFY.value, **VENDOR)
def verify(run: Execution) -> Waiting | None:
    """Look for a refresh or a new link since then."""
    p = wiring.ports()
    return _patiently(run, Proving(p.ledger, p.hub, p.clock).verify)


@task(name=Stage.PROMOTE.value, **VENDOR)
def promote(run: Execution) -> None:
    """Make the proven secret current by one check-and-set write."""
    done(run, _promoting().promote(run))


@task(name=Stage.RETIRE.value, **VENDOR)
def retire(run: Execution) -> Waiting | None:
    """Wait for the end of the grace, and mark the older secret dead."""
    return settled_or_waiting(run, _promoting().retire(run))


@task(name="conclude", **LEDGER)
def conclude(run: Execution) -> str:
    """End the rotation."""
    _promoting().conclude(run)
    artifacts.rotated(wiring.ports(), run)
    events.rotation(run.key, "done", str(run.attempt_id))
    return f"{run.key}: the secret was turned"


@task(name=Stage.ROLL_BACK.value, **VENDOR)
def roll_back(run: Execution) -> Waiting | None:
    """Put the older secret back into the profile while it works."""
    ports, applying = wiring.ports(), _applying()
    return settled_or_waiting(
        run, waiting.patiently(lambda: applying.roll_back(run), ports.clock, ports.settings.waiting)
    )


def rolled_back(run: Execution) -> str:
    """Halt the rotation as rolled back.

    Raises:
        StageFailedError: always, so that Prefect shows the run for what it is.
    """
    events.rotation(run.key, "rolled_back", str(run.attempt_id))
    ending.rolled_back(wiring.ports().ledger, run)
    return ""


@contextmanager
def paging(run: Execution) -> Iterator[None]:
    """Halt the rotation as orphaned when its run cannot go on after the click. A suspension passes through."""
    try:
        yield
    except SupersededError:
        raise
    except Exception as error:
        ledger = wiring.ports().ledger
        ending.orphan(ledger, run, getattr(error, "problem", type(error).__name__))
        with suppress(KeyturnError):  # what is raised is what stopped the run
            halt = ledger.attempt(run.attempt_id).halt  # a stage may have halted it before
            if halt is Halt.ORPHANED:
                events.rotation(run.key, "orphaned", str(run.attempt_id))
            elif halt is Halt.NONE:  # what was rolled back has told of itself
                events.rotation(run.key, "failed", str(run.attempt_id))
        raise


@task(name="sweep", **LEDGER)
def sweep(*, dry_run: bool) -> list[str]:
    """Start the rotations that are due; or only say which they would be."""
    p = wiring.ports()
    sweeping, at_once = Sweep(p.ledger, p.runs, p.outbox, p.clock), p.settings.rotation.at_once
    swept = None if dry_run else sweeping.run(at_once)
    entries = swept.entries if swept else sweeping.plan(at_once)
    for problem in swept.problems if swept else ():
        get_run_logger().warning("%s", problem)
    artifacts.sweep(entries)
    return [f"{entry.key}: {entry.what.value}, {entry.why}" for entry in entries]


def _patiently(run: Execution, look: Callable[[Execution], Receipt | Gate]) -> Waiting | None:
    """Look again and again, and no longer once a person wants the older secret back: a minute counts then."""
    p = wiring.ports()
    heeding = ending.heeding(p.ledger, run, look)
    return settled_or_waiting(run, waiting.patiently(heeding, p.clock, p.settings.waiting))


def _staging() -> Staging:
    ports = wiring.ports()
    return Staging(ports.ledger, ports.secrets, ports.gong)


def _applying() -> Applying:
    p = wiring.ports()
    return Applying(p.ledger, p.secrets, p.gong, p.hub, p.writers, p.clock)


def _promoting() -> Promoting:
    ports = wiring.ports()
    return Promoting(ports.ledger, ports.secrets, ports.gong, ports.clock)
