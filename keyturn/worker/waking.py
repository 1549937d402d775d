"""Wakes the worker by Prefect's own event stream. Polling goes on beside it, as the safety net."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter, EventResourceFilter

_PREFIX = "prefect.flow-run."
_JITTER_S = 0.01
_AGAIN_AFTER_S = (0.02, 0.05, 0.2, 0.6)
_WANTED_FOR_S = 1.5  # longer, it is another worker's
_BACKOFF_S = (0.2, 30.0)
_STEADY_S = 10.0  # a stream that was heard for so long is none that breaks off at once


class Waking:
    """Listens for runs of one work pool that may be started, and for those that are to be cancelled.

    Any number of events that arrive while the worker asks for work lead to one more question. A run whose event was
    heard and that was not among the answer (the event is told before the server has committed it, or another worker
    was quicker) is asked for a few times more, soon.

    Args:
        poll: asks for work and submits it; gives the runs that were taken.
        cancel: ends a run, if it is one of this worker's.
    """

    def __init__(
        self,
        poll: Callable[[], Awaitable[set[UUID]]],
        cancel: Callable[[UUID], Coroutine[Any, Any, None]],
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._poll, self._cancel, self._logger = poll, cancel, logger
        self._wanted: dict[UUID, float] = {}
        self._due = asyncio.Event()
        self._cancelling: set[asyncio.Task[None]] = set()

    def now(self) -> None:
        """Have the worker ask for work at once."""
        self._due.set()

    async def ask_when_due(self) -> None:
        """Ask for work whenever there is reason to; for ever."""
        while True:
            await self._due.wait()
            await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311  so that not all workers ask at once
            await self._ask()

    async def listen(self, pool: UUID) -> None:
        """Follow the stream; for ever, whatever happens to the connection."""
        wait_s, longest_s = _BACKOFF_S
        while True:
            try:
                async with get_events_subscriber(filter=_about(pool), reconnection_attempts=0) as events:
                    self.now()  # what happened in between was not heard
                    connected = time.monotonic()
                    async for event in events:
                        self._heard(event)
                        if time.monotonic() - connected > _STEADY_S:
                            wait_s = _BACKOFF_S[0]
            except Exception as error:  # noqa: BLE001  whatever it is, polling goes on and the stream is tried again
                self._logger.debug("The event stream broke off (%s)", type(error).__name__)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  not all workers at once
            wait_s = min(wait_s * 2, longest_s)

    def _heard(self, event: Event) -> None:
        run = UUID(event.resource.id.removeprefix(_PREFIX))
        if event.resource.get("prefect.state-type") == "CANCELLING":
            task = asyncio.create_task(self._cancel(run))
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)
        else:
            self._wanted[run] = time.monotonic()
            self.now()

    async def _ask(self) -> None:
        self._due.clear()
        for wait_s in (0.0, *_AGAIN_AFTER_S):
            await asyncio.sleep(wait_s)
            taken, now = await self._asked(), time.monotonic()
            self._wanted = {
                run: at for run, at in self._wanted.items() if run not in taken and now - at < _WANTED_FOR_S
            }
            if not self._wanted or self._due.is_set():
                return  # what is due now asks again, for these too

    async def _asked(self) -> set[UUID]:
        try:
            return await self._poll()
        except Exception as error:  # noqa: BLE001  the regular poll has its own ways to deal with a server that is away
            self._logger.debug("Asking for work failed (%s)", type(error).__name__)
            return set()


def _about(pool: UUID) -> EventFilter:
    """States of this pool's runs. By their type: a resumed run is `Resuming`, a retried one `AwaitingRetry`."""
    return EventFilter(
        event=EventNameFilter(prefix=[_PREFIX]),
        resource=EventResourceFilter(labels={"prefect.state-type": ["SCHEDULED", "CANCELLING"]}),
        any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{pool}"]),
    )
