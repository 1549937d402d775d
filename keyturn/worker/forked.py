"""The worker's side of the fork server: starting one, having processes forked, and knowing what became of each."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from prefect.settings import get_current_settings

from keyturn.errors import UnavailableError
from keyturn.worker.opening import GIVEN, Process, opened, opened_early
from keyturn.worker.preloading import changed_at
from keyturn.worker.wire import Lines, Order, line, order_line

_CHUNK = 1 << 16
_LOOK_S = 0.1
_READY_WITHIN_S = 120.0


@dataclass(eq=False, slots=True)
class Forked:
    """A process of one flow run.

    Attributes:
        end: its exit code once it has ended, negative for a signal as everywhere in Python; `None` when it has ended
            and nobody knows how, because its fork server was gone by then.
    """

    id: str
    pid: int
    end: asyncio.Future[int | None] = field(repr=False)


class ServerGoneError(Exception):
    """The fork server ended before it answered."""


class ServerLink:
    """One running fork server.

    Attributes:
        ready: it forks; with the files that it was made from, what could not be imported, and its threads.
        complete: it has imported all that it was told to; the same anew.
    """

    def __init__(self, process: Process, link: socket.socket) -> None:
        self.ready: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.complete: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.alive = True
        self._process = process
        self._link = link
        self._orders: dict[str, asyncio.Future[Forked]] = {}
        self._running: dict[str, Forked] = {}
        self._reader = asyncio.create_task(self._read(), name="fork server")
        self._watchers: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()  # two that send at once on one socket lose each other's lines

    @property
    def pid(self) -> int:
        """Of the server itself."""
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether none of its processes runs."""
        return not self._running and not self._orders

    def is_outdated(self) -> bool:
        """Whether a file that it was made from has changed since."""
        known = next((moment for moment in (self.complete, self.ready) if moment.done()), None)
        if known is None or known.cancelled() or known.exception():
            return False
        return any(changed_at(path) != at for path, at in known.result()["files"].items())

    async def fork(self, order: Order) -> Forked:
        """Have a process forked.

        Raises:
            ServerGoneError: the server is gone; nothing was started that anybody waits for.
            UnavailableError: the system gives no more processes.
        """
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._orders[order.id] = answer
        try:
            await self._say(order_line(order))
            return await answer
        finally:
            self._orders.pop(order.id, None)

    async def signal(self, process: Forked, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        if self.alive:
            with suppress(ServerGoneError):
                await self._say(line({"signal": {"id": process.id, "number": int(number)}}))
                return
        if not process.end.done():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    async def close(self) -> None:
        """Let the server go, which leaves the processes alone that still run."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        for watcher in self._watchers:
            watcher.cancel()
        self._link.close()
        await asyncio.to_thread(_reaped, self._process)

    async def _say(self, message: bytes) -> None:
        async with self._one_at_a_time:
            if not self.alive:
                raise ServerGoneError
            try:
                await asyncio.get_running_loop().sock_sendall(self._link, message)
            except OSError:
                raise ServerGoneError from None
            except asyncio.CancelledError:
                with suppress(OSError):  # half a line may be out, after which the server would understand nothing more
                    self._link.shutdown(socket.SHUT_RDWR)
                raise

    async def _read(self) -> None:
        try:
            async for message in self._messages():
                self._heard(message)
        finally:
            self._lost()

    async def _messages(self) -> AsyncIterator[dict[str, Any]]:
        lines, loop = Lines(), asyncio.get_running_loop()
        with suppress(OSError):
            while data := await loop.sock_recv(self._link, _CHUNK):
                for message in lines.feed(data):
                    yield message

    def _heard(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            _settle(self.ready, message["ready"])
        elif "complete" in message:
            _settle(self.complete, message["complete"])
        elif "forked" in message:
            made = Forked(message["forked"], message["pid"], asyncio.get_running_loop().create_future())
            self._running[made.id] = made
            _settle(self._orders.get(made.id), made)
        elif "refused" in message:
            problem = UnavailableError("fork server", f"cannot fork: {message['why']}", "Free memory or processes.")
            _settle(self._orders.get(message["refused"]), problem)
        elif "ended" in message:
            _settle(self._running.pop(message["ended"]).end, message["status"])

    def _lost(self) -> None:
        """The server is gone: whoever waits for an answer is told, and its processes are watched from here."""
        self.alive = False
        for moment in (self.ready, self.complete):
            _settle(moment, ServerGoneError())
        for waiting in self._orders.values():
            _settle(waiting, ServerGoneError())
        self._watchers = {asyncio.create_task(self._watch(process)) for process in self._running.values()}

    async def _watch(self, process: Forked) -> None:
        """Wait for the end of a process that is nobody's child here: it is seen, but not with which code."""
        while _lives(process.pid):
            await asyncio.sleep(_LOOK_S)
            self._process.poll()  # which lets the dead server go
        self._running.pop(process.id, None)
        _settle(process.end, None)


async def start_server(modules: Sequence[str]) -> ServerLink:
    """Start a fork server, or take the one that was started for this worker before; it becomes ready by and by."""
    started = opened_early(modules) or opened(modules, _variables())
    return ServerLink(started.process, started.link)


def _variables() -> dict[str, str]:
    """As each run gets them, so that what Prefect reads from them need not be read again for each run."""
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return {**GIVEN, **os.environ, **settings}


async def until_ready(server: ServerLink) -> Mapping[str, Any]:
    """Wait until it forks.

    Raises:
        UnavailableError: it ended before that, or takes too long.
    """
    try:
        return await asyncio.wait_for(asyncio.shield(server.ready), _READY_WITHIN_S)
    except (ServerGoneError, TimeoutError):
        remedy = "Its own output, in the worker's, says why."
        raise UnavailableError("fork server", "does not come up", remedy) from None


def _settle(waiting: asyncio.Future[Any] | None, answer: object) -> None:
    if waiting is None or waiting.done():
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
        waiting.exception()  # it may be that nobody waits any more, which is no fault
    else:
        waiting.set_result(answer)


def _lives(pid: int) -> bool:
    """Whether a process is there that has not ended; one that ended may stay where nobody reaps."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123  there or not
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True  # no /proc on this system


def _reaped(process: Process, patience_s: float = 5.0) -> None:
    deadline = time.monotonic() + patience_s
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(_LOOK_S)
