"""Flows for trying the sandbox's Prefect with; deployed under the names of keyturn's own."""

from __future__ import annotations

import logging
import os

from prefect import flow, task
from prefect.flow_runs import asuspend_flow_run


@task
def look_around() -> list[str]:
    """Names of the variables that a run sees."""
    logging.getLogger("httpx").info("GET https://example.com/?token=seen-in-a-log")
    return sorted(name for name in os.environ if name.startswith(("KEYTURN_", "PREFECT_", "LEAK")))


@flow(name="onboard", persist_result=False)
async def onboard() -> None:
    """Suspend once, then print what a run sees."""
    await asuspend_flow_run(key="gate", timeout=None)
    print("saw", *look_around())  # noqa: T201  into the worker's log, which the test reads


@flow(name="watch", persist_result=False)
async def watch() -> None:
    """Do nothing."""


@flow(name="rotate", persist_result=False)
async def rotate() -> None:
    """Do nothing."""


@flow(name="sweep", persist_result=False)
async def sweep() -> None:
    """Do nothing."""
