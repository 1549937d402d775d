"""Flows that show what their process is like, and that last, fail or misbehave as a test wants it."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import random
import sys
import time
from pathlib import Path

from prefect import flow
from prefect.flow_runs import asuspend_flow_run

COUNT = [0]
LONGEST_S = 120.0


@flow(name="look", persist_result=False)
async def look(file: str) -> None:
    """Write down what the process looks like from inside."""
    COUNT[0] += 1
    looks = {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "folder": str(Path.cwd()),
        "run": os.environ.get("PREFECT__FLOW_RUN_ID"),
        "given": os.environ.get("KEYTURN_GIVEN"),
        "random": random.random(),  # noqa: S311  to see whether two processes draw the same
        "count": COUNT[0],
        "forked": "keyturn.worker.fork_server" in sys.modules or "keyturn.worker.child" in sys.modules,
        "control": os.environ.get("PREFECT__CONTROL_TOKEN"),
    }
    Path(file).write_text(json.dumps(looks))
    print("looked around")  # noqa: T201  into the worker's log, which the test reads


@flow(name="last", persist_result=False)
async def last(file: str) -> None:
    """Leave a mark every tenth of a second, until somebody puts a file that says so beside it."""
    deadline = time.monotonic() + LONGEST_S
    while not Path(file + ".enough").exists() and time.monotonic() < deadline:
        with Path(file).open("a") as marks:
            marks.write(f"{os.getpid()} {time.time()}\n")
        await asyncio.sleep(0.1)


@flow(name="end", persist_result=False)
async def end(how: str) -> None:
    """End badly."""
    if how == "raise":
        raise ValueError("as it was asked for")
    os._exit(3)


@flow(name="slow_to_go", persist_result=False)
async def slow_to_go(file: str) -> None:
    """Suspend. The first process stays until the second is past the gate, and ends with a code that means a crash."""
    if not Path(file).exists():
        Path(file).write_text(f"{os.getpid()}")
        atexit.register(_slowly, Path(file + ".enough"))
    await asuspend_flow_run(key="gate", timeout=None)
    Path(file + ".after").write_text(f"{os.getpid()}")
    await last.fn(file + ".marks")


def _slowly(until: Path) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not until.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os._exit(7)
