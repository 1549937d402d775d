"""The fork server by itself: what it is, what it forks, and how a process is brought to its end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest
from prefect.logging.loggers import get_logger

from keyturn.settings import WorkerSettings
from keyturn.worker.forked import Forked, until_ready
from keyturn.worker.intent import Intent, Intents
from keyturn.worker.preloading import changed_at, preload, sources
from keyturn.worker.running import Execution, Running
from keyturn.worker.servers import Servers
from keyturn.worker.wire import Order

STUBBORN = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w').close(); time.sleep(60)"


@asynccontextmanager
async def servers(*modules: str) -> AsyncIterator[Servers]:
    """Fork servers that import these modules."""
    made = Servers(modules, get_logger("tests"))
    try:
        yield made
    finally:
        await made.close()


def order(folder: Path, *command: str) -> Order:
    """A process that becomes a program."""
    words = " ".join(f'"{word}"' for word in command)
    return Order(str(uuid4()), dict(os.environ), str(folder), command=words)


async def ended(process: Forked) -> int | None:
    """Its exit code."""
    return await asyncio.wait_for(asyncio.shield(process.end), 60)


async def there(file: Path) -> None:
    """Wait until a process has made a file."""
    while not file.exists():  # noqa: ASYNC110, ASYNC240  another process makes it
        await asyncio.sleep(0.05)


def test_it_has_everything_imported_and_neither_threads_nor_connections() -> None:
    """A thread or a connection from before a fork would be broken, or shared, after it."""

    async def look() -> None:
        async with servers(*WorkerSettings().preload.split()) as some:
            server = await some.refresh()
            ready = await until_ready(server)
            complete = await asyncio.wait_for(server.complete, 60)
            assert ready["missing"] == complete["missing"] == []
            assert complete["threads"] == psutil.Process(server.pid).num_threads() == 1
            assert psutil.Process(server.pid).net_connections("inet") == []
            assert str(Path(__file__).parents[2] / "keyturn" / "wiring.py") in complete["files"]

    asyncio.run(look())


def test_what_cannot_be_imported_is_told_and_stops_nothing(tmp_path: Path) -> None:
    """The flow that needs it fails by itself, and no other."""

    async def fork() -> None:
        async with servers("no_such_module") as some:
            process = await some.fork(order(tmp_path, sys.executable, "-c", "raise SystemExit(4)"))
            assert await ended(process) == 4
            assert (await until_ready(await some.refresh()))["missing"] == ["no_such_module"]

    asyncio.run(fork())


@pytest.mark.parametrize(("grace_s", "intent"), [(0.5, Intent.CANCEL), (30.0, Intent.RESCHEDULE)])
def test_who_does_not_listen_is_killed(tmp_path: Path, grace_s: float, intent: Intent) -> None:
    """After the grace; at once where it was not understood why, for then it would say Crashed of its run."""

    async def stop() -> None:
        async with servers() as some, Intents() as intents:
            running = Running(some, intents)
            made = order(tmp_path, sys.executable, "-c", STUBBORN, str(tmp_path / "deaf"))
            intents.expect(made.id)
            execution = Execution(uuid4(), 0, await some.fork(made))
            running.add(execution)
            await there(tmp_path / "deaf")
            began = time.monotonic()
            await running.stop(execution, intent, grace_s)
            assert time.monotonic() - began < 20
            assert await running.ended(execution) == -9
            assert len(running) == 0

    asyncio.run(stop())


def test_a_killed_server_is_replaced_and_its_process_is_seen_to_its_end(tmp_path: Path) -> None:
    """With which code it ended nobody can know any more, and nobody says so."""

    async def kill() -> None:
        async with servers() as some:
            made = order(tmp_path, sys.executable, "-c", STUBBORN, str(tmp_path / "orphan"))
            process = await some.fork(made)
            await there(tmp_path / "orphan")
            (dead,) = some.pids
            os.kill(dead, 9)
            other = await some.fork(order(tmp_path, sys.executable, "-c", "pass"))
            assert await ended(other) == 0
            assert dead not in some.pids
            assert not process.end.done()
            await some.signal(process, 9)
            assert await ended(process) is None

    asyncio.run(kill())


def test_a_burst_of_runs_is_forked_to_the_last(tmp_path: Path) -> None:
    """Many orders at once are more than the socket takes at once: none is lost, and none hangs."""

    async def fork() -> None:
        async with servers() as some:
            await until_ready(await some.refresh())
            many = [order(tmp_path, "true") for _ in range(120)]
            for one in many:
                one.environment["PADDING"] = "x" * 8000
            processes = await asyncio.wait_for(asyncio.gather(*(some.fork(one) for one in many)), 100)
            assert {await ended(process) for process in processes} == {0}

    asyncio.run(fork())


def test_a_file_from_the_future_has_changed_only_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was set back must not have every poll start another server."""
    file = tmp_path / "from_the_future.py"
    file.write_text("")
    later = time.time() + 3600
    os.utime(file, (later, later))
    monkeypatch.syspath_prepend(tmp_path)
    assert preload([file.stem]) == []
    found = sources(time.time())
    assert found[str(file)] == changed_at(str(file)) != 0
