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


def approve(  # noqa: PLR0913  what the person has seen, and says
    ledger: Ledger,
    runs: Runs,
    person: Person,
    key: IntegrationKey,
    digest: str,
    note: str,
    *,
    gate_id: UUID | None = None,
) -> Decided:
    """Say yes to the digest that the person has seen, and to the gate that asked for it, if they say which.

    Two questions can be about one digest: a rotation's second click is approved on its own, and kills what is in use.

    Raises:
        RefusedError: the decision does not count, and why.
    """
    with ledger.deciding(key, GateKind.APPROVE) as at:
        refuse_other(at.gate, gate_id)
        gate = at.decide(person, approved=True, digest=digest, note=note, answer={})
    return Decided(gate, pass_on(ledger, runs, gate))


def reject(
    ledger: Ledger, runs: Runs, person: Person, key: IntegrationKey, reason: str, gate_id: UUID | None = None
) -> Decided:
    """Say no at the gate that was seen, or else at the newest open one that asks this person; the attempt ends.

    Raises:
        RefusedError: nothing is open, or the decision does not count.
    """
    gates = ledger.gates(key=key)
    if not gates:
        raise GateClosedError(str(key), "nothing is being asked about this integration", "See `keyturn status`.")
    seen = [g for g in gates if g.id == gate_id]
    asked = next((g for g in reversed(seen or gates) if person.groups & set(g.groups)), (seen or gates)[0])
    with ledger.deciding(key, asked.kind) as at:
        refuse_other(at.gate, gate_id or asked.id)
        gate = at.decide(person, approved=False, digest=at.gate.digest, note=reason, answer={})
    return Decided(gate, pass_on(ledger, runs, gate))


def refuse_other(gate: Gate, seen: UUID | None) -> None:
    """Check under the gate's lock that it is the one that a person has seen; `None` is whichever is open.

    Raises:
        GateClosedError: it is another one.
    """
    if seen not in (None, gate.id):
        raise GateClosedError(str(gate.key), "another question is asked by now", "Look at it, then answer it.")


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
