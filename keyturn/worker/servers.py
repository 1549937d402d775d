"""Always a fresh fork server: a new one when the code changes or the old one is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from keyturn.errors import UnavailableError
from keyturn.worker.forked import Forked, ServerGoneError, ServerLink, start_server, until_ready
from keyturn.worker.wire import Order

_AGAIN_AFTER_S = 1.0
_TRIES = 3


class Servers:
    """The fork server in use, and older ones whose processes still run.

    Args:
        modules: what each imports before its first run.
    """

    def __init__(self, modules: Sequence[str], logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._modules = modules
        self._logger = logger
        self._current: ServerLink | None = None
        self._older: list[ServerLink] = []
        self._of: dict[str, ServerLink] = {}
        self._one_at_a_time = asyncio.Lock()

    @property
    def pids(self) -> list[int]:
        """Of the servers that live, the one in use first."""
        return [server.pid for server in (self._current, *self._older) if server is not None and server.alive]

    async def refresh(self) -> ServerLink:
        """See to it that there is a server, and that it is made from the code as it is now; it may not be ready yet."""
        async with self._one_at_a_time:
            if self._current is not None and (not self._current.alive or self._current.is_outdated()):
                reason = "its code has changed" if self._current.alive else "it is gone"
                self._logger.info("Starting a new fork server: %s", reason)
                self._older.append(self._current)
                self._current = None
            if self._current is None:
                self._current = await start_server(self._modules)
                self._current.ready.add_done_callback(lambda moment: self._tell("ready", moment))
                self._current.complete.add_done_callback(lambda moment: self._tell("complete", moment))
            await self._let_go_of_older()
            return self._current

    async def fork(self, order: Order) -> Forked:
        """Have a process forked by an up-to-date server.

        Raises:
            UnavailableError: no server comes up.
        """
        last: Exception | None = None
        for _ in range(_TRIES):
            try:
                server = await self.refresh()
                await until_ready(server)
                process = await server.fork(order)
            except (ServerGoneError, UnavailableError, OSError) as error:
                last = error
                self._logger.warning("No process was forked: %s", str(error) or type(error).__name__)
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            self._of[order.id] = server
            process.end.add_done_callback(lambda _: self._of.pop(order.id, None))
            return process
        if isinstance(last, UnavailableError):
            raise last  # which says why
        raise UnavailableError("fork server", "does not stay up", "Its own output, in the worker's, says why.")

    async def signal(self, process: Forked, number: int) -> None:
        """Send a process a signal, if it has not ended."""
        server = self._of.get(process.id)
        if server is not None:
            await server.signal(process, number)  # type: ignore[arg-type]  # any number is good

    async def close(self) -> None:
        """Let all servers go."""
        for server in (*self._older, *([self._current] if self._current else [])):
            with suppress(OSError):
                await server.close()
        self._current, self._older = None, []

    async def _let_go_of_older(self) -> None:
        for server in [server for server in self._older if server.idle]:
            self._older.remove(server)
            await server.close()

    def _tell(self, what: str, moment: asyncio.Future[Mapping[str, Any]]) -> None:
        if moment.cancelled() or moment.exception() is not None:
            return
        told = moment.result()
        self._logger.info("Fork server %s, with %d files of its own to watch", what, len(told["files"]))
        if told["missing"]:
            self._logger.warning("Not preloaded, each run has to try by itself: %s", ", ".join(told["missing"]))
        if told["threads"] != 1:
            self._logger.warning("The fork server has %d threads, which its processes lack", told["threads"])
