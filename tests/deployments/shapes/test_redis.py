"""Every part of Prefect that goes through Redis is told where it is, in each shape as on the cluster."""

from __future__ import annotations

import re
from typing import cast

from keyturn.sandbox.cluster.redis import Redis
from keyturn.sandbox.processes import Child
from tests.deployments.shapes.test_charts import BY_THE_CHART, README, SERVER
from tests.deployments.shapes_of import DEPLOYMENTS, read_yaml

COMPOSE = DEPLOYMENTS / "compose"
# Ports are Redis' own in both shapes, and so need not be said.
CLUSTER = {name for name in Redis(cast("Child", None), 6379, "c4n4ry").settings if not name.endswith("_PORT")}


def test_the_cluster_tells_each_part() -> None:
    """What the tests below look for: messages and the clearing up after workers have an address and a password each."""
    parts = ("MESSAGING", "WORKER_CLEANUP_QUEUE")
    assert {f"PREFECT_REDIS_{part}_{what}" for part in parts for what in ("HOST", "PASSWORD")} <= CLUSTER


def test_compose_tells_each_part() -> None:
    """Hosts in compose.yaml, passwords by secrets.sh."""
    told = read_yaml(COMPOSE / "compose.yaml")[0]["services"]["prefect-1"]["environment"]
    made = re.findall(r"^(PREFECT_\w+)=.*redis_password", (COMPOSE / "secrets.sh").read_text(), re.MULTILINE)
    assert CLUSTER - told.keys() - set(made) == set()
    assert {value for name, value in told.items() if re.search(r"REDIS_\w+_HOST$", name)} == {"redis"}


def test_kubernetes_tells_each_part() -> None:
    """Hosts in the chart's values, the same one for all; passwords in the Secret that the README describes."""
    told = {one["name"]: one["value"] for one in SERVER["global"]["prefect"]["env"]}
    (described,) = re.findall(r"`prefect-server\.env` has .*?\n\n", README, re.DOTALL)
    made = set(re.findall(r"PREFECT_\w+", described))
    assert CLUSTER - told.keys() - BY_THE_CHART - made == set()
    assert told["PREFECT_REDIS_WORKER_CLEANUP_QUEUE_HOST"] == SERVER["backgroundServices"]["messaging"]["redis"]["host"]
