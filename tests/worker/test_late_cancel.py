"""A wish to cancel a run whose process has just ended well."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus

from keyturn.worker.forked import Forked
from keyturn.worker.intent import Intents
from keyturn.worker.running import Execution, Running
from keyturn.worker.servers import Servers
from keyturn.worker.warm import WarmWorker


class Server:
    """Knows one run, and takes every state; at first it may be away."""

    def __init__(self, kind: StateType, *, away: bool) -> None:
        self.run = FlowRun(id=uuid4(), flow_id=uuid4(), state=State(type=kind))
        self.away = away

    async def read_flow_run(self, run: UUID) -> FlowRun:
        """The run as it is."""
        assert run == self.run.id
        if self.away:
            self.away = False
            raise ConnectionError
        return self.run

    async def set_flow_run_state(self, run: UUID, state: State[Any]) -> Any:
        """Take a state."""
        assert run == self.run.id
        self.run.state = state
        return type("Answer", (), {"status": SetStateStatus.ACCEPT})


@pytest.mark.parametrize(
    ("kind", "away", "then"),
    [
        (StateType.CANCELLING, False, StateType.CANCELLED),
        (StateType.CANCELLING, True, StateType.CANCELLED),
        (StateType.COMPLETED, False, StateType.COMPLETED),
        (StateType.RUNNING, False, StateType.RUNNING),
    ],
)
def test_it_is_told_when_nobody_else_can(kind: StateType, away: bool, then: StateType) -> None:  # noqa: FBT001  a parameter
    """Prefect takes no Completed of a run that is Cancelling, and its event finds no process any more."""

    async def ended_well() -> StateType:
        worker, server = WarmWorker(work_pool_name="none"), Server(kind, away=away)
        worker._client = server  # type: ignore[assignment]  # all that is asked of it
        worker._running = Running(Servers([], worker._logger), Intents())
        process = Forked("1", 1, asyncio.get_running_loop().create_future())
        assert await worker._judged(Execution(server.run.id, 1, process), 0) == 0
        await asyncio.wait(worker._tasks)
        await worker._cancel_unheard()
        assert server.run.state
        return server.run.state.type

    assert asyncio.run(ended_well()) is then
