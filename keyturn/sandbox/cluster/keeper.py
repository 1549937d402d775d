"""Starts again what ended, as systemd or compose's `restart: always` would, with growing pauses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic
from types import TracebackType
from typing import Self

from keyturn.errors import KeyturnError
from keyturn.sandbox.files import write_private
from keyturn.sandbox.processes import Child, Children

PIDS = "pids.json"
_LOOK_EVERY_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_STEADY_S = 10.0  # whoever lived that long begins with the short pause again
_ENDS_WITHIN_S = 5.0

Begin = Callable[[], Child]
Say = Callable[[str], None]


class Keeper(AbstractContextManager["Keeper"]):
    """Keeps processes up. Which process is which stands in `pids.json`: name and pid.

    What is left of a process's group is ended before it is started again, as systemd does with a service's processes.

    Args:
        children: whose processes they are.
        say: hears of each process that ended and was started again.
    """

    def __init__(self, children: Children, say: Say) -> None:
        self._children, self._say = children, say
        self._pids: dict[str, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()

    def __enter__(self) -> Self:
        return self

    def keep(self, child: Child, begin: Begin | None = None) -> Child:
        """Keep a started process up from now on; gives it back.

        Args:
            child: the process.
            begin: how it is started again, and made ready if it needs that; by default with the same command.
        """
        again = begin or (lambda: self._children.start(child.command))
        self._note(child)
        thread = threading.Thread(target=self._watch, args=(child, again), name=f"keep {child.name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return child

    def let_go(self) -> None:
        """Start nothing again any more."""
        self._over.set()
        deadline = monotonic() + _ENDS_WITHIN_S
        for thread in self._threads:
            thread.join(max(deadline - monotonic(), 0.0))

    def pids(self) -> dict[str, int]:
        """The pid of each process, by its name."""
        with self._lock:
            return dict(self._pids)

    def _watch(self, child: Child, begin: Begin) -> None:
        pause_s, began = _FIRST_PAUSE_S, monotonic()
        while not self._over.wait(_LOOK_EVERY_S):
            if child.alive:
                continue
            pause_s = _FIRST_PAUSE_S if monotonic() - began > _STEADY_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            self._children.stop(child)
            if self._over.wait(pause_s):
                return
            began = monotonic()
            child = self._begun(child, begin)

    def _begun(self, dead: Child, begin: Begin) -> Child:
        """The process started again; the dead one if that failed, so that it is tried once more."""
        try:
            child = begin()
        except (KeyturnError, OSError, ValueError) as error:  # no process to be had, or a file half written
            if not self._over.is_set():
                self._say(f"{dead.name} does not start again: {error}")
            return dead
        self._note(child)
        self._say(f"{child.name} ended with code {dead.process.returncode}; started again as {child.process.pid}")
        return child

    def _note(self, child: Child) -> None:
        with self._lock:
            self._pids[child.name] = child.process.pid
            write_private(self._children.state / PIDS, json.dumps(self._pids, indent=2) + "\n")
