"""Looking after what nobody is there for: runs, gates, graces, and the health of every integration."""

from __future__ import annotations

from collections.abc import Callable

from prefect import flow

from tasks import monitoring as look
from tasks import named

PARTS: tuple[Callable[[], int], ...] = (
    look.gates,
    look.lost_runs,
    look.alarms,
    look.notices,  # what is urgent does not wait for the vendors
    look.health,
    look.audit_trail,
    look.notices,  # last, so that it tells what the others found
)


@flow(name="watch", flow_run_name=named.by_time, persist_result=False)
async def watch() -> dict[str, int]:
    """One round. Each part is done whatever becomes of the others, and what failed is raised at the end.

    Returns:
        What each part did, as a number.

    Raises:
        ExceptionGroup: of the parts that failed.
    """
    done: dict[str, int] = {}
    failed: list[Exception] = []
    for part in PARTS:
        try:
            done[part.__name__] = done.get(part.__name__, 0) + part()
        except Exception as error:  # noqa: BLE001  the next part has its turn all the same
            failed.append(error)
    if failed:
        raise ExceptionGroup("parts of the watch failed", failed)
    return done
