"""Looking after what nobody is there for."""

from __future__ import annotations

from prefect import flow

from tasks.monitoring import tick


@flow(name="watch", persist_result=False)
async def watch() -> int:
    """Wake runs whose gates were decided or have settled themselves, and ask old questions afresh.

    Returns:
        How many runs were woken.
    """
    return tick()
