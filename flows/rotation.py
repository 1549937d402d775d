"""Turning a client secret.

::

    preflight ► approve ► gong_rotation ► stage_secret ► probe_secret ► apply ► verify ► promote ► retire
                 (gate)    (gate: the click)               (gate if wrong) (gate   (gate:           (gate: the
                                                                         by hand)  a proof)         grace's end)

The click in Gong is the point of no return. Until it, a failure costs nothing; after it, a rotation that cannot go on
is halted, and somebody is paged. As in an onboarding, every run begins at the top and finds its receipts.
"""

from __future__ import annotations

from prefect import flow

from flows.pausing import settled
from keyturn.domain.attempt import Execution
from keyturn.errors import RollBackWantedError
from tasks import named
from tasks import rotation as stage


@flow(name="rotate", flow_run_name="rotate {key}", persist_result=False, validate_parameters=True)
async def rotate(key: str, attempt: str | None = None) -> str:
    """Turn the client secret of one integration.

    Args:
        key: `tenant/environment`.
        attempt: the attempt's id, as `keyturn rotate` and the sweep pass it; without one, one approval more is asked
            for, since Prefect cannot say who started the run.

    Returns:
        What was done, in one line.
    """
    run = stage.begin(key, attempt)
    with stage.paging(run):
        try:
            return await _turned(run)
        except RollBackWantedError:
            await settled(stage.roll_back, run)
            return stage.rolled_back(run)


@flow(name="sweep", flow_run_name=named.by_time, persist_result=False, validate_parameters=True)
async def sweep(dry_run: bool = False) -> list[str]:  # noqa: FBT001, FBT002  a switch in Prefect's form
    """Start the rotations that are due by their manifests.

    Args:
        dry_run: only say what would be started, and why the others would not.

    Returns:
        A line for each integration.
    """
    return stage.sweep(dry_run=dry_run)


async def _turned(run: Execution) -> str:
    stage.heed(run)
    stage.preflight(run)
    await settled(stage.approve, run)
    await settled(stage.gong_rotation, run)
    stage.stage_secret(run)
    await settled(stage.probe_secret, run)
    await settled(stage.apply, run)
    await settled(stage.verify, run)
    stage.promote(run)
    await settled(stage.retire, run)
    return stage.conclude(run)
