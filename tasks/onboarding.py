"""The stages of an onboarding, as Prefect tasks. Each is one call of a service.

A stage that waits for people returns the gate it waits at, and `None` once it has its receipt.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect import get_run_logger, runtime, task

from keyturn import wiring
from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.gate import Channel, Gate
from keyturn.errors import KeyturnError
from keyturn.services import asking, decide, execution, waiting
from keyturn.services.link import Linking
from keyturn.services.provision import Provisioning
from keyturn.services.register import register as register_manifest
from keyturn.services.store import Safekeeping
from keyturn.services.verify import Examination
from tasks import artifacts
from tasks.policies import LEDGER, VENDOR


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gate that is still open, as a flow needs to know it."""

    gate: str
    by_form: bool


@task(name="begin", **LEDGER)
def begin(key: str, attempt: str | None) -> Execution:
    """Take the attempt's next number, which fences off every older execution of it."""
    ports = wiring.ports()
    run = runtime.flow_run.get_id()
    return execution.begin(ports.ledger, key, attempt, UUID(run) if run else None)


@task(name=Stage.REGISTER.value, **LEDGER)
def register(run: Execution) -> None:
    """Lint the manifest once more and fix its digest."""
    _say(register_manifest(wiring.ports().ledger, run))


@task(name=Stage.APPROVE.value, **LEDGER)
def approve(run: Execution) -> Waiting | None:
    """Ask for approval of the digest."""
    ports = wiring.ports()
    result = asking.ask_approval(ports.ledger, ports.clock, run)
    artifacts.kit(ports, run)
    return _waiting(result)


@task(name=Stage.GONG_ADMIN.value, **LEDGER)
def gong_admin(run: Execution) -> Waiting | None:
    """Ask Gong's admin to create the integration and to hand in its pair."""
    ports = wiring.ports()
    return _waiting(asking.ask_gong_admin(ports.ledger, ports.clock, run))


@task(name=Stage.FETCH_SECRET.value, **VENDOR)
def fetch_secret(run: Execution) -> None:
    """Check the handed-in pair and mark it pending in Vault."""
    _say(_safekeeping().fetch(run))


@task(name=Stage.STORE_SECRET.value, **VENDOR)
def store_secret(run: Execution) -> None:
    """Make the pair current in Vault by check-and-set."""
    _say(_safekeeping().store(run))


@task(name=Stage.CREATE_PROFILE.value, **VENDOR)
def create_profile(run: Execution) -> Waiting | None:
    """Have the StackOne profile made, by API or by a person's hands, and read it back."""
    ports = wiring.ports()
    making = Provisioning(ports.ledger, ports.secrets, ports.hub, ports.writers, ports.clock)
    return _waiting(waiting.patiently(lambda: making.create(run), ports.clock, ports.settings.waiting))


@task(name=Stage.LINK_ACCOUNT.value, **VENDOR)
def link_account(run: Execution) -> Waiting | None:
    """Wait for the consent by an auth link."""
    ports = wiring.ports()
    linking = Linking(ports.ledger, ports.hub, ports.clock)
    return _waiting(waiting.patiently(lambda: linking.link(run), ports.clock, ports.settings.waiting))


@task(name=Stage.TEST_CONNECTION.value, **VENDOR)
def test_connection(run: Execution) -> str:
    """Give the verdict; the run ends well only if no layer failed.

    Raises:
        StageFailedError: a layer failed.
    """
    ports = wiring.ports()
    examination = Examination(ports.ledger, ports.secrets, ports.gong, ports.hub)
    verdict, _ = examination.test_connection(run)
    artifacts.verdict(run, verdict)
    return execution.summary(run, verdict)


def answer_by_form(run: Execution, gate: str, *, approved: bool, name: str, note: str) -> None:
    """Let Prefect's own form count as the decision, where the manifest's policy says so."""
    execution.record_form(wiring.ports().ledger, run, UUID(gate), approved=approved, name=name, note=note)


def catch_up(gate: str) -> None:
    """Ask for the resume ourselves if the gate was decided just before the run became suspended.

    Whoever decided could not resume a run that was not suspended yet. Looking once more after suspending closes
    that gap.
    """
    ports = wiring.ports()
    with suppress(KeyturnError):  # nothing may take the place of the suspension; the watch flow asks again
        for decided in [g for g in ports.ledger.owed_resumes() if str(g.id) == gate]:
            decide.pass_on(ports.ledger, ports.runs, decided)


def _safekeeping() -> Safekeeping:
    ports = wiring.ports()
    return Safekeeping(ports.ledger, ports.secrets, ports.gong)


def _waiting(result: Receipt | Gate) -> Waiting | None:
    if isinstance(result, Receipt):
        _say(result)
        return None
    get_run_logger().info("%s waits for one of: %s", result.kind, ", ".join(result.groups))
    return Waiting(str(result.id), by_form=result.channel is Channel.PREFECT)


def _say(receipt: Receipt) -> None:
    get_run_logger().info("%s: receipt of %s", receipt.stage, receipt.at.isoformat(timespec="seconds"))
