"""The processes of a worker: which run each executes, and how one is brought to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

from keyturn.worker.forked import Forked
from keyturn.worker.intent import Intent, Intents
from keyturn.worker.servers import Servers

_DEAD_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Execution:
    """One process of one run. A run may have two for a moment: the older has suspended it, and is about to go.

    Attributes:
        began: how often the run had been running before; Prefect counts it up when the process reports Running.
        place_before: where Prefect had noted it before, which stays there until the worker's note of `place` arrives.
    """

    run: UUID
    began: int
    process: Forked
    place_before: str | None = None

    @property
    def place(self) -> str:
        """`host:pid`, as Prefect is told where the run is: pids of two machines may be the same."""
        return f"{socket.gethostname()}:{self.process.pid}"

    def is_its(self, now: FlowRun) -> bool:
        """Whether the run, as it is now, is still this execution's to be blamed for.

        It is not once it waits for somebody or something, has ended, or has been taken up by a newer process. Which
        one it was is told by the count, and by the place that Prefect noted.
        """
        state = now.state
        if state is None or state.is_paused() or state.is_scheduled() or state.is_final():
            return False
        if now.run_count == self.began:
            return True
        if state.is_pending():
            return False
        noted = now.infrastructure_pid
        return noted == self.place or (now.run_count == self.began + 1 and noted == self.place_before)


class Running:
    """All executions that have not ended."""

    def __init__(self, servers: Servers, intents: Intents) -> None:
        self._servers = servers
        self._intents = intents
        self._all: dict[str, Execution] = {}
        self._stopping: dict[str, asyncio.Future[None]] = {}

    def __iter__(self) -> Iterator[Execution]:
        """Oldest first."""
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def of(self, run: UUID) -> list[Execution]:
        """The executions of a run, oldest first."""
        return [execution for execution in self if execution.run == run]

    def add(self, execution: Execution) -> None:
        """Note an execution that has just begun."""
        self._all[execution.process.id] = execution

    async def ended(self, execution: Execution) -> int | None:
        """Wait for the end of an execution; gives its exit code, `None` if nobody knows it."""
        name = execution.process.id
        try:
            code = await asyncio.shield(execution.process.end)
            return 0 if self._intents.is_concluded(name) else code
        finally:
            self._all.pop(name, None)
            self._stopping.pop(name, None)
            self._intents.forget(name)

    async def settle(self, within_s: float) -> None:
        """Give them time to end by themselves."""
        ends = [execution.process.end for execution in self]
        if ends:
            await asyncio.wait(ends, timeout=within_s)

    async def stop(self, execution: Execution, intent: Intent, grace_s: float) -> None:
        """Bring an execution to its end, gently if its process understands why, and wait until it is dead.

        It is stopped once: whoever asks while it is being stopped waits for that.
        """
        name = execution.process.id
        if name not in self._stopping:
            self._stopping[name] = asyncio.ensure_future(self._stopped(execution.process, intent, grace_s))
        await asyncio.shield(self._stopping[name])

    async def _stopped(self, process: Forked, intent: Intent, grace_s: float) -> None:
        understood = await self._intents.tell(process.id, intent)
        if understood or intent is Intent.CANCEL:
            await self._servers.signal(process, signal.SIGTERM)
            await asyncio.wait([process.end], timeout=grace_s)
        if not process.end.done():
            await self._servers.signal(process, signal.SIGKILL)
        await asyncio.wait([process.end], timeout=_DEAD_WITHIN_S)
        if not process.end.done():  # the fork server hangs, and neither kills nor tells
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await asyncio.wait([process.end], timeout=_DEAD_WITHIN_S)
        if not process.end.done():
            process.end.set_result(None)
