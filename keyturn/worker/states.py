"""What a worker says about runs: put back for another worker, or cancelled. By Prefect's public client."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled


async def look(client: PrefectClient, run: UUID) -> FlowRun | None:
    """The run as it is now; `None` when it was deleted."""
    try:
        return await client.read_flow_run(run)
    except ObjectNotFound:
        return None


async def put_back(client: PrefectClient, run: FlowRun) -> bool:
    """Let another worker take up a run whose process is known to be dead; `False` when there is nothing to take up."""
    state = run.state
    if state is None or not (state.is_running() or state.is_pending()):
        return False
    return await _set(client, run.id, AwaitingRetry(message="Handed back by a worker that is shutting down."))


async def cancelled(client: PrefectClient, run: FlowRun) -> bool:
    """Say that a run which was to be cancelled is; `False` when it has got another state by itself."""
    if run.state is None or not run.state.is_cancelling():
        return False
    return await _set(client, run.id, Cancelled(message="Flow run was cancelled successfully."))


async def _set(client: PrefectClient, run: UUID, state: State[None]) -> bool:
    answer = await client.set_flow_run_state(run, state)
    return answer.status is SetStateStatus.ACCEPT
