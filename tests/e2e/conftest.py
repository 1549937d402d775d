"""One sandbox for all end-to-end tests, its people, and what the tests need to look into it, stop it and harm it."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil  # type: ignore[import-untyped]  # ships no types
import psycopg
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from ruamel.yaml import YAML

from keyturn import settings
from keyturn.domain.attempt import Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.ledger import migrate
from keyturn.sandbox.assets import asset
from keyturn.sandbox.cluster.topology import Cluster
from keyturn.sandbox.people import GongAdmin, Pair, StackOneAdmin
from keyturn.sandbox.scene import Cast, CommandLine
from keyturn.sandbox.stack import Running, Stack
from keyturn.sandbox.twin_servers import TwinOptions
from keyturn.services.journey import Journey, StepState, journey
from keyturn.wiring import Ports, quiet_http
from tests import forked

PATIENCE_S = 300.0  # two sandboxes share a machine with whatever else runs there
_POLL_S = 0.2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The search for secrets comes after everything that could have spilled one."""
    items.sort(key=lambda item: item.path == Path(__file__).with_name("test_secrets.py"))
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.timeout(900))


@dataclass
class World:
    """A running sandbox with everything a test may want of it.

    Attributes:
        secrets: every client secret that Gong's twin has issued to our people.
        heard: everything that any command printed.
        arguments: command lines seen on this machine while the session ran.
    """

    running: Running
    ports: Ports
    manifests: Path
    environment: Mapping[str, str]
    secrets: set[str] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    arguments: set[str] = field(default_factory=set)

    def hands(self, name: str) -> CommandLine:
        """The command line of one of the sandbox's people."""
        return Heard({**self.environment, "VAULT_TOKEN": self.running.openbao.login(name)}, self.heard)

    @cached_property
    def cast(self) -> Cast:
        """Everybody."""
        gong = WatchedGongAdmin(self.running.twins.gong, self.secrets)
        alice, bob, grace = (self.hands(name) for name in ("alice", "bob", "grace"))
        return Cast(alice, bob, grace, gong, StackOneAdmin(self.running.twins.stackone))

    def integration(self, tenant: str, change: Callable[[dict[str, Any]], None] | None = None) -> IntegrationKey:
        """A new integration with a manifest of its own, like the example."""
        yaml = YAML()
        body = yaml.load(asset("integrations") / "acme-production.yaml")
        body["tenant"] = tenant
        body["stackone"] |= {"origin_owner": {"id": tenant, "name": tenant}, "profile_name": f"Gong {tenant}"}
        if change is not None:
            change(body)
        yaml.dump(body, self.manifests / f"{tenant}.yaml")
        return IntegrationKey(tenant, "production")

    def now(self, key: IntegrationKey) -> Journey:
        """The integration's journey."""
        return journey(self.ports.ledger, key)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Poll until something is so, and give it; the first thing that is not false or None."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            if time.monotonic() > deadline:
                logs = self.running.logs.glob("prefect-worker*.log")
                ends = "\n".join(log.read_text(errors="replace")[-3000:] for log in logs)
                pytest.fail(f"not within {PATIENCE_S:.0f} s: {what}; the workers' logs end:\n{ends}")
            time.sleep(_POLL_S)
        return found

    def gate(self, key: IntegrationKey, kind: GateKind) -> Gate:
        """The open gate of that kind, once it is there."""
        found: Gate = self.until(
            lambda: next((g for g in self.now(key).gates if g.kind is kind), None), f"{key} waits at {kind}"
        )
        return found

    def done(self, key: IntegrationKey, stage: Stage) -> None:
        """Wait for a stage's receipt."""
        self.until(
            lambda: any(s.stage is stage and s.state is StepState.DONE for s in self.now(key).steps), f"{key} {stage}"
        )

    def is_done(self, key: IntegrationKey, stage: Stage) -> bool:
        """Whether a stage has its receipt."""
        return any(s.stage is stage and s.state is StepState.DONE for s in self.now(key).steps)

    def watched_until(self, holds: Callable[[], Any], what: str) -> Any:
        """Poll until something is so, with one round of the watch after the other."""
        rounds = itertools.count()

        def looked() -> Any:
            if next(rounds) % 100 == 0:  # every twenty seconds or so
                self.ports.runs.ask_for_watch()
            return holds()

        return self.until(looked, what)

    def account_of(self, key: IntegrationKey) -> str:
        """The account that was linked in the onboarding."""
        receipts = (r for a in self.ports.ledger.attempts(key) for r in self.ports.ledger.receipts(a.id))
        return next(str(r.body["account_id"]) for r in receipts if r.stage is Stage.LINK_ACCOUNT)

    def client_id(self, key: IntegrationKey) -> str:
        """The Client ID in use."""
        current = self.ports.secrets.pointer(key).current
        assert current is not None
        return self.ports.secrets.read(current).client_id

    def versions(self, key: IntegrationKey) -> int:
        """How many versions of the pair Vault has ever kept."""
        with self.running.openbao.api() as api:
            return int(api.read(f"keyturn/metadata/{key}/client")["data"]["current_version"])

    def ended(self, key: IntegrationKey) -> Journey:
        """Wait for the attempt's end."""

        def over() -> Journey | None:
            now = self.now(key)
            return now if now.attempt and now.attempt.ended_at else None

        found: Journey = self.until(over, f"{key} ends")
        return found

    def suspended(self, key: IntegrationKey) -> UUID:
        """Wait until Prefect says that the run is suspended; gives the run."""
        run = self.run_of(key)
        self.until(lambda: self.run(run)["state_type"] == "PAUSED", f"the run of {key} is suspended")
        return run

    def run_of(self, key: IntegrationKey) -> UUID:
        """The Prefect run that carries the attempt."""
        attempt = self.now(key).attempt
        assert attempt is not None
        assert attempt.flow_run_id is not None
        return attempt.flow_run_id

    def run(self, run: UUID) -> dict[str, Any]:
        """A run, as Prefect's API shows it."""
        return self.prefect("GET", f"/flow_runs/{run}")

    def prefect(self, method: str, path: str, body: Any = None) -> Any:
        """A call of Prefect's API, past keyturn."""
        answer = httpx.request(method, f"{self.running.prefect.api_url}{path}", json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def processes_of(self, run: UUID) -> list[psutil.Process]:
        """The processes that execute a run: the one that Prefect was told of, if it is still there, and its own.

        A forked process shows its server's environment to others, so the run's id cannot be read from there.
        """
        pid = (self.run(run)["infrastructure_pid"] or "").rpartition(":")[2]
        try:
            process = psutil.Process(int(pid))
            if process.status() == psutil.STATUS_ZOMBIE or not _executes_runs(process):
                return []
            return [process, *process.children(recursive=True)]
        except (psutil.Error, ValueError):
            return []

    def kill(self, run: UUID) -> None:
        """`kill -9` every process of a run, and wait until it is gone."""
        processes = self.until(lambda: self.processes_of(run), f"a process executes {run}")
        for process in processes:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=10)
        self.until(lambda: self.run(run)["state_type"] == "CRASHED", "Prefect has noticed")

    def watch_seldom(self) -> None:
        """Plan the rounds of the watch further apart: tests that need one ask for it, and each takes a process."""
        watch = self.prefect("GET", "/deployments/name/watch/watch")
        for planned in watch["schedules"]:
            path = f"/deployments/{watch['id']}/schedules/{planned['id']}"
            self.prefect("PATCH", path, {"schedule": planned["schedule"] | {"interval": PATIENCE_S * 0.8}})

    def effects(self, vendor: str) -> dict[str, Any]:
        """What a twin has done so far."""
        return self._twin(vendor, "GET", "effects")

    def options(self, vendor: str, **switches: Any) -> None:
        """Turn a twin's switches."""
        self._twin(vendor, "POST", "options", switches)

    def fault(self, vendor: str, **fault: Any) -> None:
        """Add to a twin's fault script."""
        self._twin(vendor, "POST", "faults", fault)

    def no_faults(self, vendor: str) -> None:
        """Forget the faults that are still to come."""
        self._twin(vendor, "DELETE", "faults")

    def _twin(self, vendor: str, method: str, what: str, body: Any = None) -> Any:
        base = self.running.twins.gong if vendor == "gong" else self.running.twins.stackone
        answer = httpx.request(method, f"{base}/_twin/{what}", json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json()


def _executes_runs(process: psutil.Process) -> bool:
    """Whether it is a process of a worker's, and no stranger that got the pid of one that is gone."""
    return any(word in ("keyturn.worker", "keyturn.worker.fork_server", "prefect.engine") for word in process.cmdline())


class Heard(CommandLine):
    """A command line whose output is kept, so that it can be searched for secrets."""

    def __init__(self, environment: Mapping[str, str], heard: list[str]) -> None:
        super().__init__(environment)
        object.__setattr__(self, "heard", heard)

    def run(self, *words: str, given: str = "") -> Any:
        """Run a command and keep its words and what it printed."""
        done = forked.run(words, self.environment, Path.cwd(), given, PATIENCE_S)
        self.heard.append(" ".join(words) + done.stdout + done.stderr)  # type: ignore[attr-defined]  # the parent has slots
        return done


class WatchedGongAdmin(GongAdmin):
    """Gong's admin, who tells which secrets Gong has shown."""

    def __init__(self, gong_url: str, known: set[str]) -> None:
        super().__init__(gong_url)
        self._known = known

    def create_integration(self, steps: Any) -> Pair:
        """Create it, and tell its secret."""
        pair = super().create_integration(steps)
        self._known.add(pair.client_secret)
        return pair

    def rotate_secret(self, integration: str, grace_hours: int) -> Pair:
        """Rotate it, and tell its secret."""
        pair = super().rotate_secret(integration, grace_hours)
        self._known.add(pair.client_secret)
        return pair


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """The sandbox of these tests, on a secret that every encoding changes; the cluster if KEYTURN_TEST_ON says so."""
    # Characters that base64, URL-encoding and JSON each write in another way.
    canary = f'canary-{secrets.token_hex(8)}+/&"\\%{secrets.token_hex(8)}'
    folder = Path(tempfile.mkdtemp(prefix="keyturn-e2e-", dir="/tmp"))  # short: socket paths are limited
    folder.chmod(0o755)
    manifests = folder / "integrations"
    shutil.copytree(asset("integrations"), manifests)
    quiet_http()
    # Short waits, so that tests see a run suspend without waiting for the two minutes that people get.
    waits = {"KEYTURN_WAITING__IN_PROCESS_S": "20", "KEYTURN_WAITING__LONGEST_INTERVAL_S": "1"}
    topology: type[Stack | Cluster] = Cluster if os.environ.get("KEYTURN_TEST_ON") == "cluster" else Stack
    stack = topology(folder / "state", migrate.upgrade, TwinOptions(client_secret=canary), settings=waits)
    with stack.up() as running:
        made = made_of(running, manifests)
        made.secrets.add(canary)
        made.watch_seldom()
        # Not by the environment: Prefect reads that once, when it is first imported, perhaps by another test.
        prefect_is_there = temporary_settings({PREFECT_API_URL: running.prefect.api_url})
        with _watching_arguments(made.arguments), prefect_is_there:
            yield made
            made.ports.ledger.close()
            made.ports.gong._transport.close()  # type: ignore[attr-defined]  # the port has no such verb
            made.ports._stackone[0].close()
            made.cast.close()
    shutil.rmtree(folder, ignore_errors=True)


def made_of(running: Running, manifests: Path) -> World:
    """A running sandbox as tests see it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    own = {"KEYTURN_MANIFESTS": str(manifests), "HOME": str(manifests), "PYTHONWARNINGS": "error::ResourceWarning"}
    environment = kept | dict(running.environment) | own
    return World(running, Ports(settings.load(environment)), manifests, environment)


@contextmanager
def _watching_arguments(seen: set[str]) -> Iterator[None]:
    """Keep every command line of this machine that shows up while the tests run."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.25):  # no command is that quick
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((folder / "cmdline").read_bytes().decode(errors="replace"))
                except OSError:
                    continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


class Hold:
    """Holds every process that is about to write the receipt of one stage: after its effect, before its receipt."""

    LOCK = 424242

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("CREATE TABLE IF NOT EXISTS test_hold (stage text)")
        self._connection.execute(
            "CREATE OR REPLACE FUNCTION test_hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608  a constant
            "IF EXISTS (SELECT 1 FROM test_hold WHERE stage = NEW.stage) THEN "
            f"PERFORM pg_advisory_xact_lock({self.LOCK}); END IF; RETURN NEW; END $$"
        )
        self._connection.execute(
            "CREATE OR REPLACE TRIGGER test_hold BEFORE INSERT ON receipts FOR EACH ROW EXECUTE FUNCTION test_hold()"
        )

    def at(self, stage: Stage) -> None:
        """From now on, hold at this stage."""
        self._connection.execute("SELECT pg_advisory_lock(%s)", (self.LOCK,))
        self._connection.execute("INSERT INTO test_hold VALUES (%s)", (stage.value,))

    def holds(self) -> bool:
        """Whether somebody is being held."""
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        row = self._connection.execute(query, (self.LOCK,)).fetchone()
        return bool(row and row[0])

    def queue(self) -> int:
        """How many sessions wait for a lock of any kind."""
        row = self._connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        ).fetchone()
        return int(row[0]) if row else 0

    def let_go(self) -> None:
        """Hold nobody any more."""
        self._connection.execute("DELETE FROM test_hold")
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def remove(self) -> None:
        """Leave the ledger as it was."""
        self.let_go()
        self._connection.execute("DROP TRIGGER test_hold ON receipts")
        self._connection.execute("DROP TABLE test_hold")
        self._connection.close()


@pytest.fixture
def hold(world: World) -> Iterator[Hold]:
    """A way to hold a run between an effect and its receipt."""
    held = Hold(world.running.postgres.ledger_url)
    yield held
    held.remove()
