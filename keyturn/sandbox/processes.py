"""Child processes of the sandbox: started, awaited, stopped in order, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # ships no types; used in this file only

from keyturn.errors import UnavailableError
from keyturn.sandbox.files import write_private

_POLL_S = 0.03
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Attributes:
        argv: the program and its arguments. Everybody on the machine can read them, so never a secret.
        environment: all of the child's environment; nothing is inherited. Secrets go here.
        folder: its working directory.
        stop_signal: what asks it to end; it gets SIGKILL when it has not after `patience_s` seconds.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 10.0

    def __repr__(self) -> str:
        return f"Command({self.name!r})"


@dataclass(frozen=True, slots=True)
class Child:
    """A started process, leader of its own group, and its log file."""

    command: Command
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.command.name

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait_until(self, ready: Callable[[], bool], within_s: float = 60.0) -> None:
        """Poll until `ready` says so.

        Raises:
            UnavailableError: the process ended, or is not ready in time.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.alive:
                raise self._failure(f"ended with code {self.process.returncode} before it was ready")
            if time.monotonic() > deadline:
                raise self._failure(f"is not ready after {within_s:.0f} s")
            time.sleep(_POLL_S)

    def wait_for_end(self, within_s: float = 120.0) -> None:
        """Wait for a command that does its work and ends.

        Raises:
            UnavailableError: it failed, or did not end in time.
        """
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise self._failure(f"has not ended after {within_s:.0f} s") from None
        if code:
            raise self._failure(f"ended with code {code}")

    def _failure(self, problem: str) -> UnavailableError:
        return UnavailableError(self.name, problem, f"See {self.log}.")


class Children(AbstractContextManager["Children"]):
    """The processes of one sandbox. Leaving the context stops them, newest first.

    Safe to use from several threads. Each process is noted in `processes.json`, so that whoever opens the folder after
    a crash can end what is left; and a watchdog ends them when this process dies.

    Args:
        state: the sandbox's folder; logs go to `logs/` in it.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.logs = state / "logs"
        self._record = state / "processes.json"
        self._children: dict[int, Child] = {}
        self._lock = threading.RLock()
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._closed = False

    def __enter__(self) -> Self:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        end_leftovers(self._record)
        self._watchdog = _start_watchdog()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()
        if self._watchdog is not None:
            self._watchdog.communicate()
        self._record.unlink(missing_ok=True)

    def start(self, command: Command) -> Child:
        """Start a process in a session of its own, with its output in `logs/<name>.log`.

        Raises:
            UnavailableError: the sandbox is stopping.
        """
        log = self.logs / f"{command.name}.log"
        with self._lock, os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
            if self._closed:
                raise UnavailableError(command.name, "is not started: the sandbox is stopping")
            process = subprocess.Popen(  # noqa: S603  our own programs, no shell
                list(command.argv), env=dict(command.environment), cwd=command.folder, umask=0o077,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            child = self._children[process.pid] = Child(command, process, log)
            self._tell_watchdog(f"start {process.pid} {int(command.stop_signal)}")
            self._note()
        return child

    def run(self, command: Command, within_s: float = 120.0) -> None:
        """Run a command to its end.

        Raises:
            UnavailableError: it failed, or did not end in time.
        """
        child = self.start(command)
        try:
            child.wait_for_end(within_s)
        finally:
            self.stop(child)

    def stop(self, child: Child) -> None:
        """Ask it to end, and kill what is left of its group after the deadline."""
        _signal_group(child.process.pid, child.command.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(child.command.patience_s)
        _signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()
        with self._lock:
            self._children.pop(child.process.pid, None)
            self._tell_watchdog(f"gone {child.process.pid}")
            self._note()

    def stop_all(self) -> None:
        """Stop everything, newest first, and start nothing any more."""
        with self._lock:
            self._closed = True
        for child in reversed(list(self)):
            self.stop(child)

    def __iter__(self) -> Iterator[Child]:
        """Those that were started and not stopped, oldest first."""
        with self._lock:
            return iter(list(self._children.values()))

    def ended(self) -> list[Child]:
        """Those that ended although nobody stopped them."""
        return [child for child in self if not child.alive]

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            with suppress(BrokenPipeError):
                self._watchdog.stdin.write(line.encode() + b"\n")
                self._watchdog.stdin.flush()

    def _note(self) -> None:
        noted = [
            {"pid": pid, "created": _created(pid), "name": c.name, "signal": int(c.command.stop_signal)}
            for pid, c in self._children.items()
        ]
        write_private(self._record, json.dumps(noted))


def environment(home: Path, **more: str) -> dict[str, str]:
    """A child's environment: where programs are, a home and temporary folder of its own, and what is given.

    Nothing else is passed on, so no KEYTURN_ or PREFECT_ variable of the shell leaks in.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": home, "TMPDIR": home / "tmp"}
    for folder in own.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return passed_on | {name: str(folder) for name, folder in own.items()} | {"PYTHONUNBUFFERED": "1"} | more


def is_at_work(program: str, folder: Path) -> bool:
    """Whether a live process of that name has the folder as its working directory."""
    for process in psutil.process_iter(["name", "status", "cwd"]):
        info = process.info
        if info["name"] == program and info["status"] != psutil.STATUS_ZOMBIE and info["cwd"] == str(folder.resolve()):
            return True
    return False


def end_leftovers(record: Path, patience_s: float = 8.0) -> None:
    """End what an earlier process noted in `record` and did not live to stop. Pids taken by others are left alone."""
    if not record.exists():
        return
    noted = [entry for entry in json.loads(record.read_text()) if _created(entry["pid"]) in (None, entry["created"])]
    for entry in reversed(noted):
        _signal_group(entry["pid"], signal.Signals(entry["signal"]))
    deadline = time.monotonic() + patience_s
    while any(_group_lives(entry["pid"]) for entry in noted) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for entry in noted:
        _signal_group(entry["pid"], signal.SIGKILL)
    record.unlink()


def _start_watchdog() -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("watchdog.py")
    return subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-I", "-S", str(script)],
        env={}, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def _created(pid: int) -> float | None:
    """When a process started, to tell it from a later one with the same pid; `None` when there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _group_lives(pid: int) -> bool:
    """Whether anything but zombies is left of the group. An orphan's zombie stays where nobody reaps."""
    for process in psutil.process_iter(["pid", "status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
    return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
