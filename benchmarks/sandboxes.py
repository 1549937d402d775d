"""A sandbox to measure on, and its people: at once, and in this process, so that no program has to start first."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
import psycopg
from prefect.settings import PREFECT_API_URL, temporary_settings
from ruamel.yaml import YAML

from keyturn import settings
from keyturn.console.api.desk import Desk
from keyturn.domain.attempt import AttemptState, Terms
from keyturn.domain.credential import Credential
from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.people import GongAdmin, Pair
from keyturn.sandbox.stack import Running, Stack
from keyturn.sandbox.twin_servers import TwinOptions
from keyturn.services.intake import Told
from keyturn.wiring import Ports, personal_vault, quiet_http

PATIENCE_S = 300.0
_LOOK_EVERY_S = 0.02
_ROUNDS_APART_S = 86_400  # of the watch: what is measured asks for a round itself
_DAY_AND_A_BIT, _WEEK = timedelta(hours=26), timedelta(days=7)
_OPEN = "SELECT count(*) FROM gates WHERE key = %s AND kind = %s AND state = 'open'"
_ENDED = "SELECT state FROM attempts WHERE key = %s AND ended_at IS NOT NULL AND started_at >= %s"


@dataclass
class Stopwatch:
    """Adds up the seconds that are somebody else's: what a person does on a vendor's page, and what just passes."""

    people_s: float = 0.0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Somebody else's turn."""
        began = time.perf_counter()
        yield
        self.people_s += time.perf_counter() - began


@dataclass
class Place:
    """A running sandbox.

    Attributes:
        looks: how often the ledger was looked at to see whose turn it is: not keyturn's doing.
    """

    running: Running
    ports: Ports
    manifests: Path
    looks: int = 0
    watch: Stopwatch = field(default_factory=Stopwatch)

    @cached_property
    def desks(self) -> Mapping[str, Desk]:
        """Where the sandbox's people sit."""
        return {name: self._desk(name) for name in ("alice", "bob", "grace")}

    @cached_property
    def gong(self) -> GongAdmin:
        """Gong's admin, with a browser."""
        return GongAdmin(self.running.twins.gong)

    def _desk(self, name: str) -> Desk:
        token = {"VAULT_TOKEN": self.running.openbao.login(name)}
        vault = personal_vault(self.ports.settings, token, Path("/nonexistent"))
        person = vault.whoami()
        return Desk(self.ports, lambda: person, lambda: vault)

    def integration(self, tenant: str) -> IntegrationKey:
        """A new integration with a manifest of its own, like the example."""
        yaml = YAML()
        body = yaml.load(asset("integrations") / "acme-production.yaml")
        body["tenant"] = tenant
        body["stackone"] |= {"origin_owner": {"id": tenant, "name": tenant}, "profile_name": f"Gong {tenant}"}
        yaml.dump(body, self.manifests / f"{tenant}.yaml")
        return IntegrationKey(tenant, "production")

    def onboarded(self, key: IntegrationKey) -> str:
        """Onboard it from its manifest to its verdict; gives its id in Gong's Admin center."""
        began = self.ports.clock.now()
        self.desks["alice"].onboard(str(key))
        self._approve(key)
        self.wait_for(key, GateKind.GONG_ADMIN)
        with self.watch.stopped():
            steps = self.desks["grace"].plan(str(key)).model_dump()["kit"]["steps"]
            pair = self.gong.create_integration(steps)
        self._hand_in(key, pair)
        self.wait_for(key, GateKind.CONSENT)
        link = self.desks["grace"].link(key).url
        with self.watch.stopped():
            self.gong.consent(link)
        self._ended(key, began)
        return pair.integration

    def rotated(self, key: IntegrationKey, integration: str) -> None:
        """Turn its secret, from the question to the older secret's end."""
        began = self.ports.clock.now()
        self.desks["alice"].rotate(key, Terms())
        self._approve(key)
        self.wait_for(key, GateKind.GONG_ROTATION)
        with self.watch.stopped():
            pair = self.gong.rotate_secret(integration, 168)
        self._hand_in(key, pair)
        self.wait_for(key, GateKind.PROOF)
        self.running.advance(_DAY_AND_A_BIT)
        self.wait_for(key, GateKind.GRACE)
        self.running.advance(_WEEK)
        self._ended(key, began)

    def _approve(self, key: IntegrationKey) -> None:
        self.wait_for(key, GateKind.APPROVE)
        gate = next(g for g in self.ports.ledger.gates(key=key) if g.kind is GateKind.APPROVE)
        self.desks["bob"].approve(key, gate.digest, "")

    def _hand_in(self, key: IntegrationKey, pair: Pair) -> None:
        self.desks["grace"].submit(key, Credential(pair.client_id, pair.client_secret), Told())

    def wait_for(self, key: IntegrationKey, kind: GateKind) -> None:
        """Wait until a gate of that kind is open."""
        self._until(lambda: self._one(_OPEN, str(key), kind.value), f"{key} asks for {kind}")

    def _ended(self, key: IntegrationKey, began: object) -> None:
        state = self._until(lambda: self._one(_ENDED, str(key), began), f"{key} ends")
        if state != AttemptState.COMPLETED.value:
            raise RuntimeError(f"{key} was to complete, and is {state}")

    def _until(self, holds: Callable[[], Any], what: str) -> Any:  # noqa: ANN401  whatever it was
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {PATIENCE_S:.0f} s: {what}; see {self.running.logs}")
            time.sleep(_LOOK_EVERY_S)
        return found

    def _one(self, query: str, *values: object) -> Any:  # noqa: ANN401  whatever is there
        self.looks += 1
        row = self._eye.execute(query, values).fetchone()
        return row[0] if row else None

    @cached_property
    def _eye(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.running.postgres.ledger_url, autocommit=True)

    def settle(self) -> None:
        """Wait until no run is under way, so that its last work is not counted to what comes next."""
        busy = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}
        url = f"{self.running.prefect.api_url}/flow_runs/count"
        self._until(lambda: not httpx.post(url, json=busy, trust_env=False).raise_for_status().json(), "all runs end")

    def cpu_s(self) -> float:
        """Seconds of processor time of this process and of the sandbox's, those included that have ended."""
        return sum(_cpu_s(process) for process in self.processes()) + time.process_time()

    def processes(self) -> list[psutil.Process]:
        """All processes of the sandbox."""
        leaders = list(psutil.Process().children(recursive=False))
        return [one for leader in leaders for one in (leader, *leader.children(recursive=True))]

    def watch_seldom(self) -> None:
        """Plan the rounds of the watch so far apart that none falls into what is measured."""
        api = self.running.prefect.api_url
        with httpx.Client(base_url=api, trust_env=False, timeout=30) as http:
            watch = http.get("/deployments/name/watch/watch").raise_for_status().json()
            for planned in watch["schedules"]:
                change = {"schedule": planned["schedule"] | {"interval": _ROUNDS_APART_S}}
                path = f"/deployments/{watch['id']}/schedules/{planned['id']}"
                http.patch(path, json=change).raise_for_status()

    def close(self) -> None:
        """Let go of the servers."""
        if "_eye" in self.__dict__:
            self._eye.close()
        if "gong" in self.__dict__:
            self.gong.close()
        self.ports.ledger.close()


@contextmanager
def sandbox(*, console: bool = False, **twins: Mapping[str, str]) -> Iterator[Place]:
    """Bring a sandbox up in a folder of its own, which is gone afterwards.

    Args:
        console: whether it has the console, too.
        twins: switches of the twins, by `gong` and `stackone`.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))  # a short path, for the socket
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    manifests = folder / "integrations"
    shutil.copytree(asset("integrations"), manifests)
    quiet_http()
    waits = {"KEYTURN_MANIFESTS": str(manifests)}
    stack = Stack(folder / "state", migrate.upgrade, TwinOptions(**twins), settings=waits, console=console)
    try:
        with stack.up() as running, _prefect_at(running.prefect.api_url):
            place = Place(running, Ports(settings.load(dict(running.environment))), manifests)
            place.watch_seldom()
            place.settle()
            yield place
            place.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _prefect_at(url: str) -> Iterator[None]:
    """Both ways, since Prefect reads the environment once, when it is first imported."""
    before = os.environ.get("PREFECT_API_URL")
    os.environ["PREFECT_API_URL"] = url
    try:
        with temporary_settings({PREFECT_API_URL: url}):
            yield
    finally:
        del os.environ["PREFECT_API_URL"]
        if before is not None:
            os.environ["PREFECT_API_URL"] = before


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # its parent has it among its children's
    return float(times.user + times.system + times.children_user + times.children_system)
