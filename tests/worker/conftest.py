"""A real Prefect on a real PostgreSQL with a warm worker, and flows to try it with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from keyturn.sandbox.ports import free_port
from keyturn.sandbox.postgres import start_postgres
from keyturn.sandbox.prefect import POOL, One, PrefectServer, create_pool, start_server, start_worker
from keyturn.sandbox.processes import Child, Children

TRIAL = Path(__file__).with_name("trial_flows")
FLOWS = ("look", "last", "end", "slow_to_go")
PATIENCE_S = 60.0
LIMIT = 4
# Nothing here comes from a poll: a run that starts within seconds was started because an event told of it.
SETTINGS = {"PREFECT_WORKER_QUERY_SECONDS": "600", "KEYTURN_WORKER__PRELOAD": "trial_runs", "KEYTURN_GIVEN": "yes"}


@dataclass
class Up:
    """A running Prefect, an HTTP client for it, and its workers."""

    children: Children
    server: PrefectServer
    api: httpx.Client
    folder: Path
    deployments: dict[str, str] = field(default_factory=dict)

    def worker(self, name: str, **more: str) -> Child:
        """Start a worker."""
        return start_worker(self.children, self.server, SETTINGS | more, one=One(name, LIMIT))

    def start(self, flow: str, **parameters: Any) -> str:
        """Ask for a run."""
        path = f"/deployments/{self.deployments[flow]}/create_flow_run"
        made = self.api.post(path, json={"state": {"type": "SCHEDULED"}, "parameters": parameters})
        return str(made.raise_for_status().json()["id"])

    def run(self, run: str) -> dict[str, Any]:
        """A run, as Prefect's API shows it."""
        found: dict[str, Any] = self.api.get(f"/flow_runs/{run}").raise_for_status().json()
        return found

    def states(self, run: str) -> list[str]:
        """The names of a run's states so far."""
        states = self.api.get("/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()
        return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]

    def process(self, run: str) -> psutil.Process:
        """The process of a run, once Prefect has been told of it and it is at work."""
        self.until(lambda: self.run(run)["state_name"] == "Running", f"{run} runs")
        place = self.until(lambda: self.run(run)["infrastructure_pid"], f"the process of {run} is known")
        return psutil.Process(int(place.rpartition(":")[2]))

    def ends(self, run: str, *names: str) -> None:
        """Wait until a run's state has one of these names."""
        self.until(lambda: self.run(run)["state_name"] in names, f"{run} is {' or '.join(names)}")

    def until(self, holds: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        """Poll until something is so, and give it."""
        deadline = time.monotonic() + within_s
        while not (found := holds()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:.0f} s: {what}; the logs end:\n{self.logged()[-3000:]}")
            time.sleep(0.05)  # between two looks
        return found

    def logged(self) -> str:
        """What the workers and their runs have printed, the newest worker last."""
        logs = [child.log for child in self.children if "--pool" in child.command.argv]
        return "".join(log.read_text(errors="replace") for log in logs)

    def file(self, name: str) -> Path:
        """A file for a run to write."""
        return self.folder / name

    def enough(self, file: Path) -> None:
        """Let the flow that leaves marks in a file end."""
        Path(f"{file}.enough").touch()

    def marks(self, file: Path) -> list[tuple[int, float]]:
        """What the flow `last` has written: the pid and the time of each mark."""
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]

    def looks(self, file: Path) -> dict[str, Any]:
        """What the flow `look` has written."""
        found: dict[str, Any] = json.loads(file.read_text())
        return found


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Server, pool and the trial flows' deployments; no worker yet."""
    state = tmp_path_factory.mktemp("warm")
    flows = state / "flows"  # a copy, which a test may change
    flows.mkdir()
    (flows / "trial_runs.py").write_text((TRIAL / "trial_runs.py").read_text())
    with pytest.MonkeyPatch.context() as shell, Children(state) as children:
        shell.setenv("PYTHONPATH", str(flows))
        server = start_server(children, start_postgres(children).prefect_url, free_port())
        create_pool(server)
        with httpx.Client(base_url=server.api_url, timeout=30, trust_env=False) as api:
            made = Up(children, server, api, state)
            made.deployments = {name: _deploy(api, name) for name in FLOWS}
            yield made


@pytest.fixture(scope="session")
def worker(up: Up) -> Child:
    """The worker of those tests that leave it alone."""
    return up.worker("first")


def _deploy(api: httpx.Client, name: str) -> str:
    flow = api.post("/flows/", json={"name": name}).raise_for_status().json()["id"]
    body = {"name": name, "flow_id": flow, "entrypoint": f"trial_runs.{name}", "work_pool_name": POOL}
    return str(api.post("/deployments/", json=body).raise_for_status().json()["id"])
