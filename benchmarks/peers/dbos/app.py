"""The journey on DBOS: one durable workflow, whose gates are messages that it waits for.

::

    register ► recv(approve) ► recv(gong_admin) ► fetch_secret ► store_secret ► create_profile ► link_account ► test
"""

from __future__ import annotations

import threading

import calls
from dbos import DBOS, DBOSConfig

DAYS_S = 14 * 86_400
DBOS(config=DBOSConfig(name="journey", system_database_url=calls.setting("DATABASE"), application_version="journey"))


@DBOS.workflow(name="journey")
def journey(key: str) -> None:
    """One integration."""
    DBOS.run_step({"name": "register"}, calls.register, key)
    wait_for(key, "approve")
    DBOS.run_step({"name": "gong_admin"}, calls.stamp, key, "next:approve")
    wait_for(key, "gong_admin")
    version = DBOS.run_step({"name": "fetch_secret"}, fetch_secret, key)
    DBOS.run_step({"name": "store_secret"}, calls.store_secret, key, version)
    profile = DBOS.run_step({"name": "create_profile"}, calls.create_profile, key)
    account = DBOS.run_step({"name": "link_account"}, calls.link_account, key, profile)
    DBOS.run_step({"name": "test_connection"}, calls.test_connection, key, profile, account)
    DBOS.run_step({"name": "done"}, calls.stamp, key, "done")


def wait_for(key: str, gate: str) -> None:
    """Say that a gate is open, and wait for the decision."""
    DBOS.run_step({"name": f"open_{gate}"}, calls.stamp, key, f"open:{gate}")
    if DBOS.recv(gate, timeout_seconds=DAYS_S) is None:
        raise TimeoutError(f"{key}: nobody decided at {gate}")


def fetch_secret(key: str) -> int:
    """The stage after the second gate, which says when it began."""
    calls.stamp(key, "next:gong_admin")
    return calls.fetch_secret(key)


if __name__ == "__main__":
    DBOS.launch()
    DBOS.register_queue("journeys")
    calls.stamp("", "ready")
    threading.Event().wait()
