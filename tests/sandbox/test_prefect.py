"""A real Prefect: server, pool, deployments and worker, on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from keyturn.clients.orchestrator import PrefectRuns
from keyturn.ports import LogLine
from keyturn.sandbox.assets import asset
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.postgres import start_postgres
from keyturn.sandbox.prefect import PrefectServer, create_pool, deploy, run_now, start_server, start_worker
from keyturn.sandbox.processes import Child, Children

Eventually = Callable[[Callable[[], bool]], bool]
TRIAL = Path(__file__).with_name("trial_flows")


@dataclass
class Up:
    """A running Prefect, and an HTTP client for it."""

    children: Children
    server: PrefectServer
    worker: Child
    api: httpx.Client
    prefect_yaml: Path

    def state_of(self, run_id: str) -> str:
        """The state of a run, e.g. `COMPLETED`."""
        return str(self.api.get(f"/flow_runs/{run_id}").json()["state_type"])

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment, by `flow/deployment`."""
        found: dict[str, Any] = self.api.get(f"/deployments/name/{name}").raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, with the trial flows in place of keyturn's and a shell full of variables that do not belong here."""
    state = tmp_path_factory.mktemp("prefect")
    prefect_yaml = state / "prefect.yaml"
    prefect_yaml.write_text(re.sub(r"flows\.[a-z]+\.", "trial_journey.", asset("prefect.yaml").read_text()))
    with pytest.MonkeyPatch.context() as shell, Children(state) as children:
        shell.setenv("PYTHONPATH", str(TRIAL))
        for leaked in ("PREFECT_API_KEY", "PREFECT_RESULTS_PERSIST_BY_DEFAULT", "KEYTURN_VAULT__TOKEN", "LEAKED"):
            shell.setenv(leaked, "true")
        server = start_server(children, start_postgres(children).prefect_url, free_port())
        create_pool(server)
        deploy(children, server, prefect_yaml)
        worker = start_worker(children, server, {"KEYTURN_GIVEN": "yes"})
        with httpx.Client(base_url=server.api_url, timeout=30, trust_env=False) as api:
            yield Up(children, server, worker, api, prefect_yaml)


def test_a_run_suspends_resumes_and_completes(up: Up, eventually: Eventually) -> None:
    """The worker runs a deployed flow by its module path; httpx's lines stay out of the logs, and no result is kept."""
    deployment = up.deployment("onboard/onboard")
    made = up.api.post(f"/deployments/{deployment['id']}/create_flow_run", json={"state": {"type": "SCHEDULED"}}).json()
    assert eventually(lambda: up.state_of(made["id"]) == "PAUSED"), up.worker.log.read_text()
    assert up.api.post(f"/flow_runs/{made['id']}/resume").json()["status"] == "ACCEPT"
    assert eventually(lambda: up.state_of(made["id"]) == "COMPLETED"), up.worker.log.read_text()
    log = up.worker.log.read_text()
    assert "seen-in-a-log" not in log
    assert not (up.children.state / "prefect" / "storage").exists()
    saw = next(line for line in log.splitlines() if line.startswith("saw ")).split()
    assert [name for name in saw if name.startswith("KEYTURN_")] == ["KEYTURN_GIVEN", "KEYTURN_WORKER__GRACE_S"]
    assert {"PREFECT_API_KEY", "LEAKED"}.isdisjoint(saw)


def test_a_run_asked_for_is_not_cancelled_because_one_is_under_way(up: Up, eventually: Eventually) -> None:
    """Only one watch may run at a time, so asking waits for the one that does to end."""
    first = run_now(up.api, up.server.api_url, "watch/watch")
    assert eventually(lambda: up.state_of(first) in ("PENDING", "RUNNING"))
    second = run_now(up.api, up.server.api_url, "watch/watch")
    assert up.state_of(first) == "COMPLETED"
    assert eventually(lambda: up.state_of(second) == "COMPLETED"), up.state_of(second)


def test_deployments_come_from_prefect_yaml(up: Up) -> None:
    """Both are there: module path, no pull steps, tags, the pool, and for the watch a minute's interval."""
    onboard, watch = up.deployment("onboard/onboard"), up.deployment("watch/watch")
    assert onboard["entrypoint"] == "trial_journey.onboard"
    assert (onboard["pull_steps"] or []) == []
    assert onboard["tags"] == watch["tags"] == ["keyturn"]
    assert onboard["work_pool_name"] == "keyturn"
    assert onboard["schedules"] == []
    assert [s["schedule"]["interval"] for s in watch["schedules"]] == [60.0]


def test_another_site_cannot_use_the_server_from_a_browser(up: Up) -> None:
    """Only the server's own pages may call it across origins."""
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in up.api.options("/flow_runs/filter", headers=asked).headers
    own = up.api.options("/flow_runs/filter", headers=asked | {"Origin": up.server.url})
    assert own.headers["access-control-allow-origin"] == up.server.url


def test_the_newest_lines_of_a_runs_log_are_read(up: Up) -> None:
    """At most as many as asked for, oldest first, with level and time; none of another run, or of one not known."""
    deployment = up.deployment("onboard/onboard")["id"]
    body = {"state": {"type": "SCHEDULED", "state_details": {"scheduled_time": "2999-01-01T00:00:00Z"}}}
    mine, other = (up.api.post(f"/deployments/{deployment}/create_flow_run", json=body).json()["id"] for _ in range(2))
    lines = [
        {"name": "test", "level": level, "message": text, "timestamp": f"2026-03-02T09:00:0{n}Z", "flow_run_id": run}
        for n, (level, text, run) in enumerate(
            [(20, "first", mine), (20, "second", mine), (40, "third", mine), (20, "not mine", other)]
        )
    ]
    up.api.post("/logs/", json=lines).raise_for_status()
    with temporary_settings({PREFECT_API_URL: up.server.api_url}):
        runs = PrefectRuns()
        assert runs.log(UUID(mine), 2) == [
            LogLine(datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC), "INFO", "second"),
            LogLine(datetime(2026, 3, 2, 9, 0, 2, tzinfo=UTC), "ERROR", "third"),
        ]
        assert [line.text for line in runs.log(UUID(mine), 200)] == ["first", "second", "third"]
        assert runs.log(uuid4(), 200) == []


def test_pages_are_there(up: Up) -> None:
    """People can look at Prefect's own pages, which ask the right server."""
    assert "<html" in httpx.get(up.server.url, follow_redirects=True, trust_env=False).text
    assert up.api.get(f"{up.server.url}/ui-settings").json()["api_url"] == up.server.api_url


def test_a_killed_worker_can_be_replaced(up: Up) -> None:
    """After `kill -9` of the worker, another one is there once it has asked for work."""
    up.worker.process.kill()
    up.worker.process.wait()
    assert up.worker in up.children.ended()
    up.children.stop(up.worker)
    assert start_worker(up.children, up.server, {}).alive
