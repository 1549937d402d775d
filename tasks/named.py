"""What runs are called that are about no single integration, so that Prefect's lists can be read."""

from __future__ import annotations

from prefect import runtime


def by_time() -> str:
    """The flow and when the run was due, e.g. `watch 2026-03-02 09:30`, in UTC."""
    return f"{runtime.flow_run.get_flow_name()} {runtime.flow_run.get_scheduled_start_time():%Y-%m-%d %H:%M}"
