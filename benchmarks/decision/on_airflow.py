"""The same journey on Airflow: API server, scheduler with the local executor, triggerer and DAG processor."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Self

import httpx

from benchmarks.decision.journeys import Gate
from benchmarks.decision.peers import Peer
from benchmarks.peers.environments import HERE, python_of
from benchmarks.sandboxes import Place
from keyturn.sandbox.people import Pair
from keyturn.sandbox.ports import free_port
from keyturn.sandbox.processes import Child

_SERVERS = ("api-server", "scheduler", "dag-processor", "triggerer")
_STARTS_WITHIN_S = 180.0
_RUNS = "/api/v2/dags/journey/dagRuns"


class OnAirflow(Peer):
    """Implements `System`, with Airflow's own defaults but for addresses, keys and the executor."""

    name = "Airflow, human-in-the-loop operators"

    def __init__(self, place: Place, folder: Path, pair: Pair) -> None:
        super().__init__(place, folder, pair)
        self._program = str(python_of("airflow").with_name("airflow"))
        self._url = f"http://127.0.0.1:{free_port()}"
        self._http = httpx.Client(base_url=self._url, trust_env=False, timeout=60)
        self.database("airflow")
        self._told = self._configuration()
        self._servers: dict[str, Child] = {}

    def __enter__(self) -> Self:
        """Make the tables, start all servers, and wait until the journey can be begun."""
        migrate = self.command("airflow-migrate", [self._program, "db", "migrate"], self._told)
        self._place.running.children.run(migrate, _STARTS_WITHIN_S)
        for name in _SERVERS:
            self._start(name)
        self._servers["api-server"].wait_until(self._is_ready, _STARTS_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._servers.values()):
            self.ended(child)
        self._http.close()

    def begin(self, key: str) -> None:
        """Trigger a run."""
        body = {"dag_run_id": _run(key), "logical_date": None, "conf": {"key": key}}
        self._http.post(_RUNS, json=body).raise_for_status()

    def opened(self, key: str, gate: Gate) -> float | None:
        """When people could first answer: the API shows the question."""
        known = self._seen.get((key, f"open:{gate}"))
        if known is None and self._http.get(self._question(key, gate)).is_success:
            known = self._seen[key, f"open:{gate}"] = time.time()
        return known

    def say_yes(self, key: str, gate: Gate) -> None:
        """Respond, as the button in its pages does."""
        self._http.patch(self._question(key, gate), json={"chosen_options": ["Approve"]}).raise_for_status()

    def kill(self) -> None:
        """`kill -9` of the scheduler, whose processes execute tasks."""
        self.ended(self._servers.pop("scheduler"), killed=True)

    def start(self) -> None:
        """Start the scheduler."""
        self._start("scheduler")

    def _start(self, name: str) -> None:
        self._servers[name] = self.started(f"airflow-{name}", [self._program, name], self._told)

    def _question(self, key: str, gate: Gate) -> str:
        return f"{_RUNS}/{_run(key)}/taskInstances/{gate}/-1/hitlDetails"

    def _is_ready(self) -> bool:
        """Whether the API answers, the scheduler is well, and the journey is known."""
        try:
            token = self._http.get("/auth/token")
            self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            health = self._http.get("/api/v2/monitor/health").json()
            return health["scheduler"]["status"] == "healthy" and self._http.get("/api/v2/dags/journey").is_success
        except (httpx.TransportError, ValueError, KeyError):
            return False

    def _configuration(self) -> dict[str, str]:
        url = self._place.running.postgres.url
        set_ = {
            "CORE__DAGS_FOLDER": str(HERE / "airflow" / "dags"),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "CORE__FERNET_KEY": "",
            "API__PORT": self._url.rpartition(":")[2],
            "API__HOST": "127.0.0.1",
            "API__BASE_URL": self._url,
            "API__WORKERS": "1",
            "API__SECRET_KEY": secrets.token_hex(16),
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "DATABASE__SQL_ALCHEMY_CONN": url("airflow", "postgresql+psycopg2"),
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": url("airflow", "postgresql+asyncpg"),
            "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {"AIRFLOW_HOME": str(self._folder)} | {f"AIRFLOW__{name}": value for name, value in set_.items()}


def _run(key: str) -> str:
    return key.replace("/", "-")
