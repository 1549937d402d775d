"""The worker type `warm`: `prefect worker start --pool keyturn --type warm`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from prefect.workers.base import BaseWorker

from keyturn.worker import states
from keyturn.worker.configuration import WarmConfiguration, WarmResult, WarmVariables
from keyturn.worker.intent import Intent, Intents
from keyturn.worker.own_settings import own_settings
from keyturn.worker.running import Execution, Running
from keyturn.worker.servers import Servers
from keyturn.worker.waking import Waking
from keyturn.worker.wire import Order

_UNKNOWN_END = 255
_CANCEL_GRACE_S = 30.0
_HAND_BACK_GRACE_S = 5.0
_TEARDOWN_WITHIN_S = 15.0
_FORKED_WITHIN_S = 1.0  # once there is a server that forks, however little grace there is


class WarmWorker(BaseWorker[WarmConfiguration, WarmVariables, WarmResult]):
    """Runs each flow run in a process forked from one that has everything imported.

    In all else it does as Prefect's process worker does, except that it is woken by events, and that it leaves no run
    Running when it is told to stop: short work may finish, the rest is handed back.
    """

    type = "warm"
    job_configuration = WarmConfiguration
    job_configuration_variables = WarmVariables
    _display_name = "Warm"
    _description = "Runs flows in processes forked from one that has everything imported."
    _documentation_url = "https://docs.prefect.io/v3/concepts/workers"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Prefect's own
        super().__init__(*args, **kwargs)
        self._told = own_settings()
        self._closing = False
        self._handed_back: set[Execution] = set()
        self._unsaid: set[UUID] = set()  # stopped in order to be cancelled, which Prefect may not know yet
        self._beginning: dict[UUID, asyncio.Future[Execution]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def setup(self) -> None:
        """Start the fork server, which imports while the worker signs on."""
        gc.freeze()
        gc.enable()  # who started this process may have spared its imports the search
        self._servers = Servers(self._told.preload.split(), self._logger)
        self._intents = await Intents().__aenter__()
        self._running = Running(self._servers, self._intents)
        self._waking = Waking(self._poll, self._cancel, self._logger)
        await self._servers.refresh()
        await super().setup()
        self._begin("ask", self._waking.ask_when_due())

    async def sync_with_backend(self) -> None:
        """Sign on with the server; from the first time on, follow its events."""
        await super().sync_with_backend()
        with contextlib.suppress(RuntimeError):  # no pool yet
            pool = self.work_pool.id
            if "listen" not in {task.get_name() for task in self._tasks}:
                self._begin("listen", self._waking.listen(pool))
        await self._cancel_unheard()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask for work and start it; also sees to it that the fork server is up to date."""
        if self._closing:
            return []
        with contextlib.suppress(OSError):  # no process to be had now: whoever forks says so, and tries again
            await self._servers.refresh()
        try:
            return await super().get_and_submit_flow_runs()
        except RuntimeError as error:
            if "borrower" not in str(error):
                raise
        await self._make_way()
        try:
            return await super().get_and_submit_flow_runs()
        except RuntimeError as error:
            if "borrower" not in str(error):
                raise
            return []  # its process has ended and is being judged; the end asks again

    async def run(
        self,
        flow_run: FlowRun,
        configuration: WarmConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> WarmResult:
        """Execute a run in a process of its own, to its end."""
        started = task_status or anyio.TASK_STATUS_IGNORED
        with _folder(configuration) as folder:
            execution = await self._started(flow_run, configuration, folder)
            if execution is None:
                started.started(0)  # there is no process
                return WarmResult(status_code=0, identifier="")
            started.started(execution.place)  # type: ignore[arg-type]  # Prefect makes a text of it
            code = await self._running.ended(execution)
        self._waking.now()  # a slot is free, or the run was resumed while its process was on its way out
        return WarmResult(status_code=await self._judged(execution, code), identifier=execution.place)

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: WarmConfiguration, grace_seconds: int = 30
    ) -> None:
        """End the process of a run that Prefect wants to have cancelled before it began."""
        del configuration
        found = [execution for execution in self._running if execution.place == infrastructure_pid]
        if not found:
            here = infrastructure_pid.startswith(f"{socket.gethostname()}:")
            problem = InfrastructureNotFound if here else InfrastructureNotAvailable
            raise problem(f"No process {infrastructure_pid} of this worker's.")
        await self._running.stop(found[0], Intent.CANCEL, grace_seconds)

    async def teardown(self, *exc_info: Any) -> None:  # noqa: ANN401, ARG002  Prefect's own
        """Take nothing more, let short work finish, hand the rest back, and only then go."""
        self._closing = True
        if self._beginning:  # a process that is being forked is not left alone with its run
            patience_s = min(max(self._told.grace_s, _FORKED_WITHIN_S), _TEARDOWN_WITHIN_S)
            await asyncio.wait(self._beginning.values(), timeout=patience_s)
        for late in list(self._beginning.values()):  # no server came up for it: whoever waits hands its run back
            late.cancel()
        await self._running.settle(self._told.grace_s)  # who wants to cancel is heard meanwhile
        await asyncio.gather(*(self._hand_back(execution) for execution in self._running))
        await asyncio.gather(*(self._say_cancelled(run) for run in self._unsaid), return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        with anyio.move_on_after(_TEARDOWN_WITHIN_S):
            await super().teardown(None, None, None)  # not with the interruption: what is left is Prefect's reports
        await self._intents.__aexit__(None, None, None)
        await self._servers.close()

    async def _started(self, flow_run: FlowRun, configuration: WarmConfiguration, folder: Path) -> Execution | None:
        """The run's process; `None` when the worker is closing, and the run was handed back."""
        if self._closing:
            await self._hand_back_unstarted(flow_run)
            return None
        name = str(uuid4())
        told = configuration.variables | self._intents.expect(name)
        order = Order(name, told, str(folder), configuration.stream_output, configuration.own_command)
        beginning = asyncio.ensure_future(self._forked(flow_run, order))
        self._beginning[flow_run.id] = beginning
        beginning.add_done_callback(lambda _: self._beginning.pop(flow_run.id, None))
        self._begin(f"look at {flow_run.id}", self._cancel_missed(flow_run.id))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            if not beginning.cancelled():  # it is this task that was
                beginning.cancel()
                raise
        await self._hand_back_unstarted(flow_run)
        return None

    async def _hand_back_unstarted(self, flow_run: FlowRun) -> None:
        await states.put_back(self.client, await self.client.read_flow_run(flow_run.id))

    async def _forked(self, flow_run: FlowRun, order: Order) -> Execution:
        process = await self._servers.fork(order)
        execution = Execution(flow_run.id, flow_run.run_count, process, flow_run.infrastructure_pid)
        self._running.add(execution)
        return execution

    async def _make_way(self) -> None:
        """With a limit: a run that may be started again needs the slot that its older process, at its end, still has.

        That process will give the slot back once more, so for a while there may be one run more than the limit.
        """
        for execution in self._running:
            now = await states.look(self.client, execution.run)
            if now is not None and now.state is not None and now.state.is_scheduled():
                with contextlib.suppress(RuntimeError):  # given back by now
                    self.limiter.release_on_behalf_of(execution.run)

    async def _judged(self, execution: Execution, code: int | None) -> int:
        """The exit code to be reported: one that is not 0 has Prefect say Crashed of the run, whoever has it by now."""
        if execution in self._handed_back:
            return 0
        if code == 0:
            self._unsaid.add(execution.run)  # one that was to be cancelled at its very end waits to be told of it
            self._begin(f"end of {execution.run}", self._say_cancelled(execution.run))
            return 0
        now = await states.look(self.client, execution.run)
        if now is None or self._running.of(execution.run) or not execution.is_its(now):
            self._logger.info("A process ended with code %s after its run had moved on: %s", code, execution.run)
            return 0
        if await states.cancelled(self.client, now):
            return 0
        return _UNKNOWN_END if code is None else code

    async def _hand_back(self, execution: Execution) -> None:
        self._handed_back.add(execution)
        await self._running.stop(execution, Intent.RESCHEDULE, _HAND_BACK_GRACE_S)
        try:
            now = await states.look(self.client, execution.run)
            if now is None or not execution.is_its(now) or await states.cancelled(self.client, now):
                return
            if await states.put_back(self.client, now):
                self._logger.info("Handed back: %s", execution.run)
        except Exception:  # whatever it is, the others are to be handed back all the same
            self._logger.exception("Not handed back, the watch will find it: %s", execution.run)

    async def _cancel(self, run: UUID) -> None:
        """End a run's processes, if it is to be cancelled: of events, old ones are told again."""
        try:
            beginning = self._beginning.get(run)
            if not (beginning or self._running.of(run)) or not await states.is_cancelling(self.client, run):
                return
            self._unsaid.add(run)
            if beginning:
                await self._say_cancelled(run)
                await asyncio.wait([beginning])  # a process that comes only now is stopped all the same
            for execution in self._running.of(run):
                await self._running.stop(execution, Intent.CANCEL, _CANCEL_GRACE_S)
            await self._say_cancelled(run)
        except Exception as error:  # noqa: BLE001  whatever it is, the next look at all runs tries again
            self._logger.warning("Not cancelled yet (%s): %s", type(error).__name__, run)

    async def _say_cancelled(self, run: UUID) -> None:
        now = await states.look(self.client, run)
        if now is not None:
            await states.cancelled(self.client, now)
        self._unsaid.discard(run)

    async def _cancel_unheard(self) -> None:
        """Look whether a run is to be cancelled whose event was not heard, or was and could not be told."""
        for run in [run for run in self._unsaid if not self._running.of(run)]:
            await self._say_cancelled(run)
        for execution in self._running:
            if states.to_be_cancelled(await states.look(self.client, execution.run)):
                self._begin(f"cancel {execution.run}", self._cancel(execution.run))

    async def _cancel_missed(self, run: UUID) -> None:
        """Heed a wish to cancel that was heard after the run was taken and before its process had begun."""
        if states.to_be_cancelled(await states.look(self.client, run)):
            await self._cancel(run)

    async def _poll(self) -> set[UUID]:
        return {run.id for run in await self.get_and_submit_flow_runs()}

    def _begin(self, name: str, work: Any) -> None:  # noqa: ANN401  any coroutine
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._logger.warning("Tried again at the next look (%s): %s", type(error).__name__, task.get_name())


def _folder(configuration: WarmConfiguration) -> contextlib.AbstractContextManager[Path]:
    """The folder that was asked for, or one that is there as long as the process."""
    if configuration.working_dir:
        return contextlib.nullcontext(configuration.working_dir.resolve())
    return _temporary()


@contextlib.contextmanager
def _temporary() -> Any:  # noqa: ANN401
    with tempfile.TemporaryDirectory(suffix="prefect", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()
