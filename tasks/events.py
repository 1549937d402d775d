"""Custom events in Prefect for each transition, so that users' own automations can react. Never a secret.

`keyturn.<what>`, about the resource `keyturn.integration.<tenant>.<environment>`.
"""

from __future__ import annotations

from prefect.events import emit_event

from keyturn.domain.attempt import Execution, Receipt
from keyturn.domain.gate import Gate
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.verdict import Verdict


def stage(run: Execution, receipt: Receipt) -> None:
    """A stage has its receipt."""
    _emit(f"stage.{receipt.stage}", run.key, attempt=str(run.attempt_id), at=receipt.at.isoformat())


def gate(run: Execution, opened: Gate) -> None:
    """A run waits at a gate."""
    _emit(f"gate.{opened.kind}", run.key, attempt=str(run.attempt_id), gate=str(opened.id), state=opened.state.value)


def verdict(run: Execution, result: Verdict) -> None:
    """A connection was examined."""
    layers = {r.layer.value: r.status.value for r in result.layers}
    _emit("verdict.proven" if result.proven else "verdict.open", run.key, attempt=str(run.attempt_id), **layers)


def rotation(key: IntegrationKey, what: str, attempt: str) -> None:
    """A rotation was rolled back or orphaned, or is done."""
    _emit(f"rotation.{what}", key, attempt=attempt)


def drift(key: IntegrationKey, cause: str, *, raised: bool) -> None:
    """The watch raised or cleared a cause."""
    _emit("drift.raised" if raised else "drift.cleared", key, cause=cause)


def _emit(what: str, key: IntegrationKey, **payload: str) -> None:
    resource = {
        "prefect.resource.id": f"keyturn.integration.{key.tenant}.{key.environment}",
        "prefect.resource.name": str(key),
    }
    emit_event(f"keyturn.{what}", resource, payload=dict(payload))
