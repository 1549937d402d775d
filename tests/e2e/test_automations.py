"""The example automations of `deployments/prefect`, on a real Prefect."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from keyturn.sandbox.prefect import prefect_environment

AUTOMATIONS = Path(__file__).parents[2] / "deployments" / "prefect" / "automations.yaml"


def tell(world: Any, method: str, path: str, body: Any = None) -> None:
    """A call of Prefect's API that is answered with nothing."""
    httpx.request(method, f"{world.running.prefect.api_url}{path}", json=body, trust_env=False).raise_for_status()


def emit(world: Any, event: str, resource: str) -> None:
    """What a task does when keyturn tells something."""
    said = {"event": event, "resource": {"prefect.resource.id": resource}, "id": str(uuid4())}
    tell(world, "POST", "/events", [said | {"occurred": datetime.now(UTC).isoformat(), "payload": {}}])


def made_by_automation(world: Any, deployment: str) -> list[str]:
    """Runs of a deployment that an automation has created."""
    runs = world.prefect("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
    return [run["id"] for run in runs if (run["created_by"] or {}).get("type") == "AUTOMATION"]


def test_the_examples_can_be_created_and_react(world: Any, tmp_path: Path) -> None:
    """All are accepted by the command in the README; an event about one integration runs the deployment, once."""
    watch = world.prefect("GET", "/deployments/name/watch/watch")["id"]
    file = tmp_path / "automations.yaml"
    file.write_text(AUTOMATIONS.read_text().replace("00000000-0000-0000-0000-00000000def0", watch))
    made = subprocess.run(
        [sys.executable, "-m", "prefect", "automation", "create", "--from-file", str(file)],
        env=prefect_environment(tmp_path, world.running.prefect.api_url),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    automations = world.prefect("POST", "/automations/filter", {})
    try:
        assert len(automations) == AUTOMATIONS.read_text().count("- name: ")
        before = made_by_automation(world, watch)
        emit(world, "keyturn.rotation.planned", "keyturn.integration.acme.production")
        emit(world, "keyturn.rotation.rolled_back", "something.else")
        emit(world, "keyturn.rotation.rolled_back", "keyturn.integration.acme.production")
        world.until(lambda: len(made_by_automation(world, watch)) > len(before), "a run made by an automation")
        assert len(made_by_automation(world, watch)) == len(before) + 1
    finally:
        for automation in automations:
            tell(world, "DELETE", f"/automations/{automation['id']}")
