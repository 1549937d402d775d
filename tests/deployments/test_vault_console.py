"""Every permission and every denial of `deployments/vault/keyturn-console.hcl`, on a real OpenBao."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.vault_api import VaultApi
from tests.deployments.allowed import PAIR, denied, deposit

INTAKE = "auth/token/create/keyturn-intake"
LOOKUP = "identity/lookup/entity"
_numbers = count(1)


def wrapped(api: VaultApi, path: str, ttl: str = "60s") -> str:
    """Read a path wrapped; returns the wrapping token."""
    return str(api.read(path, X_Vault_Wrap_TTL=ttl)["wrap_info"]["token"])


@pytest.fixture
def stored(bao: OpenBao) -> str:
    """An integration with a stored pair and a pointer."""
    path = f"acme/console-{next(_numbers)}"
    with bao.api() as root:
        root.write(f"keyturn/data/{path}/client", deposit())
        root.write(f"keyturn/data/{path}/pointer", {"options": {"cas": 0}, "data": {"fence": 1}})
    return path


@pytest.fixture
def console(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as the console, by AppRole."""
    with VaultApi(bao.addr) as nobody:
        body = {"role_id": bao.console_role_id, "secret_id": bao.console_secret_id}
        answer = nobody.write("auth/approle/login", body)
    with bao.api(answer["auth"]["client_token"]) as api:
        yield api


@pytest.fixture
def bob(bao: OpenBao) -> Iterator[VaultApi]:
    """Signed in as a person, so that Vault knows them."""
    with bao.api(bao.login("bob")) as api:
        yield api


def alias(bao: OpenBao, name: str) -> dict[str, Any]:
    """What the console asks about somebody of the sandbox's sign-in."""
    with bao.api() as root:
        accessor = root.read("sys/auth")["data"]["userpass/"]["accessor"]
    return {"alias_name": name, "alias_mount_accessor": accessor}


def test_console_stores_a_pair_through_an_intake_token_only(bao: OpenBao, console: VaultApi, stored: str) -> None:
    """It mints a token that writes one version; with its own it gets 403 for every way of changing a pair."""
    token = console.write(INTAKE)["auth"]
    assert (token["policies"], token["num_uses"]) == (["keyturn-intake"], 1)
    with bao.api(token["client_token"]) as once:
        assert once.write(f"keyturn/data/{stored}/client", deposit(1))["data"]["version"] == 2
    for method, what in [("POST", "data"), ("PATCH", "data"), ("DELETE", "data"), ("POST", "metadata"),
                         ("DELETE", "metadata"), ("PUT", "destroy"), ("POST", "undelete")]:  # fmt: skip
        assert denied(console, method, f"keyturn/{what}/{stored}/client", {**deposit(2), "versions": [1]})


def test_console_reads_a_pair_wrapped_only(bao: OpenBao, console: VaultApi, stored: str) -> None:
    """In clear it gets 403, and so for a wrapping of more than ten minutes; a wrapping token opens exactly once."""
    path = f"keyturn/data/{stored}/client"
    assert denied(console, "GET", path)
    with pytest.raises(VendorRefusedError, match="403"):
        wrapped(console, path, "11m")
    with bao.api(wrapped(console, f"{path}?version=1")) as holder:
        assert holder.write("sys/wrapping/unwrap")["data"]["data"] == PAIR


def test_console_opens_what_somebody_wrapped(bao: OpenBao, console: VaultApi) -> None:
    """A wrapping token that a person hands over can be opened by it."""
    with bao.api() as root:
        made = root.call("POST", "sys/wrapping/wrap", PAIR, {"X-Vault-Wrap-TTL": "60s"})
    assert console.write("sys/wrapping/unwrap", {"token": made["wrap_info"]["token"]})["data"] == PAIR


def test_console_sees_what_is_in_use(console: VaultApi, stored: str) -> None:
    """It reads pointer, metadata and how the mount is made, and cannot move the pointer."""
    assert console.read(f"keyturn/data/{stored}/pointer")["data"]["data"] == {"fence": 1}
    assert console.read(f"keyturn/metadata/{stored}/client")["data"]["current_version"] == 1
    assert console.read("sys/internal/ui/mounts/keyturn")["data"]["options"]["version"] == "2"
    assert denied(console, "POST", f"keyturn/data/{stored}/pointer", {"options": {"cas": 1}, "data": {"fence": 2}})
    assert denied(console, "DELETE", f"keyturn/metadata/{stored}/pointer")


def test_console_makes_fingerprints_and_signs_evidence(console: VaultApi) -> None:
    """It uses both keys, and can neither export, change nor delete them."""
    data: dict[str, object] = {"input": base64.b64encode(b"evidence").decode()}
    assert console.write("transit/hmac/keyturn-fingerprint", data)["data"]["hmac"]
    assert console.write("transit/sign/keyturn-evidence", data)["data"]["signature"]
    assert console.read("transit/keys/keyturn-evidence")["data"]["type"] == "ecdsa-p256"
    for key in ("keyturn-fingerprint", "keyturn-evidence"):
        assert denied(console, "POST", f"transit/keys/{key}/rotate")
        assert denied(console, "DELETE", f"transit/keys/{key}")
    assert denied(console, "GET", "transit/export/hmac-key/keyturn-fingerprint")


def test_console_reads_the_trails_head_and_does_not_move_it(bao: OpenBao, console: VaultApi) -> None:
    """Only the watch writes the head."""
    with bao.api() as root:
        root.write("keyturn/data/audit/head", {"options": {"cas": 0}, "data": {"seq": 1}})
    assert console.read("keyturn/data/audit/head")["data"]["data"] == {"seq": 1}
    assert denied(console, "POST", "keyturn/data/audit/head", {"options": {"cas": 1}, "data": {"seq": 2}})


def test_console_looks_up_a_person_by_their_name_only(bao: OpenBao, console: VaultApi, bob: VaultApi) -> None:
    """It is told who a name at one sign-in is, and sees or changes nothing else about identities."""
    asked = alias(bao, "bob")
    mine = bob.read("auth/token/lookup-self")["data"]["entity_id"]
    assert console.write(LOOKUP, asked)["data"]["id"] == mine
    assert denied(console, "POST", LOOKUP, {"id": mine})
    assert denied(console, "GET", f"identity/entity/id/{mine}")
    assert denied(console, "POST", f"identity/entity/id/{mine}", {"policies": ["keyturn-operator"]})
    assert denied(console, "LIST", "identity/entity/id")


def test_console_administers_nothing(console: VaultApi) -> None:
    """It changes no mount, policy or role, mints no other token, and sees no channels and no other secret."""
    assert denied(console, "POST", "keyturn/config", {"max_versions": 1})
    assert denied(console, "POST", "sys/policies/acl/keyturn-console", {"policy": ""})
    assert denied(console, "POST", "auth/approle/role/keyturn-console/secret-id")
    assert denied(console, "POST", "auth/token/create", {})
    assert denied(console, "POST", "auth/token/create-orphan", {})
    assert denied(console, "GET", "keyturn/data/notify/channels")
    assert denied(console, "GET", "keyturn/data/acme/production/other")
    assert denied(console, "LIST", "keyturn/metadata/")


def test_console_keeps_its_own_sign_in(console: VaultApi) -> None:
    """It sees and renews its own token, which is that of a service."""
    assert "keyturn-console" in console.read("auth/token/lookup-self")["data"]["policies"]
    assert console.write("auth/token/renew-self")["auth"]["lease_duration"] > 0
