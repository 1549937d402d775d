"""The whole sandbox: PostgreSQL, OpenBao, both twins, Prefect's server and a worker, on this machine only.

::

    postgres ──► prefect server ──► pool ──► deploy ─┐
        └──► migrate ──► console                     ├──► worker
    openbao, twins ──────────────────────────────────┘

With an example fleet, and only at the first start in a folder: migrate, openbao ──► fleet ──► twins. Its runs are made
after deploy.

Everything lies in one folder and can be resumed from it, also after `kill -9`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from keyturn.sandbox.assets import asset
from keyturn.sandbox.clocks import advance, clock_file
from keyturn.sandbox.console import WEBHOOKS, Console, Replica, start_console, url_at
from keyturn.sandbox.files import locked, write_private
from keyturn.sandbox.openbao import OpenBao, start_openbao
from keyturn.sandbox.ports import Ports
from keyturn.sandbox.postgres import Postgres, start_postgres
from keyturn.sandbox.prefect import PrefectServer, create_pool, deploy, server_url, start_server, start_worker
from keyturn.sandbox.processes import Child, Children
from keyturn.sandbox.twin_servers import Keys, TwinOptions, Twins, start_twins, twin_url

if TYPE_CHECKING:
    from keyturn.sandbox.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Stack:
    """What to bring up, and where.

    Attributes:
        state: the folder that keeps everything; made if it does not exist.
        migrate: brings the ledger's tables up to date, given its URL. Called in a thread.
        prefect_yaml: the deployments; keyturn's own by default.
        settings: more of keyturn's settings, for the worker and for people's commands.
        prepare: fills the databases and Vault before the tables are migrated and Prefect looks. Called in a thread.
        console: whether the web console is started, too.
        fleet: whether a new folder gets an example fleet.
    """

    state: Path
    migrate: Callable[[str], None]
    twins: TwinOptions = field(default_factory=TwinOptions)
    prefect_yaml: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Postgres, OpenBao], None] | None = None
    console: bool = False
    fleet: bool = False

    @contextmanager
    def up(self) -> Iterator[Running]:
        """Bring everything up; stop all of it at the end.

        Raises:
            RefusedError: a sandbox is running in that folder.
            ConfigurationError: the packages of `keyturn[sandbox]` are missing.
            UnavailableError: something does not come up; it names the log file.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.state.resolve()
        with locked(state), Children(state) as children:
            running = self._bring_up(children, Ports(state / "ports.json"))
            write_private(running.env_file, as_shell(running))
            yield running

    def _bring_up(self, children: Children, ports: Ports) -> Running:
        with ThreadPoolExecutor(max_workers=12) as threads:  # one for each part: a part waits for others in its thread
            try:
                return self._all(threads, children, ports)
            except BaseException:
                children.stop_all()  # so that the other threads find their servers gone, and end
                raise

    def _all(self, threads: ThreadPoolExecutor, children: Children, ports: Ports) -> Running:
        begin, port = threads.submit, {name: ports.of(name) for name in self._servers}
        Keys.of(children.state)  # made here, and only read by whoever needs them
        openbao = begin(start_openbao, children, port["openbao"])
        empty = begin(start_postgres, children)
        postgres = begin(lambda: self._prepared(empty, openbao))
        migrated = begin(lambda: self.migrate(postgres.result().ledger_url))
        fleet = begin(lambda: self._played(children.state, migrated, postgres, openbao))
        twins = begin(lambda: self._twins(children, port, fleet))
        prefect = begin(lambda: _prefect(children, postgres.result(), port["prefect"]))
        deployed = begin(lambda: deploy(children, prefect.result(), self.prefect_yaml or asset("prefect.yaml")))
        bound = begin(lambda: _bound(fleet, deployed, prefect))
        environment = begin(lambda: self._environment(children.state, postgres, openbao, port))
        worker = begin(lambda: start_worker(children, prefect.result(), environment.result()))
        console = begin(lambda: self._console(children, migrated, openbao, environment))
        parts = (openbao, empty, postgres, migrated, fleet, twins, prefect, deployed, bound, environment, worker)
        for part in as_completed((*parts, console)):
            part.result()  # the first that failed, before those that waited for it
        return Running(
            children=children,
            postgres=postgres.result(),
            openbao=openbao.result(),
            twins=twins.result(),
            prefect=prefect.result(),
            worker=worker.result(),
            environment=environment.result(),
            console=console.result(),
        )

    @property
    def _servers(self) -> Sequence[str]:
        """Which servers need a TCP port."""
        return ("prefect", "openbao", "gong", "stackone", *(("console",) if self.console else ()))

    def _prepared(self, empty: Future[Postgres], openbao: Future[OpenBao]) -> Postgres:
        """The databases, filled by whoever wants to fill them; only then does anything wait for Vault."""
        if self.prepare is not None:
            self.prepare(empty.result(), openbao.result())
        return empty.result()

    def _played(
        self, state: Path, migrated: Future[None], postgres: Future[Postgres], openbao: Future[OpenBao]
    ) -> Fleet | None:
        """The example fleet, if it is wanted and the folder is new; before the twins are there."""
        if not self.fleet:
            return None
        from keyturn.sandbox import fleet  # noqa: PLC0415  most sandboxes have none, and it takes its time

        migrated.result()
        return fleet.play(state, postgres.result(), openbao.result()) if fleet.is_wanted(state) else None

    def _twins(self, children: Children, port: Mapping[str, int], fleet: Future[Fleet | None]) -> Twins:
        fleet.result()
        url = f"{url_at(port['console'])}{WEBHOOKS}" if self.console else None
        return start_twins(children, port["gong"], port["stackone"], replace(self.twins, webhook_url=url))

    def _environment(
        self, state: Path, postgres: Future[Postgres], openbao: Future[OpenBao], port: Mapping[str, int]
    ) -> dict[str, str]:
        """What everybody is told. Twins and Prefect's server need not be there yet: where they will be is known."""
        return told_to_all(state, postgres.result(), openbao.result(), port) | self.settings

    def _console(
        self,
        children: Children,
        migrated: Future[None],
        openbao: Future[OpenBao],
        environment: Future[dict[str, str]],
    ) -> Console | None:
        if not self.console:
            return None
        migrated.result()
        told = environment.result()
        replica = Replica("console", int(told["KEYTURN_CONSOLE__PORT"]), told, Keys.of(children.state).webhooks)
        return start_console(children, openbao.result(), replica)


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that is up.

    Attributes:
        worker: the process worker; `restart_worker` makes another one.
        environment: what keyturn's command line and the worker need to use all this. Holds secrets.
        console: the web console, if it was wanted.
    """

    children: Children
    postgres: Postgres
    openbao: OpenBao
    twins: Twins
    prefect: PrefectServer
    worker: Child
    environment: Mapping[str, str] = field(repr=False)
    console: Console | None = None

    @property
    def logs(self) -> Path:
        """Folder with one log file for each process."""
        return self.children.logs

    @property
    def env_file(self) -> Path:
        """What a shell can `source` to use this sandbox; also while another terminal runs it."""
        return self.children.state / "env.sh"

    @property
    def links(self) -> Mapping[str, str]:
        """Pages for people, by what they are."""
        console = {"keyturn's console": self.console.url} if self.console else {}
        return console | {
            "Prefect": self.prefect.url,
            "Gong's Admin center (twin)": self.twins.gong,
            "StackOne's dashboard (twin)": self.twins.stackone,
            "OpenBao": f"{self.openbao.addr}/ui/",
        }

    def advance(self, by: timedelta) -> timedelta:
        """Move on keyturn's and the twins' clocks, and have the watch look at once; gives the offset from now on.

        Raises:
            UnavailableError: one of the servers does not answer.
        """
        return advance(self.children.state, by)

    def restart_worker(self) -> Child:
        """Start another worker after the first one was stopped or killed; returns it."""
        return start_worker(self.children, self.prefect, self.environment)

    def ended(self) -> list[str]:
        """Names of processes that ended by themselves."""
        return [child.name for child in self.children.ended()]


def told_to_all(state: Path, postgres: Postgres, openbao: OpenBao, port: Mapping[str, int]) -> dict[str, str]:
    """Settings of keyturn's and the address of Prefect, for everybody in a sandbox.

    Args:
        state: its folder.
        postgres: with the ledger.
        openbao: with the secrets.
        port: where clients reach `prefect`, `gong` and `stackone`, and `console`, if there is one.
    """
    told = _environment(postgres, openbao, Keys.of(state), port)
    told["KEYTURN_SANDBOX_CLOCK"] = str(clock_file(state))
    if openbao.ca is not None:
        told["KEYTURN_VAULT__CA_FILE"] = str(openbao.ca)
    if "console" in port:
        told["KEYTURN_CONSOLE__URL"] = url_at(port["console"])
        told["KEYTURN_CONSOLE__PORT"] = str(port["console"])
        told["KEYTURN_CONSOLE__SIGN_IN_LINKS"] = "true"
        told["KEYTURN_CONSOLE__METRICS_TOKEN"] = token_urlsafe(24)
    return told


def as_shell(running: Running) -> str:
    """Variables for a shell, and a function to sign in as one of the sandbox's people."""
    variables = dict(running.environment) | {"VAULT_ADDR": running.openbao.addr}
    if running.openbao.ca is not None:
        variables["VAULT_CACERT"] = str(running.openbao.ca)
    sign_in = shlex.join([sys.executable, "-m", "keyturn.sandbox.sign_in", str(running.children.state)])
    return "\n".join([
        "# Use the sandbox from this shell: `source` this file, then `keyturn_as alice` (or bob, erin, grace).",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'keyturn_as() {{ VAULT_TOKEN="$({sign_in} "$1")" && export VAULT_TOKEN; }}',
        "",
    ])  # fmt: skip


def _prefect(children: Children, postgres: Postgres, port: int) -> PrefectServer:
    server = start_server(children, postgres.prefect_url, port)
    create_pool(server)
    return server


def _bound(fleet: Future[Fleet | None], deployed: Future[None], prefect: Future[PrefectServer]) -> None:
    """The fleet's runs, while the first round of the watch still has to start its process."""
    deployed.result()
    played = fleet.result()
    if played is not None:
        played.bind(prefect.result())


def _environment(postgres: Postgres, openbao: OpenBao, keys: Keys, port: Mapping[str, int]) -> dict[str, str]:
    gong, stackone = twin_url(port["gong"]), twin_url(port["stackone"])
    return {
        "KEYTURN_LEDGER__URL": postgres.ledger_url,
        "KEYTURN_VAULT__ADDR": openbao.addr,
        "KEYTURN_VAULT__MOUNT": openbao.mount,
        "KEYTURN_VAULT__AUTH": "approle",
        "KEYTURN_VAULT__ROLE_ID": openbao.role_id,
        "KEYTURN_VAULT__SECRET_ID": openbao.secret_id,
        "KEYTURN_STACKONE__BASE_URL": stackone,
        "KEYTURN_STACKONE__API_KEY": keys.api,
        "KEYTURN_STACKONE__SPEC_URL": f"{stackone}/oas/stackone.json",
        "KEYTURN_STACKONE__DASHBOARD_URL": stackone,
        "KEYTURN_GONG__TOKEN_URL": f"{gong}/oauth2/generate-customer-token",
        "KEYTURN_GONG__AUTHORIZE_URL": f"{gong}/oauth2/authorize",
        "KEYTURN_GONG__ADMIN_URL": gong,
        "PREFECT_API_URL": f"{server_url(port['prefect'])}/api",
    }
