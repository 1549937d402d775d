"""The whole sandbox, brought up twice in one folder: killed the first time, stopped the second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from keyturn import settings
from keyturn.errors import RefusedError, UnavailableError
from keyturn.sandbox.stack import Running, Stack
from keyturn.wiring import Ports

Eventually = Callable[[Callable[[], bool]], bool]
Commands = Callable[[], dict[int, str]]
Found = Callable[[Path], list[Path]]
CANARY = "canary-of-the-stack-test"

# The canary comes by the environment, as KEYTURN_DEMO__CLIENT_SECRET does.
PARENT = """
import os, sys, time
from pathlib import Path
import psycopg
from keyturn.sandbox.stack import Stack
from keyturn.sandbox.twin_servers import TwinOptions
def migrate(url):
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE survived AS SELECT 'it did' AS word")
def prepare(postgres, openbao):
    openbao.login("alice")
    count = "SELECT count(*) AS before FROM pg_tables WHERE schemaname = 'public'"
    for database in ("keyturn", "prefect"):
        with psycopg.connect(postgres.url(database)) as connection:
            connection.execute("CREATE TABLE prepared AS " + count)
twins = TwinOptions(client_secret=os.environ["CANARY"])
with Stack(Path(sys.argv[1]), migrate, twins, prepare=prepare).up() as running:
    print("up", flush=True)
    time.sleep(1000)
"""


@dataclass
class First:
    """A sandbox that another process brought up."""

    state: Path
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """Kill the process that brought it up, and nothing else."""
        self.process.kill()
        self.process.wait()

    def kept(self, name: str) -> dict[str, str]:
        """One of the files in its folder."""
        content: dict[str, str] = json.loads((self.state / name).read_text())
        return content


@dataclass
class Second:
    """The same sandbox, brought up by this process. `close` stops it."""

    running: Running
    ports_before: dict[str, str]
    close: Callable[[], None]


def twin_times(second: Second) -> list[datetime]:
    """What time it is at Gong and at StackOne."""
    twins = (second.running.twins.gong, second.running.twins.stackone)
    return [datetime.fromisoformat(httpx.get(f"{t}/_twin/clock", trust_env=False).json()["now"]) for t in twins]


def runs_of_the_watch(second: Second) -> set[str]:
    """The watch's runs that somebody asked for, beside those of its schedule."""
    url = f"{second.running.prefect.api_url}/flow_runs/filter"
    asked = {"flows": {"name": {"any_": ["watch"]}}}
    found = httpx.post(url, json=asked, trust_env=False).raise_for_status().json()
    return {run["id"] for run in found if not run["auto_scheduled"]}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """Up, in another process."""
    state = tmp_path_factory.mktemp("stack") / "state"
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(state)],
        env=os.environ | {"CANARY": CANARY},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    with process.stdout:
        up = First(state, process)
        yield up
        up.kill()


@pytest.fixture(scope="module")
def second(first: First) -> Iterator[Second]:
    """Up again, after the first process was killed."""
    ports = first.kept("ports.json")
    first.kill()
    with ExitStack() as stack:
        yield Second(stack.enter_context(Stack(first.state, lambda _: None).up()), ports, stack.close)


def test_what_is_kept_is_private(first: First, open_to_others: Found) -> None:
    """While it runs, nobody else can read a file of the sandbox."""
    assert open_to_others(first.state) == []
    assert (first.state / "env.sh").stat().st_mode & 0o777 == 0o600


def test_no_argument_holds_a_secret(first: First, commands: Commands) -> None:
    """None of the sandbox's secrets is in the arguments of any process on this machine."""
    secrets = [CANARY]
    for name in ("people.json", "twins.json", "openbao/keys.json"):
        secrets += first.kept(name).values()
    secrets.append(first.kept("approle.json")["secret_id"])
    lines = commands().values()
    assert any("keyturn.sandbox.twins.gong" in line and str(first.state) in line for line in lines)
    assert not [line for line in lines if any(secret in line for secret in secrets)]


def test_no_log_holds_a_secret(first: First) -> None:
    """Nor is one in the log of any server."""
    secrets = [CANARY, *first.kept("people.json").values(), *first.kept("twins.json").values()]
    logs = "".join(log.read_text() for log in (first.state / "logs").iterdir())
    assert not [secret for secret in secrets if secret in logs]


def test_a_second_one_in_the_same_folder_is_refused(first: First) -> None:
    """It says which process has the folder, and leaves it alone."""
    running = rf"already running there, as process {first.process.pid}"
    with pytest.raises(RefusedError, match=running), Stack(first.state, lambda _: None).up():
        pass
    assert first.process.poll() is None


def test_a_shell_can_use_it(first: First) -> None:
    """Sourcing env.sh sets the addresses, and `keyturn_as` signs a person in."""
    script = f"source {first.state}/env.sh; keyturn_as alice; env -0"
    clean = {"PATH": os.environ["PATH"]}
    output = subprocess.run(["bash", "-ec", script], env=clean, check=True, capture_output=True, text=True).stdout
    seen = dict(entry.split("=", 1) for entry in output.split("\0") if "=" in entry)
    looked = httpx.get(
        f"{seen['VAULT_ADDR']}/v1/auth/token/lookup-self",
        headers={"X-Vault-Token": seen["VAULT_TOKEN"]},
        trust_env=False,
    )
    assert looked.json()["data"]["display_name"] == "userpass-alice"
    assert httpx.get(f"{seen['PREFECT_API_URL']}/health", trust_env=False).json() is True


def test_it_resumes_after_kill_9(second: Second, first: First) -> None:
    """With everything of the first one left or gone: same links, same data, deployments in place, all processes up."""
    running = second.running
    assert first.kept("ports.json") == second.ports_before
    with psycopg.connect(running.postgres.ledger_url) as connection:
        assert connection.execute("SELECT word FROM survived").fetchone() == ("it did",)
    deployment = httpx.get(f"{running.prefect.api_url}/deployments/name/watch/watch", trust_env=False).json()
    assert deployment["entrypoint"] == "flows.monitoring.watch"
    assert len(deployment["schedules"]) == 1
    assert running.ended() == []
    for link in running.links.values():
        assert httpx.get(link, follow_redirects=True, trust_env=False).is_success


def test_it_was_prepared_before_anything_else_looked(second: Second) -> None:
    """Vault takes sign-ins by then; the ledger is not migrated yet, and Prefect has not made its tables."""
    for database in ("keyturn", "prefect"):
        with psycopg.connect(second.running.postgres.url(database)) as connection:
            assert connection.execute("SELECT before FROM prepared").fetchone() == (0,)


def test_nothing_of_the_killed_one_is_left(second: Second, first: First, commands: Commands) -> None:
    """Every process that names the folder belongs to the sandbox that runs now."""
    ours = {child.process.pid for child in second.running.children}
    assert {pid for pid, line in commands().items() if str(first.state) in line} <= ours


def test_its_environment_is_a_valid_configuration(second: Second, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings take it as it is, and it all points at this machine."""
    for name, value in second.running.environment.items():
        monkeypatch.setenv(name, value)
    loaded = settings.load()
    assert loaded.vault.role_id == second.running.openbao.role_id
    addresses = [value for value in second.running.environment.values() if "://" in value]
    assert all("//127.0.0.1:" in value or value.startswith("postgresql://postgres@/") for value in addresses)


def test_time_is_moved_on_together_and_the_watch_asked_at_once(second: Second) -> None:
    """All three are ahead by as much, even if a twin was ahead as after a failed move, and a run is there to make."""
    before = runs_of_the_watch(second)
    gong = f"{second.running.twins.gong}/_twin/clock"
    httpx.post(gong, json={"advance_seconds": 86_400}, trust_env=False).raise_for_status()
    assert second.running.advance(timedelta(days=7)) == timedelta(days=7)
    assert second.running.advance(timedelta(hours=36)) == timedelta(days=8, hours=12)
    loaded = settings.load(second.running.environment)
    assert loaded.sandbox_clock is not None
    for now in (Ports(loaded).clock.now(), *twin_times(second)):
        assert abs(now - datetime.now(UTC) - timedelta(days=8, hours=12)) < timedelta(minutes=1)
    assert len(runs_of_the_watch(second) - before) >= 2


def test_another_terminal_can_move_it_on(second: Second, tmp_path: Path) -> None:
    """A shell that has sourced env.sh needs no more; it is told what time it is in the sandbox."""
    (twin, _), before = twin_times(second), runs_of_the_watch(second)
    script = f"source {second.running.env_file}; {sys.executable} -m keyturn sandbox advance 90m --json"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    told = datetime.fromisoformat(json.loads(done.stdout)["now"])
    assert timedelta(minutes=90) <= told - twin < timedelta(minutes=95)
    assert all(abs(now - told) < timedelta(minutes=1) for now in twin_times(second))
    assert runs_of_the_watch(second) > before


def test_a_description_shows_no_secret(second: Second) -> None:
    """Printing what is running does not give anything away."""
    secrets = [value for name, value in second.running.environment.items() if name.endswith(("SECRET_ID", "API_KEY"))]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in repr(second.running)]


def test_a_stop_leaves_nothing_running(second: Second, first: First, commands: Commands) -> None:
    """After a clean stop no process is left, and the folder can be locked again."""
    pids = {child.process.pid for child in second.running.children}
    second.close()
    after = commands()
    assert not pids & set(after)
    assert not [line for line in after.values() if str(first.state) in line]
    assert not (first.state / "processes.json").exists()


def test_one_that_fails_stops_the_rest(tmp_path: Path, commands: Commands) -> None:
    """When one part does not come up, the error names it and nothing stays behind."""

    def migrate(_: str) -> None:
        raise UnavailableError("ledger", "cannot be migrated")

    with pytest.raises(UnavailableError, match="ledger: cannot be migrated"), Stack(tmp_path / "state", migrate).up():
        pass
    assert not [line for line in commands().values() if str(tmp_path) in line]
