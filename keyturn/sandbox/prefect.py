"""A Prefect of the sandbox's own: server and pages, a work pool, the deployments of `prefect.yaml`, and a worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import certifi
import httpx

from keyturn.errors import UnavailableError
from keyturn.sandbox.files import write_private
from keyturn.sandbox.processes import Child, Children, Command, environment
from keyturn.sandbox.readiness import wait_for_page

POOL = "keyturn"
WARM, STOCK = "warm", "process"  # types of work pools: this one line falls back to Prefect's own worker
WORKER_TYPE = WARM
_STARTS = {WARM: ["keyturn.worker"], STOCK: ["prefect", "--no-prompt", "worker", "start", "--type", STOCK]}
_TIMEOUT_S = 30.0
_RUN_ENDS_WITHIN_S = 20.0
_POLL_S = 0.1
_BRIEF_GRACE = {"KEYTURN_WORKER__GRACE_S": "2"}  # nobody at a sandbox wants to wait for runs when it is stopped
_UNDER_WAY = ["PENDING", "RUNNING", "CANCELLING"]


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A running server.

    Attributes:
        url: of its pages, for people; the API is below it.
    """

    child: Child
    url: str

    @property
    def api_url(self) -> str:
        """What PREFECT_API_URL has to be."""
        return f"{self.url}/api"


@dataclass(frozen=True, slots=True)
class One:
    """One of several workers.

    Attributes:
        name: its own, also of its log.
        limit: how many runs it executes at once.
    """

    name: str
    limit: int


def start_server(
    children: Children,
    database_url: str,
    port: int,
    name: str = "prefect-server",
    more: Mapping[str, str] | None = None,
) -> PrefectServer:
    """Start the server on its database (`postgresql+asyncpg://…`), whose tables it makes or brings up to date.

    uvicorn is started on Prefect's own application, as `prefect server start --background` does, which spares the
    seconds that Prefect's command line takes.

    Args:
        children: where it is kept.
        database_url: with asyncpg's driver.
        port: where it listens.
        name: of the process and its log.
        more: settings of Prefect's that one of several servers needs.

    Raises:
        UnavailableError: it does not come up.
    """
    url = server_url(port)
    home = children.state / "prefect"
    own = _server_settings(home, url, port, database_url) | dict(more or {})
    variables = prefect_environment(children.state, f"{url}/api") | own
    argv = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1",
            "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "1"]  # fmt: skip
    child = children.start(Command(name, argv, variables, home))
    wait_for_page(child, f"{url}/api/ready")
    return PrefectServer(child, url)


def server_url(port: int) -> str:
    """Address of a server's pages on this machine."""
    return f"http://127.0.0.1:{port}"


def create_pool(server: PrefectServer, kind: str = WORKER_TYPE) -> None:
    """Make the work pool, or bring its template up to date; its type stays, and workers of both types can use it.

    Args:
        server: where.
        kind: the type of its workers, `WARM` or `STOCK`.
    """
    with _api(server) as api:
        template = {"base_job_template": _job_template(kind)}
        made = api.post("/work_pools/", json={"name": POOL, "type": kind, **template})
        if made.status_code == httpx.codes.CONFLICT:
            made = api.patch(f"/work_pools/{POOL}", json=template)
    if made.is_error:
        raise UnavailableError("Prefect", f"answered {made.status_code} to the work pool", f"See {server.child.log}.")


def deploy(children: Children, server: PrefectServer, prefect_yaml: Path) -> None:
    """Deploy everything in a `prefect.yaml`, unattended.

    Raises:
        UnavailableError: the command failed; its log says why.
    """
    argv = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_yaml)]
    variables = prefect_environment(children.state, server.api_url)
    children.run(Command("prefect-deploy", argv, variables, children.state / "prefect"))


def start_worker(
    children: Children,
    server: PrefectServer,
    settings: Mapping[str, str],
    kind: str = WORKER_TYPE,
    one: One | None = None,
) -> Child:
    """Start a worker, and wait until it asks for work. The flows' processes inherit keyturn's `settings`.

    Args:
        children: where it is kept.
        server: whom it asks.
        settings: keyturn's own variables.
        kind: its type, `WARM` or `STOCK`; that of the pool.
        one: which one, where there are several.

    Raises:
        UnavailableError: it does not come up.
    """
    started = datetime.now(UTC)
    argv = [sys.executable, "-m", *_STARTS[kind], "--pool", POOL, "--name", one.name if one else "sandbox",
            "--install-policy", "never"]  # fmt: skip
    variables = prefect_environment(children.state, server.api_url) | _BRIEF_GRACE | dict(settings)
    argv += ["--limit", str(one.limit)] if one else []
    program, name = (one.name, one.name) if one else ("prefect-worker", "sandbox")
    worker = children.start(Command(program, argv, variables, children.state / "prefect", patience_s=20.0))
    with _api(server) as api:
        worker.wait_until(lambda: _has_polled(api, started, name))
    return worker


def run_now(client: httpx.Client, api_url: str, deployment: str) -> str:
    """Ask for a run of a deployment (`flow/name`), and give its id.

    First one that is under way is left to end: where only one may run, Prefect would cancel the new one.

    Raises:
        httpx.HTTPError: Prefect does not answer, or answers no.
    """
    found = client.get(f"{api_url}/deployments/name/{deployment}").raise_for_status().json()["id"]
    busy = {"deployments": {"id": {"any_": [found]}}, "flow_runs": {"state": {"type": {"any_": _UNDER_WAY}}}}
    deadline = time.monotonic() + _RUN_ENDS_WITHIN_S
    while client.post(f"{api_url}/flow_runs/count", json=busy).raise_for_status().json():
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_S)
    made = client.post(f"{api_url}/deployments/{found}/create_flow_run", json={"state": {"type": "SCHEDULED"}})
    return str(made.raise_for_status().json()["id"])


def suspended_run(client: httpx.Client, api_url: str, deployment: str, parameters: Mapping[str, str]) -> str:
    """Make a run of a deployment (`flow/name`) that is suspended from the start, and give its id.

    Whoever resumes it has it taken up by a worker, as one that has suspended itself.

    Raises:
        httpx.HTTPError: Prefect does not answer, or answers no.
    """
    found = client.get(f"{api_url}/deployments/name/{deployment}").raise_for_status().json()["id"]
    suspended = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}}
    name = f"{deployment.partition('/')[0]} {parameters['key']}"
    asked = {"name": name, "state": suspended, "parameters": parameters, "tags": ["keyturn", "example"]}
    made = client.post(f"{api_url}/deployments/{found}/create_flow_run", json=asked)
    return str(made.raise_for_status().json()["id"])


def prefect_environment(state: Path, api_url: str) -> dict[str, str]:
    """What every process that imports Prefect gets; of the parent's own PREFECT_ variables, nothing."""
    home = state / "prefect"
    return environment(
        home,
        PREFECT_HOME=str(home),
        PREFECT_API_URL=api_url,
        PREFECT_API_SSL_CERT_FILE=str(_one_authority(home)),
        PREFECT_SERVER_EPHEMERAL_ENABLED="false",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        PREFECT_CLI_COLORS="false",
        PREFECT_LOGGING_COLORS="false",
        PREFECT_LOGGING_ROOT_LEVEL="WARNING",  # httpx logs whole URLs at INFO
        PREFECT_RESULTS_PERSIST_BY_DEFAULT="false",
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED="false",  # the server has none; each client would ask for a token first
    )


def _one_authority(home: Path) -> Path:
    """A file with one certificate authority, which nothing is checked against: the server speaks plain HTTP.

    Prefect makes a TLS context for each of its clients all the same, and it has one for every task. To read all the
    authorities that people trust takes 30 ms each time.
    """
    file = home / "authority.pem"
    if not file.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----\n")
        write_private(file, first + end)
    return file


def _server_settings(home: Path, url: str, port: int, database_url: str) -> dict[str, str]:
    return {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "pages"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
        # Kept in memory, the lease of a round of the watch would be lost with the server, and its slot never be free.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT__SERVER_FINAL": "1",
    }


def _api(server: PrefectServer) -> httpx.Client:
    return httpx.Client(base_url=server.api_url, timeout=_TIMEOUT_S, trust_env=False)


def _has_polled(api: httpx.Client, since: datetime, name: str) -> bool:
    """Whether a worker has been heard of since then; Prefect remembers the workers of former days, too."""
    answer = api.post(f"/work_pools/{POOL}/workers/filter", json={})
    workers = answer.json() if answer.is_success else []
    heard = [worker["last_heartbeat_time"] for worker in workers if worker["name"] == name]
    return any(datetime.fromisoformat(time) >= since for time in heard if time)


def _job_template(kind: str) -> dict[str, Any]:
    """Prefect's own template for process pools, which the warm ones share. For Prefect's worker with the command.

    Without a command, Prefect 3.8 starts a supervisor that starts the run's process: a second interpreter for every
    run, in a session of its own, where stopping the worker's process group does not reach it. The warm worker forks
    as long as no command is given, and stops its runs itself.
    """
    variables: dict[str, dict[str, Any]] = {
        "env": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        "name": {"type": "string"},
        "stream_output": {"type": "boolean", "default": True},
        "working_dir": {"type": "string"},
        "command": {"type": "string"},
    }
    if kind == STOCK:
        variables["command"]["default"] = f"{sys.executable} -m prefect.engine"
    return {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in variables},
        "variables": {"type": "object", "properties": variables},
    }
