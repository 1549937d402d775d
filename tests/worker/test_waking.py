"""When the worker asks for work, beside its regular polls."""

from __future__ import annotations

import asyncio
import logging
import time
from uuid import UUID, uuid4

from prefect.events import Event

from keyturn.worker.waking import Waking


def test_a_run_that_was_heard_of_is_asked_for_until_it_is_there() -> None:
    """Its state is kept a little after its event, and something else wakes the worker in between."""
    run, began, taken = uuid4(), time.monotonic(), asyncio.Event()

    async def poll() -> set[UUID]:
        if time.monotonic() - began < 0.15:
            return set()
        taken.set()
        return {run}

    async def cancel(_: UUID) -> None:
        raise AssertionError("nobody cancels")

    async def wake() -> None:
        waking = Waking(poll, cancel, logging.getLogger("tests"))
        asking = asyncio.create_task(waking.ask_when_due())
        waking._heard(_scheduled(run))
        for _ in range(5):
            await asyncio.sleep(0.01)
            waking.now()
        await asyncio.wait_for(taken.wait(), 5)
        asking.cancel()

    asyncio.run(wake())


def test_a_run_that_others_took_is_not_asked_for_for_ever() -> None:
    """After a second or two nobody waits for it any more."""
    asked: list[float] = []

    async def poll() -> set[UUID]:
        asked.append(time.monotonic())
        return set()

    async def cancel(_: UUID) -> None:
        raise AssertionError("nobody cancels")

    async def wake() -> None:
        waking = Waking(poll, cancel, logging.getLogger("tests"))
        asking = asyncio.create_task(waking.ask_when_due())
        waking._heard(_scheduled(uuid4()))
        assert waking._wanted
        while waking._wanted:
            await asyncio.sleep(0.01)
            waking.now()  # others' runs begin and end meanwhile
        assert len(asked) > 1
        asking.cancel()

    asyncio.run(asyncio.wait_for(wake(), 20))


def _scheduled(run: UUID) -> Event:
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.state-type": "SCHEDULED"}
    return Event(event="prefect.flow-run.Resuming", resource=resource)  # type: ignore[arg-type]  # it makes its own
