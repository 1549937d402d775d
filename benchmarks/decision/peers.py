"""What both peers have in common: their own environment, the sandbox's twins and Vault, and a file of moments."""

from __future__ import annotations

import json
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.decision.journeys import Gate, until
from benchmarks.peers import calls
from benchmarks.peers.environments import HERE
from benchmarks.sandboxes import Place
from keyturn.sandbox.files import write_private
from keyturn.sandbox.people import Pair
from keyturn.sandbox.processes import Child, Command, environment


class Peer(ABC):
    """A system in an environment of its own, whose stages write down when they begin.

    Args:
        folder: for its state, new.
        pair: what is handed in, journey after journey.
    """

    name: str

    def __init__(self, place: Place, folder: Path, pair: Pair) -> None:
        self._place, self._folder = place, folder
        self._pair = {"client_id": pair.client_id, "client_secret": pair.client_secret}
        self._stamps = folder / "stamps.jsonl"
        self._seen: dict[tuple[str, str], float] = {}
        self._read = 0
        folder.mkdir(mode=0o700, parents=True)
        write_private(self._stamps, "")
        os.environ.update(self._settings())  # the person's calls are made in this process
        self._token = place.running.openbao.login("grace")

    def opened(self, key: str, gate: Gate) -> float | None:
        """As the journey has written it down."""
        return self.moment(key, f"open:{gate}")

    def decide(self, key: str, gate: Gate) -> None:
        """Say yes; at the second gate, after the pair is tried and in Vault, as it is with keyturn."""
        if gate is Gate.GONG_ADMIN:
            calls.hand_in(key, self._pair, self._token)
        self.say_yes(key, gate)

    @abstractmethod
    def say_yes(self, key: str, gate: Gate) -> None:
        """Tell the system."""

    def next_started(self, key: str, gate: Gate) -> float | None:
        """As the journey has written it down."""
        return self.moment(key, f"next:{gate}")

    def finish(self, key: str) -> None:
        """Wait for the last stage, which tells of itself only after the live call has gone through."""
        until(lambda: self.moment(key, "done"), f"{key} is done")

    def moment(self, key: str, what: str) -> float | None:
        """When something was first written down."""
        with self._stamps.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                said = json.loads(line)
                self._seen.setdefault((said["key"], said["what"]), said["at"])
        return self._seen.get((key, what))

    def database(self, name: str) -> None:
        """Make an empty database beside keyturn's."""
        with psycopg.connect(self._place.running.postgres.url("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def command(self, name: str, argv: Sequence[str], more: Mapping[str, str]) -> Command:
        """What to run, with the calls at hand and nothing of keyturn."""
        told = self._settings() | dict(more) | {"PYTHONPATH": str(HERE)}
        return Command(name, argv, environment(self._folder / "home", **told), self._folder)

    def started(self, name: str, argv: Sequence[str], more: Mapping[str, str]) -> Child:
        """Start a process."""
        return self._place.running.children.start(self.command(name, argv, more))

    def ended(self, child: Child, *, killed: bool = False) -> None:
        """Stop a process with all that it has started, or let it be killed at once."""
        if killed:
            os.kill(child.process.pid, signal.SIGKILL)
        self._place.running.children.stop(child)

    def _settings(self) -> dict[str, str]:
        running = self._place.running
        return {
            "JOURNEY_GONG": running.twins.gong,
            "JOURNEY_STACKONE": running.twins.stackone,
            "JOURNEY_STACKONE_KEY": running.twins.api_key,
            "JOURNEY_VAULT": running.openbao.addr,
            "JOURNEY_VAULT_ROLE_ID": running.openbao.role_id,
            "JOURNEY_VAULT_SECRET_ID": running.openbao.secret_id,
            "JOURNEY_STAMPS": str(self._stamps),
        }
