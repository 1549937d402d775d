"""The stages of an onboarding, as Prefect tasks. Each is one call of a service.

A stage that waits for people returns the gate it waits at, and `None` once it has its receipt.
"""

from __future__ import annotations

from uuid import UUID

from prefect import runtime, task

from keyturn import wiring
from keyturn.domain.attempt import Execution, Stage
from keyturn.domain.gate import Gate
from keyturn.services import asking, execution, waiting
from keyturn.services.link import Linking
from keyturn.services.provision import Provisioning
from keyturn.services.register import register as register_manifest
from keyturn.services.store import Safekeeping
from keyturn.services.verify import Examination
from tasks import artifacts, events
from tasks.policies import LEDGER, VENDOR
from tasks.waiting import Waiting, done, settled_or_waiting


@task(name="begin", **LEDGER)
def begin(key: str, attempt: str | None) -> Execution:
    """Take the attempt's next number, which fences off every older execution of it."""
    ports = wiring.ports()
    run = runtime.flow_run.get_id()
    begun = execution.begin(ports.ledger, key, attempt, UUID(run) if run else None)
    ports.ledger.hold(begun)
    return begun


@task(name=Stage.REGISTER.value, **LEDGER)
def register(run: Execution) -> None:
    """Lint the manifest once more and fix its digest."""
    done(run, register_manifest(wiring.ports().ledger, run))


@task(name=Stage.APPROVE.value, **LEDGER)
def approve(run: Execution) -> Waiting | None:
    """Ask for approval of the digest."""
    ports = wiring.ports()
    result = asking.ask_approval(ports.ledger, ports.clock, run)
    if isinstance(result, Gate):  # what was approved has been shown
        artifacts.kit(ports, run)
    return settled_or_waiting(run, result)


@task(name=Stage.GONG_ADMIN.value, **LEDGER)
def gong_admin(run: Execution) -> Waiting | None:
    """Ask Gong's admin to create the integration and to hand in its pair."""
    ports = wiring.ports()
    return settled_or_waiting(run, asking.ask_gong_admin(ports.ledger, ports.clock, run))


@task(name=Stage.FETCH_SECRET.value, **VENDOR)
def fetch_secret(run: Execution) -> None:
    """Check the handed-in pair and mark it pending in Vault."""
    done(run, _safekeeping().fetch(run))


@task(name=Stage.STORE_SECRET.value, **VENDOR)
def store_secret(run: Execution) -> None:
    """Make the pair current in Vault by check-and-set."""
    done(run, _safekeeping().store(run))


@task(name=Stage.CREATE_PROFILE.value, **VENDOR)
def create_profile(run: Execution) -> Waiting | None:
    """Have the StackOne profile made, by API or by a person's hands, and read it back."""
    ports = wiring.ports()
    making = Provisioning(ports.ledger, ports.secrets, ports.hub, ports.writers, ports.clock)
    return settled_or_waiting(run, waiting.patiently(lambda: making.create(run), ports.clock, ports.settings.waiting))


@task(name=Stage.LINK_ACCOUNT.value, **VENDOR)
def link_account(run: Execution) -> Waiting | None:
    """Wait for the consent by an auth link."""
    ports = wiring.ports()
    linking = Linking(ports.ledger, ports.hub, ports.clock)
    return settled_or_waiting(run, waiting.patiently(lambda: linking.link(run), ports.clock, ports.settings.waiting))


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
    events.verdict(run, verdict)
    return execution.summary(run, verdict)


def _safekeeping() -> Safekeeping:
    ports = wiring.ports()
    return Safekeeping(ports.ledger, ports.secrets, ports.gong)
