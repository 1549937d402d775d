"""Tells a run's process why it is about to be stopped, as Prefect's own process worker does.

Without being told, a process that gets SIGTERM reports its run Crashed. The channel is Prefect's, from
`prefect.runner`, which has no public name for it: this is the one file that uses it. Runs are registered by the id of
their process, not of the run, since an older process of a run may still be at its end when a newer one begins.
"""

from __future__ import annotations

from enum import StrEnum
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.runner._control_channel import ControlChannel, ControlSignalStatus


class Intent(StrEnum):
    """What becomes of the run. After RESCHEDULE its state is the worker's to set, after CANCEL the process sets it."""

    CANCEL = "cancel"
    RESCHEDULE = "reschedule"


class Intents:
    """One channel for all processes of a worker; `async with`."""

    def __init__(self) -> None:
        self._channel = ControlChannel()

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.__aexit__(kind, value, trace)

    def expect(self, process: str) -> dict[str, str]:
        """The variables with which a process finds the channel; empty when this machine gives no port."""
        try:
            port, token = self._channel.register(UUID(process))
        except RuntimeError:
            return {}
        return {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}

    async def tell(self, process: str, intent: Intent) -> bool:
        """Whether the process has understood, and may now be stopped gently."""
        status = await self._channel.signal(UUID(process), intent.value)
        return status is ControlSignalStatus.ACKNOWLEDGED

    def is_concluded(self, process: str) -> bool:
        """Whether the process has said what became of its run, so that its exit code says nothing more."""
        return self._channel.get_conclusion(UUID(process)) is not None

    def forget(self, process: str) -> None:
        """The process has ended."""
        self._channel.unregister(UUID(process))
