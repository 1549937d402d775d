"""Processes that are started again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keyturn.errors import UnavailableError
from keyturn.sandbox.cluster.keeper import PIDS, Keeper
from keyturn.sandbox.processes import Child, Children, Command, environment


def sleeper(state: Path) -> Command:
    """A process that does nothing for a long time."""
    argv = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    return Command("sleeper", argv, environment(state), state)


def until(holds: Callable[[], bool]) -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pid_in(state: Path) -> int:
    """Whom the file names."""
    return int(json.loads((state / PIDS).read_text())["sleeper"])


def test_who_is_killed_is_started_again_and_noted(tmp_path: Path) -> None:
    """After kill -9 another process has its name in the file, and whoever listens has heard of it."""
    heard: list[str] = []
    with Children(tmp_path) as children, Keeper(children, heard.append) as keeper:
        first = keeper.keep(children.start(sleeper(tmp_path))).process.pid
        assert pid_in(tmp_path) == keeper.pids()["sleeper"] == first
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_in(tmp_path) != first)
        until(lambda: bool(heard))
        assert heard == [f"sleeper ended with code -9; started again as {pid_in(tmp_path)}"]
        assert [child.process.pid for child in children] == [pid_in(tmp_path)]


def test_a_start_that_fails_is_tried_again(tmp_path: Path) -> None:
    """What does not come up at first comes up later, by the same way."""
    heard: list[str] = []
    tries: list[int] = []
    with Children(tmp_path) as children, Keeper(children, heard.append) as keeper:

        def begin() -> Child:
            tries.append(len(tries))
            if len(tries) == 1:
                raise UnavailableError("sleeper", "is tired")
            return children.start(sleeper(tmp_path))

        first = keeper.keep(children.start(sleeper(tmp_path)), begin).process.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_in(tmp_path) != first)
        assert len(tries) == 2
        assert "does not start again" in heard[0]


def test_nobody_is_started_again_at_the_end(tmp_path: Path) -> None:
    """Once the keeper has let go, what ends stays ended, and nothing is left."""
    heard: list[str] = []
    with Children(tmp_path) as children:
        with Keeper(children, heard.append) as keeper:
            child = keeper.keep(children.start(sleeper(tmp_path)))
        children.stop(child)
        assert list(children) == []
    assert heard == []
