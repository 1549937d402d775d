"""The same journey on DBOS, on PostgreSQL or on its default, a file of SQLite."""

from __future__ import annotations

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

_HERE = HERE / "dbos"
_STARTS_WITHIN_S = 120.0


class OnDbos(Peer):
    """Implements `System`: the application, and a desk where people decide."""

    def __init__(self, place: Place, folder: Path, pair: Pair, *, sqlite: bool = False) -> None:
        super().__init__(place, folder, pair)
        self.name = "DBOS, SQLite (its default)" if sqlite else "DBOS, PostgreSQL"
        self._python = str(python_of("dbos"))
        self._desk = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", trust_env=False, timeout=30)
        self._told = {"JOURNEY_DESK_PORT": str(self._desk.base_url.port), "JOURNEY_DATABASE": self._url(sqlite=sqlite)}
        self._running: list[Child] = []

    def __enter__(self) -> Self:
        """Start the application, and then the desk: the application makes the tables."""
        self.start()
        self._running.append(self.started("dbos-desk", [self._python, str(_HERE / "desk.py")], self._told))
        self._running[-1].wait_until(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        for child in (*self._running, self._app):
            self.ended(child)
        self._desk.close()

    def begin(self, key: str) -> None:
        """Enqueue a workflow."""
        self._desk.post(f"/begin/{key}").raise_for_status()

    def say_yes(self, key: str, gate: Gate) -> None:
        """Send it the message that it waits for."""
        self._desk.post(f"/send/{gate}/{key}").raise_for_status()

    def kill(self) -> None:
        """`kill -9` of the application."""
        self.ended(self._app, killed=True)

    def start(self) -> None:
        """Start the application, and wait until it has launched."""
        self._seen.pop(("", "ready"), None)
        self._app = self.started("dbos-app", [self._python, str(_HERE / "app.py")], self._told)
        self._app.wait_until(lambda: self.moment("", "ready") is not None, _STARTS_WITHIN_S)

    def _answers(self) -> bool:
        try:
            return self._desk.get("/").status_code == httpx.codes.NOT_IMPLEMENTED
        except httpx.TransportError:
            return False

    def _url(self, *, sqlite: bool) -> str:
        if sqlite:
            return f"sqlite:///{self._folder}/journey.sqlite"
        self.database("dbos")
        return self._place.running.postgres.url("dbos")
