"""What a worker says about runs: put back for another worker, or cancelled. By Prefect's public client."""

from __future__ import annotations

import asyncio
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled

_KEPT_AFTER_S = (0.0, 0.05, 0.2, 0.75)


async def look(client: PrefectClient, run: UUID) -> FlowRun | None:
    """The run as it is now; `None` when it was deleted."""
    try:
        return await client.read_flow_run(run)
    except ObjectNotFound:
        return None


def to_be_cancelled(run: FlowRun | None) -> bool:
    """Whether no process of it may go on. Prefect calls it Cancelled before its process is gone, if that is new."""
    return run is not None and run.state is not None and (run.state.is_cancelling() or run.state.is_cancelled())


async def is_cancelling(client: PrefectClient, run: UUID) -> bool:
    """Whether it is to be cancelled; asked a few times, since an event may come before its state is kept."""
    for wait_s in _KEPT_AFTER_S:
        await asyncio.sleep(wait_s)
        now = await look(client, run)
        if now is None or to_be_cancelled(now):
            return now is not None
    return False


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
