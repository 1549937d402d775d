"""A console with something to tell, and a real Prometheus that scrapes it by the configuration that is deployed."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from keyturn import settings
from keyturn.console.app import create_app
from keyturn.domain.attempt import AttemptState, Execution, Stage, Terms
from keyturn.domain.gate import GateKind, Policy
from keyturn.domain.gauges import CallOutcome
from keyturn.domain.health import Cause, Drift, Observation, Outcome, Subject
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.verdict import Layer
from keyturn.ledger.engine import make_engine
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.repository import PostgresLedger
from keyturn.ledger.tally import PostgresTally
from keyturn.sandbox.processes import Children, Command
from keyturn.wiring import Ports
from tests.console.serving import running, until
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRuns
from tests.services.fleet import FORM

DEPLOYED = Path(__file__).parents[2] / "deployments" / "prometheus"
TOKEN = "a-token-for-prometheus-alone"
MAKE_TEST = "is not installed here: run `make test`, which installs it."


@dataclass
class Prometheus:
    """A running Prometheus.

    Attributes:
        console: the address of the console that it scrapes.
    """

    origin: str
    console: str
    http: httpx.Client = field(repr=False)

    def api(self, path: str, **query: str) -> Any:
        """What its HTTP API says."""
        answer = self.http.get(f"{self.origin}/api/v1/{path}", params=query).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The samples of an expression now: labels and value."""
        return [(s["metric"], float(s["value"][1])) for s in self.api("query", query=expression)["result"]]

    def scraped(self) -> str:
        """What the console exposes."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return self.http.get(f"{self.console}/metrics", headers=headers).raise_for_status().text


def program(name: str) -> str:
    """Where a program is that the tests need; it is a failure if it is missing, for nothing would be tested then."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} {MAKE_TEST}")
    return found


def deployed(folder: Path, **changes: str) -> Path:
    """A copy of what is deployed with a token beside it, as somebody sets it up; the path of its configuration.

    Args:
        folder: where to.
        changes: `target` in place of the example's.
    """
    shutil.copytree(DEPLOYED, folder, dirs_exist_ok=True)
    (folder / "keyturn-metrics-token").write_text(TOKEN + "\n")
    file = folder / "prometheus.yml"
    if target := changes.get("target"):
        config = YAML(typ="safe").load(file.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0] |= {"scheme": "http", "static_configs": [{"targets": [target]}]}
        file.write_text(json.dumps(config))
    return file


@contextmanager
def monitored(url: str, folder: Path) -> Iterator[Prometheus]:
    """A console on a ledger with something in it, and Prometheus that has scraped it once."""
    fill(url)
    ports = Ports(settings.load({"KEYTURN_LEDGER__URL": url, "KEYTURN_CONSOLE__METRICS_TOKEN": TOKEN}))
    ports.runs = FakeRuns()
    with running(create_app(ports)) as console, Children(folder / "processes") as children, httpx.Client() as http:
        host = console.origin.removeprefix("http://")
        prometheus = Prometheus(f"http://127.0.0.1:{_start(children, folder, host)}", console.origin, http)
        until(lambda: prometheus.query("up == 1"), within_s=30)
        yield prometheus
    ports.ledger.close()


def _start(children: Children, folder: Path, target: str) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    config = deployed(folder / "deployed", target=target)
    argv = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    child = children.start(Command("prometheus", argv, {"PATH": os.environ["PATH"]}, folder))
    child.wait_until(lambda: _is_ready(port))
    return port


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success
    except httpx.TransportError:
        return False


# --- a ledger with something of everything that is counted


def fill(url: str) -> None:
    """An integration that waits for consent, and one that is in the grace of its rotation and not well."""
    engine, clock = make_engine(url), FakeClock()
    clock.time = datetime.now(UTC) - timedelta(days=2)
    ledger = PostgresLedger(engine, clock, 20.0)
    waits = ledger.begin_execution(ledger.open_attempt(_sealed("waits"), None).attempt.id, None)
    with ledger.exclusive(waits) as work:
        work.open_gate(GateKind.CONSENT, Policy(1, ("gong_admin",)), {}, clock.now() + timedelta(days=14))
    turns = _turned(ledger, clock, _sealed("turns"))
    observatory = PostgresObservatory(engine, clock, 20.0)
    drift = Drift(Cause.PROFILE_EDITED, "profile p1 was edited", "Ask who did it.")
    for _ in range(2):
        look = Observation(Subject.PROFILE, Outcome.BAD, "edited", clock.now(), Cause.PROFILE_EDITED, 12)
        observatory.observe(turns.key, [look], [drift], ())
    PostgresOutbox(engine, clock, 20.0).tell(Notice(Event.TEST, Severity.INFO, "", "test"))
    PostgresTally(lambda: engine, clock).count("gong", CallOutcome.REFUSED)
    engine.dispose()


def _sealed(tenant: str) -> SealedManifest:
    owner = {"origin_owner": {"id": f"{tenant}-1", "name": tenant}}
    manifest = {"tenant": tenant, "environment": "production", "gong": FORM, "stackone": owner}
    pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})


def _turned(ledger: PostgresLedger, clock: FakeClock, manifest: SealedManifest) -> Execution:
    run = ledger.begin_execution(ledger.open_attempt(manifest, None).attempt.id, None)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.STORE_SECRET, {"stored_as": "current"})
        clock.move(minutes=1)
        work.write_receipt(Stage.TEST_CONNECTION, {layer.value: {"status": "passed"} for layer in Layer})
    ledger.finish(run, AttemptState.COMPLETED, "")
    run = ledger.begin_execution(ledger.open_rotation(manifest, None, Terms()).attempt.id, None)
    with ledger.exclusive(run) as work:
        ends = (clock.now() + timedelta(days=7)).isoformat()
        work.write_receipt(Stage.GONG_ROTATION, {"grace_ends_earliest": ends})
    return run
