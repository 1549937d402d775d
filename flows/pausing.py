"""How a flow waits for people: it suspends, and gives its worker back."""

from __future__ import annotations

from collections.abc import Callable

from prefect.flow_runs import asuspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from keyturn.domain.attempt import Execution
from tasks.waiting import Waiting, answer_by_form, catch_up


class ApprovalForm(RunInput):
    """The form in Prefect's UI, for `approval.channel: prefect`. Prefect keeps in clear what is entered."""

    approved: bool = Field(description="Do you approve the kit shown in this run's artifacts?")
    your_name: str = Field(description="Who you are; Prefect cannot check it.", min_length=1, max_length=100)
    note: str = Field(default="", description="Why, for the audit trail.", max_length=500)


async def settled(stage: Callable[[Execution], Waiting | None], run: Execution) -> None:
    """Run a stage, and suspend as long as the ledger says that its gate is open.

    The ledger is asked before every suspension, so Resume pressed in Prefect's own pages leads to another suspension
    under a fresh key (the execution's number is part of it), and not past the gate.
    """
    while waiting := stage(run):
        if waiting.by_form:
            form = await asuspend_flow_run(wait_for_input=ApprovalForm, key=waiting.gate, timeout=None)
            answer_by_form(run, waiting.gate, approved=form.approved, name=form.your_name, note=form.note)
        else:
            await _suspended(waiting.gate, run)


async def _suspended(gate: str, run: Execution) -> None:
    try:
        await asuspend_flow_run(key=f"{gate}-{run.fence}", timeout=None)
    finally:
        catch_up(gate)
