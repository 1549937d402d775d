"""What a work pool of type `warm` can be told, and what a run is started with: as for Prefect's process pools."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.workers.base import BaseWorkerResult
from prefect.workers.process import ProcessJobConfiguration, ProcessVariables
from pydantic import PrivateAttr

from keyturn.worker.opening import GIVEN


class WarmConfiguration(ProcessJobConfiguration):
    """How to start the process of one run."""

    _own_command: str = PrivateAttr(default="")

    def prepare_for_flow_run(self, flow_run: FlowRun, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  Prefect's own
        """Fill in what depends on the run; a command counts only if the pool or the deployment names one."""
        self._own_command = self.command or ""
        super().prepare_for_flow_run(flow_run, *args, **kwargs)

    @property
    def own_command(self) -> str:
        """A program to start instead of forking a flow run; empty as a rule."""
        return self._own_command

    @property
    def variables(self) -> dict[str, str]:
        """All of the process's environment."""
        return GIVEN | {name: value for name, value in self.env.items() if value is not None}


class WarmVariables(ProcessVariables):
    """What pools and deployments may set."""


class WarmResult(BaseWorkerResult):
    """What became of the process of a run."""
