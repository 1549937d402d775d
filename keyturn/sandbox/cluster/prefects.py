"""Two Prefect servers behind one address, their background services, and three workers.

The services (scheduler, late runs, events, automations) run in a process of their own, and the servers only answer:
then any number of servers is alike and none does more than another, one that is killed takes no half-done round of the
scheduler with it, and an operator sees at once which process is busy. Messages of servers and services go by Redis.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from keyturn.sandbox.cluster.keeper import Keeper
from keyturn.sandbox.prefect import One, PrefectServer, create_pool, start_server, start_worker
from keyturn.sandbox.processes import Child, Children, Command

WORKERS = ("prefect-worker-1", "prefect-worker-2", "prefect-worker-3")
AT_ONCE = 8  # runs of each worker: they wait for people by ending, so few are at work at any time
_SERVICES = "prefect-services"


@dataclass(frozen=True, slots=True)
class Prefects:
    """What the servers are told.

    Attributes:
        url: where everybody reaches them.
        ports: where they listen, one each.
        database_url: with asyncpg's driver.
        redis: settings by which they are one.
    """

    url: str
    ports: Sequence[int]
    database_url: str = field(repr=False)
    redis: Mapping[str, str] = field(repr=False)

    def up(self, children: Children, keeper: Keeper) -> PrefectServer:
        """Start the first server, which makes the tables, then the others and the services; and keep them up.

        Raises:
            UnavailableError: one does not come up.
        """
        first = self._server(children, 1)
        rest = range(2, len(self.ports) + 1)
        with ThreadPoolExecutor(len(self.ports)) as threads:
            others = threads.map(lambda number: self._server(children, number), rest)
            services = threads.submit(self._services, children, first)
            for child in (first.child, *(server.child for server in others), services.result()):
                keeper.keep(child)
        behind = PrefectServer(first.child, self.url)
        create_pool(behind)
        return behind

    def _server(self, children: Children, number: int) -> PrefectServer:
        name = f"prefect-server-{number}"
        only_answers = {
            "PREFECT__SERVER_WEBSERVER_ONLY": "1",
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": self.url,
            "PREFECT_SERVER_UI_API_URL": f"{self.url}/api",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(children.state / "prefect" / f"pages-{number}"),
        }
        more = only_answers | dict(self.redis)
        return start_server(children, self.database_url, self.ports[number - 1], name, more)

    def _services(self, children: Children, first: PrefectServer) -> Child:
        """`prefect server services start`, with all that the servers are told but that they only answer."""
        told = {name: value for name, value in first.child.command.environment.items() if "WEBSERVER_ONLY" not in name}
        argv = [sys.executable, "-m", "prefect", "--no-prompt", "server", "services", "start"]
        return children.start(Command(_SERVICES, argv, told, children.state / "prefect"))


def start_workers(
    children: Children, keeper: Keeper, server: PrefectServer, settings: Mapping[str, str]
) -> Sequence[Child]:
    """Start all workers at once, and keep them up.

    Raises:
        UnavailableError: one does not come up.
    """
    with ThreadPoolExecutor(len(WORKERS)) as threads:
        started = list(
            threads.map(lambda name: start_worker(children, server, settings, one=One(name, AT_ONCE)), WORKERS)
        )
    return [keeper.keep(worker) for worker in started]
