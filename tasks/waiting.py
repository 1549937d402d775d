"""What a task says of a stage: it is done, or it waits for people. And what a flow does around a suspension."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect import get_run_logger

from keyturn import wiring
from keyturn.domain.attempt import Execution, Receipt
from keyturn.domain.gate import Channel, Gate
from keyturn.errors import KeyturnError
from keyturn.services import decide, execution
from tasks import events


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gate that is still open, as a flow needs to know it."""

    gate: str
    by_form: bool


def settled_or_waiting(run: Execution, result: Receipt | Gate) -> Waiting | None:
    """Say what a stage came to; the gate if it waits."""
    if isinstance(result, Receipt):
        done(run, result)
        return None
    get_run_logger().info("%s waits for one of: %s", result.kind, ", ".join(result.groups) or "nobody")
    events.gate(run, result)
    return Waiting(str(result.id), by_form=result.channel is Channel.PREFECT)


def done(run: Execution, receipt: Receipt) -> None:
    """Say that a stage has its receipt."""
    get_run_logger().info("%s: receipt of %s", receipt.stage, receipt.at.isoformat(timespec="seconds"))
    events.stage(run, receipt)


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
