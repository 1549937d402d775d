"""From a manifest to a tested StackOne connection.

::

    register ► approve ► gong_admin ► fetch_secret ► store_secret ► create_profile ► link_account ► test_connection
                (gate)     (gate)                                  (gate if by hand)    (gate)

After every suspension Prefect runs this function from the top, perhaps on another machine. Each stage looks for its
receipt in the ledger first, so what was done is not done again.
"""

from __future__ import annotations

from prefect import flow

from flows.pausing import settled
from tasks import onboarding as stage


@flow(name="onboard", flow_run_name="onboard {key}", persist_result=False, validate_parameters=True)
async def onboard(key: str, attempt: str | None = None) -> str:
    """Onboard one integration.

    Args:
        key: `tenant/environment`.
        attempt: the attempt's id, as `keyturn onboard` passes it; without one, the registered manifest is used and one
            approval more is asked for, since Prefect cannot say who started the run.

    Returns:
        The verdict in one line.
    """
    run = stage.begin(key, attempt)
    stage.register(run)
    await settled(stage.approve, run)
    await settled(stage.gong_admin, run)
    stage.fetch_secret(run)
    stage.store_secret(run)
    await settled(stage.create_profile, run)
    await settled(stage.link_account, run)
    return stage.test_connection(run)
