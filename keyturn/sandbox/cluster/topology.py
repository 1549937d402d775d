"""Everything of the cluster, brought up and kept up.

::

    redis ─────┐
    postgres ──┼──► prefect servers ──► services ──► deploy ──► workers
        └──► migrate ──► consoles                               ▲
    nginx ──► openbao nodes ────────────────────────────────────┘          twins
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from keyturn.sandbox.assets import asset
from keyturn.sandbox.cluster.authority import certified
from keyturn.sandbox.cluster.balancer import Front, start_balancer
from keyturn.sandbox.cluster.keeper import Keeper, Say
from keyturn.sandbox.cluster.prefects import Prefects, start_workers
from keyturn.sandbox.cluster.redis import Redis, start_redis
from keyturn.sandbox.cluster.vault_nodes import Nodes
from keyturn.sandbox.console import WEBHOOKS, Console, Replica, start_console, url_at
from keyturn.sandbox.files import locked, write_private
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.ports import Ports
from keyturn.sandbox.postgres import Postgres, start_again, start_postgres
from keyturn.sandbox.prefect import PrefectServer, deploy, server_url
from keyturn.sandbox.processes import Child, Children
from keyturn.sandbox.stack import Running, as_shell, told_to_all
from keyturn.sandbox.twin_servers import Keys, TwinOptions, Twins, start_twins

NODES, SERVERS, CONSOLES = 3, 2, 2
_CONNECTIONS = 400  # servers and services keep up to 15 each, and every run has its own to the ledger


@dataclass(frozen=True, slots=True)
class Cluster:
    """What to bring up, and where.

    Attributes:
        state: the folder that keeps everything; made if it does not exist.
        migrate: brings the ledger's tables up to date, given its URL.
        settings: more of keyturn's settings, for the workers, the consoles and people's commands.
        say: hears of each process that ended and was started again.
    """

    state: Path
    migrate: Callable[[str], None]
    twins: TwinOptions = field(default_factory=TwinOptions)
    settings: dict[str, str] = field(default_factory=dict)
    say: Say = lambda _line: None

    @contextmanager
    def up(self) -> Iterator[Running]:
        """Bring everything up; stop all of it at the end.

        Raises:
            RefusedError: a cluster is running in that folder.
            ConfigurationError: packages are missing; it names them.
            UnavailableError: something does not come up; it names the log file.
        """
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = self.state.resolve()
        with locked(state), Children(state) as children, Keeper(children, self.say) as keeper:
            running = _Rising(self, children, keeper, Ports(state / "ports.json")).all()
            write_private(running.env_file, as_shell(running))
            yield running


def nodes_of(state: Path) -> Nodes:
    """The OpenBao nodes of the cluster in that folder."""
    known = json.loads((state / "ports.json").read_text())
    return Nodes.of(state, _vault_ports(known.__getitem__), certified(state / "tls"))


class _Rising:
    """One start: who waits for whom."""

    def __init__(self, wanted: Cluster, children: Children, keeper: Keeper, ports: Ports) -> None:
        self._wanted, self._children, self._keeper = wanted, children, keeper
        self._state = children.state
        self._port = {name: ports.of(name) for name in ("prefect", "console", "openbao", "redis", "gong", "stackone")}
        self._servers = [ports.of(f"prefect-{n}") for n in range(1, SERVERS + 1)]
        self._consoles = [ports.of(f"console-{n}") for n in range(1, CONSOLES + 1)]
        self._vault_ports = _vault_ports(ports.of)
        self._nodes = Nodes.of(self._state, self._vault_ports, certified(self._state / "tls"))

    def all(self) -> Running:
        """Bring everything up, as much as possible side by side."""
        with ThreadPoolExecutor(max_workers=12) as threads:
            try:
                return self._all(threads)
            except BaseException:
                self._keeper.let_go()
                self._children.stop_all()  # so that the other threads find their servers gone, and end
                raise

    def _all(self, threads: ThreadPoolExecutor) -> Running:
        begin = threads.submit
        Keys.of(self._state)  # made here, and only read by whoever needs them
        self._balance()
        openbao = begin(self._openbao)
        redis = begin(start_redis, self._children, self._keeper, self._port["redis"])
        postgres = begin(self._postgres)
        migrated = begin(lambda: self._wanted.migrate(postgres.result().ledger_url))
        twins = begin(self._twins)
        prefect = begin(lambda: self._prefect(postgres.result(), redis.result()))
        environment = begin(lambda: self._environment(postgres.result(), openbao.result()))
        workers = begin(lambda: self._workers(prefect, migrated, environment))
        console = begin(lambda: self._console(migrated, openbao.result(), environment.result()))
        for part in as_completed((openbao, redis, postgres, migrated, twins, prefect, environment, workers, console)):
            part.result()  # the first that failed, before those that waited for it
        return Running(
            children=self._children,
            postgres=postgres.result(),
            openbao=openbao.result(),
            twins=twins.result(),
            prefect=prefect.result(),
            worker=workers.result()[0],
            environment=environment.result(),
            console=console.result(),
        )

    def _balance(self) -> None:
        behind = {"prefect": self._servers, "console": self._consoles, "openbao": [p for p, _ in self._vault_ports]}
        fronts = {name: Front(self._port[name], ports) for name, ports in behind.items()}
        start_balancer(self._children, self._keeper, **fronts)

    def _openbao(self) -> OpenBao:
        return self._nodes.up(self._children, self._keeper, f"https://127.0.0.1:{self._port['openbao']}")

    def _postgres(self) -> Postgres:
        postgres = start_postgres(self._children, connections=_CONNECTIONS)
        self._keeper.keep(postgres.child, partial(start_again, self._children, postgres, _CONNECTIONS))
        return postgres

    def _twins(self) -> Twins:
        options = replace(self._wanted.twins, webhook_url=f"{url_at(self._port['console'])}{WEBHOOKS}")
        return start_twins(self._children, self._port["gong"], self._port["stackone"], options)

    def _prefect(self, postgres: Postgres, redis: Redis) -> PrefectServer:
        url = server_url(self._port["prefect"])
        server = Prefects(url, self._servers, postgres.prefect_url, redis.settings).up(self._children, self._keeper)
        deploy(self._children, server, asset("prefect.yaml"))
        return server

    def _environment(self, postgres: Postgres, openbao: OpenBao) -> dict[str, str]:
        return told_to_all(self._state, postgres, openbao, self._port) | self._wanted.settings

    def _workers(
        self, prefect: Future[PrefectServer], migrated: Future[None], environment: Future[dict[str, str]]
    ) -> Sequence[Child]:
        migrated.result()
        return start_workers(self._children, self._keeper, prefect.result(), environment.result())

    def _console(self, migrated: Future[None], openbao: OpenBao, told: dict[str, str]) -> Console:
        migrated.result()
        front, secret = url_at(self._port["console"]), Keys.of(self._state).webhooks
        for number, port in enumerate(self._consoles, start=1):
            replica = Replica(f"console-{number}", port, told, secret, front)
            started = start_console(self._children, openbao, replica)
            self._keeper.keep(started.child)
        return Console(started.child, front)


def _vault_ports(port_of: Callable[[str], int]) -> Sequence[tuple[int, int]]:
    """Of each node: where clients reach it, and where the other nodes do."""
    return [(port_of(f"openbao-{n}"), port_of(f"openbao-{n}-raft")) for n in range(1, NODES + 1)]
