"""The values for Prefect's own charts: read against what the charts do with them, for Helm is not here to try."""

from __future__ import annotations

import re
from typing import Any

from tests.deployments.shapes_of import DEPLOYMENTS, read_yaml, strangers

FOLDER = DEPLOYMENTS / "kubernetes"
README = (FOLDER / "README.md").read_text()
SERVER: dict[str, Any] = read_yaml(FOLDER / "helm" / "prefect-server.yaml")[0]
WORKER: dict[str, Any] = read_yaml(FOLDER / "helm" / "prefect-worker.yaml")[0]
DOCKERFILE = (DEPLOYMENTS / "image" / "Dockerfile").read_text()
# What prefect-server sets by itself, with its background services apart and Redis as their broker.
BY_THE_CHART = {
    "HOME",
    "PREFECT_DEBUG_MODE",
    "PREFECT_LOGGING_SERVER_LEVEL",
    "PREFECT_MESSAGING_BROKER",
    "PREFECT_MESSAGING_CACHE",
    "PREFECT_REDIS_MESSAGING_DB",
    "PREFECT_REDIS_MESSAGING_HOST",
    "PREFECT_REDIS_MESSAGING_PORT",
    "PREFECT_REDIS_MESSAGING_USERNAME",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_API_BASE_PATH",
    "PREFECT_SERVER_API_HOST",
    "PREFECT_SERVER_API_PORT",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING",
    "PREFECT_UI_API_URL",
    "PREFECT_UI_ENABLED",
    "PREFECT_UI_STATIC_DIRECTORY",
}


def test_the_charts_are_of_one_version() -> None:
    """The one that the values were read against, wherever a chart is named; another may call things otherwise."""
    told = README + "".join(file.read_text() for file in (FOLDER / "helm").iterdir())
    charts = re.findall(r"prefect/prefect-(?:server|worker)(?: --version (\S+))?", told)
    assert len(charts) >= 5
    assert set(charts) == {"2026.8.18172642"}


def test_values_have_the_names_of_that_version() -> None:
    """Those of the worker's chart have changed once, and it takes no others."""
    assert WORKER.keys() == {"worker", "serviceAccount"}
    told = WORKER["worker"]
    assert told["apiConfig"] == "selfHostedServer"
    api = read_yaml(FOLDER / "settings.yaml")[0]["data"]["PREFECT_API_URL"]
    assert told["selfHostedServerApiConfig"] == {"apiUrl": api}
    assert told.keys() - {"apiConfig", "selfHostedServerApiConfig"} == {
        "config",
        "containerSecurityContext",
        "extraEnvVars",
        "extraEnvVarsSecrets",
        "image",
        "replicaCount",
        "resources",
    }


def test_prefect_is_reached_with_tls_alone() -> None:
    """The chart passes `extraTls` on as it is; of `tls` it makes nothing, unless cert-manager is asked as well."""
    ingress = SERVER["ingress"]
    host = ingress["host"]["hostname"]
    assert ingress["extraTls"] == [{"hosts": [host], "secretName": "prefect-tls"}]
    assert "tls" not in ingress
    assert SERVER["server"]["uiConfig"]["prefectUiApiUrl"] == f"https://{host}/api"


def test_each_certificate_is_made() -> None:
    """The README makes the Secret that each Ingress names, in its namespace."""
    (console,) = (o for o in read_yaml(FOLDER / "console.yaml") if o["kind"] == "Ingress")
    for space, tls in (("keyturn", console["spec"]["tls"]), ("prefect", SERVER["ingress"]["extraTls"])):
        for one in tls:
            assert f"kubectl -n {space} create secret tls {one['secretName']} --cert=" in README


def test_each_variable_is_given_once() -> None:
    """Helm 4 refuses a container that has one twice, also when the other one is the chart's own."""
    told = [one["name"] for one in (*SERVER["global"]["prefect"]["env"], *SERVER["server"]["env"])]
    assert len(set(told)) == len(told)
    assert set(told) & BY_THE_CHART == set()


def test_servers_are_started_by_what_the_image_has() -> None:
    """The charts would start tini and a script of Prefect's image; ours is Debian's Python, which has neither."""
    assert "FROM python:3.11-slim\n" in DOCKERFILE
    for part in ("server", "backgroundServices"):
        assert SERVER[part]["command"] == ["/usr/bin/env"]
        assert "args" not in SERVER[part]
    assert SERVER["migrations"]["entrypoint"] == ["/bin/bash", "-c"]


def test_the_root_file_system_may_be_read_only() -> None:
    """The chart says so; the image writes to /tmp, which the chart gives to the servers and not to the migrations."""
    migrations = SERVER["migrations"]
    (mount,) = migrations["extraVolumeMounts"]
    assert mount == {"name": migrations["extraVolumes"][0]["name"], "mountPath": "/tmp"}  # noqa: S108


def test_values_for_the_charts_name_settings() -> None:
    """Those that the charts pass on as variables; several servers share nothing but PostgreSQL and Redis."""
    told = {one["name"]: one["value"] for one in (*SERVER["global"]["prefect"]["env"], *SERVER["server"]["env"])}
    assert strangers(set(told) | BY_THE_CHART) == set()
    compose = read_yaml(DEPLOYMENTS / "compose" / "compose.yaml")[0]["services"]["prefect-1"]["environment"]
    shared = {name: value for name, value in compose.items() if str(value).startswith("prefect_redis.")}
    assert shared.keys() - BY_THE_CHART <= told.keys()
    assert all(told[name] == value for name, value in shared.items() if name in told)
    messaging = SERVER["backgroundServices"]["messaging"]
    assert messaging["broker"] == messaging["cache"] == "prefect_redis.messaging"  # else the chart leaves the rest out
    assert SERVER["backgroundServices"]["runAsSeparateDeployment"] is True
    assert (SERVER["server"]["replicaCount"], SERVER["postgresql"]["enabled"]) == (2, False)
    for name in ("prefect-login", "prefect-server", "prefect-database"):
        assert re.search(rf"create secret \w+ {name} ", README)


def test_a_job_names_prefects_login_and_does_not_hold_it() -> None:
    """Whoever may read Jobs reads no login: prefect-kubernetes is told of the Secret that the worker has it from."""
    worker = WORKER["worker"]
    told = {one["name"].rpartition("AUTH_STRING_SECRET_")[2]: one["value"] for one in worker["extraEnvVars"]}
    assert told == {"NAME": worker["extraEnvVarsSecrets"][0], "KEY": "PREFECT_API_AUTH_STRING"}
    assert f"secret generic {told['NAME']} --from-env-file=prefect-client.env" in README
    assert f"`prefect-client.env` has `{told['KEY']}`" in README
