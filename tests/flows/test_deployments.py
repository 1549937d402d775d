from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"]


def flow_of(entrypoint: str) -> Flow[Any, Any]:
    """The flow that a module-path entry point names."""
    module, _, name = entrypoint.rpartition(".")
    found = getattr(import_module(module), name)
    assert isinstance(found, Flow)
    return found


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_every_deployment_names_a_flow_by_its_module_path(deployment: dict[str, Any]) -> None:
    """A file path would load a second copy of every class."""
    assert ":" not in deployment["entrypoint"]
    assert flow_of(deployment["entrypoint"]).name == deployment["name"]
    assert "keyturn" in deployment["tags"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_flows_are_asynchronous_and_persist_nothing(deployment: dict[str, Any]) -> None:
    """A synchronous flow costs a second at its end; a persisted result is a pickle in clear."""
    flow = flow_of(deployment["entrypoint"])
    assert flow.isasync
    assert flow.persist_result is False
    assert not flow.retries, "retries of a flow forget which pauses were resumed"


def test_nothing_is_pulled_or_copied_when_a_run_starts() -> None:
    """Workers run the installed wheel."""
    assert YAML(typ="safe").load(ROOT / "prefect.yaml")["pull"] == []
