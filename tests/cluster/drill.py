"""`kill -9` of one part after another, while people work; and when each was back."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from keyturn.sandbox.cluster.keeper import PIDS
from keyturn.sandbox.cluster.topology import nodes_of

VICTIMS = ("worker", "Prefect server", "console", "Redis", "PostgreSQL", "leader of OpenBao")
_NAMES = {
    "worker": "prefect-worker-1",
    "Prefect server": "prefect-server-1",
    "console": "console-1",
    "Redis": "redis",
    "PostgreSQL": "postgres",
}
_BACK_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Killed:
    """One of them.

    Attributes:
        after_s: seconds since the storm began.
        receipts: how many stages were done then.
        back_after_s: seconds until it was started again.
    """

    what: str
    process: str
    pid: int
    after_s: float
    receipts: int
    back_after_s: float

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


class Drill(threading.Thread):
    """Kills one part at each step of the way, spread evenly over all the stages that there are to do.

    Args:
        state: folder of the cluster.
        total: receipts that there will be in the end.
        receipts: how many there are; `None` while nobody can tell.
    """

    def __init__(self, state: Path, total: int, receipts: Callable[[], int | None]) -> None:
        super().__init__(name="drill", daemon=True)
        self.killed: list[Killed] = []
        self._state, self._total, self._receipts = state, total, receipts
        self._over = threading.Event()
        self._began = monotonic()

    def run(self) -> None:
        """Wait for each one's turn."""
        for number, what in enumerate(VICTIMS, start=1):
            turn = self._total * number // (len(VICTIMS) + 2)
            while (done := self._receipts()) is None or done < turn:
                if self._over.wait(_LOOK_EVERY_S):
                    return
            self.killed.append(self._kill(what, done))

    def end(self) -> None:
        """Kill nobody any more."""
        self._over.set()
        self.join()

    def _kill(self, what: str, receipts: int) -> Killed:
        name = _NAMES.get(what) or self._leader()
        pid, began = self._pid(name), monotonic()
        os.kill(pid, signal.SIGKILL)
        while self._pid(name) == pid and monotonic() - began < _BACK_WITHIN_S:
            sleep(_LOOK_EVERY_S)
        return Killed(what, name, pid, round(began - self._began, 1), receipts, round(monotonic() - began, 1))

    def _leader(self) -> str:
        while (leader := nodes_of(self._state).leader()) is None:
            sleep(_LOOK_EVERY_S)
        return leader

    def _pid(self, name: str) -> int:
        return int(json.loads((self._state / PIDS).read_text())[name])
