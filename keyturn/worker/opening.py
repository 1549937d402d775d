"""Starting the process of a fork server: as a program of its own, or forked from what will be the worker itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# The worker has compared its version with the server's, so each run need not do so again. Written as Prefect writes it,
# so that runs see that they need not read their settings anew.
GIVEN = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "False"}


class Process(Protocol):
    """What `subprocess.Popen` has, of a child of this process."""

    @property
    def pid(self) -> int:
        """Of the child."""

    def poll(self) -> int | None:
        """Its exit code once it has ended, negative for a signal; until then `None`."""

    def kill(self) -> None:
        """End it, if it has not ended."""


class ForkedProcess:
    """Implements `Process` for a child that was forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """As `Process` says; 0 where the system keeps no ends, since whoever started this process ignores them."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        """As `Process` says."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fork server that is on its way.

    Attributes:
        link: the worker's end of the socket; closing it ends the server.
    """

    process: Process
    link: socket.socket


_early: dict[tuple[str, ...], Opened] = {}


def opened(modules: Sequence[str], variables: Mapping[str, str]) -> Opened:
    """Start a fork server; it becomes ready by and by.

    It is told nothing on its command line but names of modules. It inherits this process's output, and is in no folder
    of anybody's, as a run is not unless it is told to be.

    Args:
        modules: what it imports.
        variables: all of its environment, as the runs get it.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    argv = [sys.executable, "-P", "-m", "keyturn.worker.fork_server", str(theirs.fileno()), *modules]
    with theirs:
        process = subprocess.Popen(  # noqa: S603  our own program
            argv, env=variables, cwd="/", stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
    return Opened(process, ours)


def keep_early(modules: Sequence[str], server: Opened) -> None:
    """Keep a fork server that was started before the worker asks for one."""
    _early[tuple(modules)] = server


def opened_early(modules: Sequence[str]) -> Opened | None:
    """The one that was kept, for whoever asks first."""
    return _early.pop(tuple(modules), None)
