"""Where an integration stands, stage by stage, as the ledger knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from keyturn.domain.attempt import STAGES, Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage, stages_of
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.rotation import RotationState, state_of
from keyturn.ports import Ledger


class StepState(StrEnum):
    """How far a stage got. NEXT is the one the run is at; whether a run carries it now, Prefect knows."""

    DONE = "done"
    NEXT = "next"
    WAITING = "waiting"
    STOPPED = "stopped"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a journey.

    Attributes:
        at: when it was done, or since when it waits.
        says: what is worth knowing about it in one line.
    """

    stage: Stage
    state: StepState
    at: datetime | None
    says: str


@dataclass(frozen=True, slots=True)
class Journey:
    """An integration's newest attempt; `attempt` is `None` when there never was one."""

    key: IntegrationKey
    attempt: Attempt | None
    steps: tuple[Step, ...]
    gates: tuple[Gate, ...]

    @property
    def rotation(self) -> RotationState | None:
        """Where the rotation stands, if it is one."""
        if self.attempt is None or self.attempt.kind is not AttemptKind.ROTATION:
            return None
        done = {s.stage for s in self.steps if s.state is StepState.DONE}
        return state_of(self.attempt, done, {g.kind for g in self.gates})


def journey(ledger: Ledger, key: IntegrationKey) -> Journey:
    """The newest attempt of an integration with all its stages."""
    attempts = ledger.attempts(key)
    if not attempts:
        return Journey(key, None, tuple(Step(s, StepState.LATER, None, "") for s in STAGES), ())
    return journey_of(ledger, attempts[0])


def journey_of(ledger: Ledger, attempt: Attempt) -> Journey:
    """One attempt with all its stages, and what it asks now."""
    receipts = {r.stage: r for r in ledger.receipts(attempt.id)}
    gates = [g for g in ledger.gates(key=attempt.key) if g.attempt_id == attempt.id]
    return Journey(attempt.key, attempt, _steps(attempt, receipts, gates), tuple(gates))


def waits_for(gate: Gate, key: IntegrationKey) -> str:  # noqa: PLR0911  one a kind
    """Who must do what next, with the command for it."""
    who = f"one of {', '.join(gate.groups)}"
    match gate.kind:
        case GateKind.APPROVE:
            left = gate.needed - gate.approvals
            return f"{left} approval{'s' if left != 1 else ''} by {who}: keyturn approve {key}"
        case GateKind.GONG_ADMIN:
            return f"{who} to create the integration in Gong: keyturn submit {key}"
        case GateKind.STACKONE_FORM:
            return f"{who} to fill in StackOne's form: keyturn reveal {key}"
        case GateKind.CONSENT:
            last = gate.question.get("last")
            return f"{who} to consent: keyturn link {key}" + (f" (last link: {last})" if last else "")
        case GateKind.GONG_ROTATION:
            hours = gate.question.get("grace_hours")
            return f"{who} to rotate the secret in Gong (grace {hours} h) and hand it in: keyturn submit {key}"
        case GateKind.PROOF:
            last = gate.question.get("last")
            return f"a refresh, or {who} to make a new link: keyturn link {key}" + (f" ({last})" if last else "")
        case GateKind.GRACE:
            return f"the end of the older secret's grace: {gate.question.get('until')}"
        case _:
            assert_never(gate.kind)


_STAGE_OF_GATE = {
    GateKind.APPROVE: Stage.APPROVE,
    GateKind.GONG_ADMIN: Stage.GONG_ADMIN,
    GateKind.STACKONE_FORM: Stage.CREATE_PROFILE,
    GateKind.CONSENT: Stage.LINK_ACCOUNT,
    GateKind.GONG_ROTATION: Stage.GONG_ROTATION,
    GateKind.PROOF: Stage.VERIFY,
    GateKind.GRACE: Stage.RETIRE,
}


def stage_of(gate: Gate, attempt: Attempt) -> Stage:
    """The stage that waits at a gate."""
    if gate.question.get("second"):
        return Stage.GONG_ROTATION  # a second click is approved, too
    if gate.kind is GateKind.STACKONE_FORM and attempt.kind is AttemptKind.ROTATION:
        return Stage.APPLY
    return _STAGE_OF_GATE[gate.kind]


def _steps(attempt: Attempt, receipts: Mapping[Stage, Receipt], gates: Sequence[Gate]) -> tuple[Step, ...]:
    waiting = {stage_of(g, attempt): g for g in gates}
    steps: list[Step] = []
    met_open = False
    for stage in stages_of(attempt.kind):
        if receipt := receipts.get(stage):
            steps.append(Step(stage, StepState.DONE, receipt.at, _said(receipt)))
            continue
        gate = waiting.get(stage)
        if gate is not None:
            steps.append(Step(stage, StepState.WAITING, gate.opened_at, waits_for(gate, attempt.key)))
        else:
            steps.append(Step(stage, _state(attempt, first=not met_open), attempt.ended_at, ""))
        met_open = True
    return tuple(steps)


def _state(attempt: Attempt, *, first: bool) -> StepState:
    if not first:
        return StepState.LATER
    moves = attempt.state is AttemptState.ACTIVE and attempt.halt is Halt.NONE
    return StepState.NEXT if moves else StepState.STOPPED


def _said(receipt: Receipt) -> str:  # noqa: C901, PLR0911, PLR0912  one a stage
    """The part of a receipt that a person wants to see."""
    body = receipt.body
    match receipt.stage:
        case Stage.REGISTER:
            return f"digest {str(body['digest'])[:12]}"
        case Stage.APPROVE | Stage.GONG_ADMIN | Stage.GONG_ROTATION:
            by = body.get("by")
            return f"by {', '.join(map(str, by))}" if isinstance(by, list) and by else ""
        case Stage.FETCH_SECRET:
            return f"version {body['version']}, probe: {body['probe']}"
        case Stage.STORE_SECRET:
            return f"version {body['version']} is {body['stored_as']}"
        case Stage.CREATE_PROFILE:
            return f"{body['profile_id']} by {body['writer']}"
        case Stage.LINK_ACCOUNT:
            return f"account {body['account_id']}"
        case Stage.TEST_CONNECTION:
            return ", ".join(f"{k} {v['status']}" for k, v in sorted(body.items()) if isinstance(v, dict))
        case Stage.PREFLIGHT:
            return f"probe {body['probe_before']}, writer {body['writer']}, {body['channels']} channels"
        case Stage.STAGE_SECRET:
            dies_at = datetime.fromisoformat(str(body["grace_ends_at"]))
            return f"version {body['version']} is pending; the older one dies at {dies_at:%Y-%m-%d %H:%M} UTC"
        case Stage.PROBE_SECRET:
            return f"probe: {body['probe']}"
        case Stage.APPLY | Stage.ROLL_BACK:
            return f"version {body['version']} is in {body['profile_id']} by {body['writer']}"
        case Stage.VERIFY:
            return f"proven by a {body['by']} of account {body['account_id']}"
        case Stage.PROMOTE:
            return f"version {body['version']} is current"
        case Stage.RETIRE:
            return f"version {body['version']} is retired: {body['old']}"
        case _:
            assert_never(receipt.stage)
