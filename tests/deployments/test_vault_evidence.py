"""What the policies of `deployments/vault` open for the audit trail's head and for evidence, on a real OpenBao."""

from __future__ import annotations

import pytest

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from keyturn.sandbox.vault_api import VaultApi

HEAD = "keyturn/data/audit/head"
SIGN = "transit/sign/keyturn-evidence"
KEY = "transit/keys/keyturn-evidence"
BODY: dict[str, object] = {"input": "bWVzc2FnZQ==", "marshaling_algorithm": "jws"}


def allowed(api: VaultApi, method: str, path: str, body: dict[str, object] | None = None) -> bool:
    """Whether the call is answered otherwise than with 403."""
    try:
        api.call(method, path, body)
    except VendorRefusedError as refused:
        return not refused.problem.startswith("403")
    return True


def rights(api: VaultApi) -> dict[str, bool]:
    """What may be done to head and key."""
    head: dict[str, object] = {"options": {"cas": 0}, "data": {"seq": 1, "hash": "a" * 64}}
    return {
        "write head": allowed(api, "POST", HEAD, head),
        "read head": allowed(api, "GET", HEAD),
        "sign": allowed(api, "POST", SIGN, BODY),
        "read key": allowed(api, "GET", KEY),
    }


FORBIDDEN = (
    ("DELETE", HEAD),
    ("DELETE", "keyturn/metadata/audit/head"),
    ("POST", "keyturn/delete/audit/head"),
    ("POST", "keyturn/destroy/audit/head"),
    ("POST", "keyturn/metadata/audit/head"),
    ("DELETE", KEY),
    ("POST", f"{KEY}/rotate"),
    ("POST", f"{KEY}/config"),
    ("GET", "transit/export/signing-key/keyturn-evidence"),
    ("POST", KEY),
)


def test_a_worker_keeps_the_head_and_signs(bao: OpenBao) -> None:
    """And can neither take a kept head away, nor lay hands on the key."""
    with VaultApi(bao.addr) as nobody:
        answer = nobody.write("auth/approle/login", {"role_id": bao.role_id, "secret_id": bao.secret_id})
    with bao.api(answer["auth"]["client_token"]) as worker:
        assert set(rights(worker).values()) == {True}
        assert [(m, path) for m, path in FORBIDDEN if allowed(worker, m, path, {"versions": [1]})] == []


def test_an_operator_looks_and_signs(bao: OpenBao) -> None:
    """The head is not theirs to write."""
    with bao.api(bao.login("alice")) as alice:
        assert rights(alice) == {"write head": False, "read head": True, "sign": True, "read key": True}
        assert [(m, path) for m, path in FORBIDDEN if allowed(alice, m, path, {"versions": [1]})] == []


@pytest.mark.parametrize("name", ["bob", "grace"])
def test_nobody_else_has_business_there(bao: OpenBao, name: str) -> None:
    """Neither an approver nor a gong_admin."""
    with bao.api(bao.login(name)) as person:
        assert set(rights(person).values()) == {False}


def test_the_key_signs_and_never_leaves(bao: OpenBao) -> None:
    """It is one for ES256 that nobody can export, delete or back up."""
    with bao.api() as root:
        made = root.read(KEY)["data"]
    assert (made["type"], made["supports_signing"]) == ("ecdsa-p256", True)
    assert (made["exportable"], made["allow_plaintext_backup"], made["deletion_allowed"]) == (False, False, False)
