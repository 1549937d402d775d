"""The beginning and the end of one run of the flow body."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from keyturn.domain.attempt import AttemptKind, Execution, Terms
from keyturn.domain.gate import Channel, GateState
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.verdict import Verdict
from keyturn.errors import NotPermittedError, RefusedError, StageFailedError
from keyturn.ports import Ledger
from keyturn.services.rotation.asking import applied_manifest


def begin(
    ledger: Ledger,
    key: str,
    attempt: str | None,
    flow_run_id: UUID | None,
    kind: AttemptKind = AttemptKind.ONBOARDING,
) -> Execution:
    """Take the next number of an attempt.

    Without an attempt (a run started from Prefect's own pages) the integration's registered manifest is used, and the
    requester is unknown: then one more approval is needed, so that somebody else than the requester approved.

    Raises:
        RefusedError: the integration is not registered, or the attempt has ended.
    """
    if attempt is None:
        name = IntegrationKey.parse(key)
        # The run may have begun before and been resumed: it stays with its attempt, and opens none when that has ended.
        mine = (a.id for a in ledger.attempts(name) if flow_run_id and a.flow_run_id == flow_run_id)
        return ledger.begin_execution(next(mine, None) or _opened(ledger, name, kind), flow_run_id)
    attempt_id = _attempt_of(ledger, key, attempt, kind)
    return ledger.begin_execution(attempt_id, flow_run_id)


def record_form(ledger: Ledger, execution: Execution, gate_id: UUID, *, approved: bool, name: str, note: str) -> None:
    """Close a gate by what was entered in Prefect's form.

    Prefect has one shared login, so the name is what somebody typed; the audit trail says exactly that.

    Raises:
        NotPermittedError: the gate's policy does not let Prefect's form count.
    """
    gate = next((g for g in ledger.gates(key=execution.key) if g.id == gate_id), None)
    if gate is None:
        return
    if gate.channel is not Channel.PREFECT:
        raise NotPermittedError(
            str(execution.key), "Prefect's form does not count at this gate", "Use `keyturn approve`."
        )
    state = GateState.APPROVED if approved else GateState.REJECTED
    detail: Mapping[str, object] = {"channel": "prefect", "name_as_typed": name, "note": note, "approved": approved}
    with ledger.exclusive(execution) as work:
        work.audit("gate.decided_by_form", detail)
        work.close_gate(gate_id, state, note or f"by Prefect's form, as {name}", {"channel": "prefect", "name": name})


def summary(execution: Execution, verdict: Verdict) -> str:
    """One line that says what was proven and what was not.

    Raises:
        StageFailedError: a layer failed.
    """
    line = ", ".join(f"{r.layer} {r.status}" for r in verdict.layers)
    if verdict.failed:
        first = verdict.failed[0]
        raise StageFailedError(str(execution.key), f"{line}; {first.layer}: {first.evidence}", first.remedy)
    return line


def _opened(ledger: Ledger, key: IntegrationKey, kind: AttemptKind) -> UUID:
    if kind is AttemptKind.ROTATION:
        return ledger.open_rotation(applied_manifest(ledger, key), None, Terms()).attempt.id
    sealed = ledger.registered(key)
    if sealed is None:
        raise RefusedError(str(key), "no manifest is registered", "Run `keyturn onboard` with its manifest first.")
    return ledger.open_attempt(sealed, None).attempt.id


def _attempt_of(ledger: Ledger, key: str, attempt: str, kind: AttemptKind) -> UUID:
    """Look before a number is taken: with somebody else's number taken, somebody else's run would stop."""
    remedy = "Start the run with `keyturn onboard`."
    try:
        known = ledger.attempt(UUID(attempt))
    except ValueError:
        raise RefusedError(key, f"{attempt!r} is not the id of an attempt", remedy) from None
    if str(known.key) != key:
        raise RefusedError(key, f"attempt {attempt} is about {known.key}", remedy)
    if known.kind is not kind:
        raise RefusedError(key, f"attempt {attempt} is for {known.kind}, not for {kind}", remedy)
    return known.id
