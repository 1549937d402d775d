"""A person decides at a gate; then, and only then, Prefect is asked to go on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from keyturn.domain.gate import Gate, GateKind, GateState, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import GateClosedError, KeyturnError
from keyturn.ports import Ledger, Runs


@dataclass(frozen=True, slots=True)
class Decided:
    """A recorded decision. `resumed` is false while Prefect has not taken the resume; the watch flow asks again."""

    gate: Gate
    resumed: bool


def approve(ledger: Ledger, runs: Runs, person: Person, key: IntegrationKey, digest: str, note: str) -> Decided:
    """Say yes to the digest that the person has seen.

    Raises:
        RefusedError: the decision does not count, and why.
    """
    with ledger.deciding(key, GateKind.APPROVE) as at:
        gate = at.decide(person, approved=True, digest=digest, note=note, answer={})
    return Decided(gate, pass_on(ledger, runs, gate))


def reject(
    ledger: Ledger, runs: Runs, person: Person, key: IntegrationKey, reason: str, gate_id: UUID | None = None
) -> Decided:
    """Say no at the gate that was seen, or else at the newest open one that asks this person; the attempt ends.

    Raises:
        RefusedError: nothing is open, or the decision does not count.
    """
    gates = [g for g in ledger.gates(key=key) if gate_id in (None, g.id)]
    if not gates:
        raise GateClosedError(str(key), "nothing is being asked about this integration", "See `keyturn status`.")
    asked = next((g for g in reversed(gates) if person.groups & set(g.groups)), gates[0])
    with ledger.deciding(key, asked.kind) as at:
        if at.gate.id != asked.id:
            raise GateClosedError(str(key), "the question was asked anew in the meantime", "Read it again.")
        gate = at.decide(person, approved=False, digest=at.gate.digest, note=reason, answer={})
    return Decided(gate, pass_on(ledger, runs, gate))


def pass_on(ledger: Ledger, runs: Runs, gate: Gate) -> bool:
    """Ask Prefect to resume after a gate closed.

    A resume that Prefect does not take now is owed, not lost: the flow looks once more after suspending, and the watch
    flow repeats it. The decision is in the ledger by now, so no failure here, not even a wrong setting of Prefect's on
    this person's machine, may look like a failure of the decision.
    """
    if gate.state is GateState.OPEN:
        return False
    with suppress(KeyturnError):
        run = ledger.attempt(gate.attempt_id).flow_run_id
        if run is not None and runs.resume(run):
            ledger.resumed(gate.id)
            return True
    return False
