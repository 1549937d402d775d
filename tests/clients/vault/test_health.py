from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from keyturn.clients.vault.health import examine
from keyturn.domain.checkup import Check
from keyturn.domain.integration import IntegrationKey


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name.removeprefix("vault: "): check for check in checks}


def test_a_furnished_vault_is_all_right(bao: Any) -> None:
    """With the policies of deployments/vault, every check is green and asks for nothing."""
    checks = examine(bao.worker())
    assert [(check.name, check.ok) for check in checks if not check.ok] == []
    assert {check.remedy for check in checks} == {""}
    assert _by_name(checks)["server"].found.startswith("OpenBao 2.")
    assert "keyturn-worker" in _by_name(checks)["sign-in"].found


def test_a_root_token_may_do_too_much(bao: Any) -> None:
    """It works, and deserves attention."""
    checks = _by_name(examine(bao.settings()))
    assert checks["sign-in"].ok is None
    assert "keyturn-worker.hcl" in checks["sign-in"].remedy
    assert checks["mount"].ok


def test_a_sealed_vault_is_one_finding(own_bao: Any) -> None:
    """Nothing else can be looked at, so nothing else is said."""
    own_bao.ask("PUT", "sys/seal")
    (check,) = examine(own_bao.settings())
    assert (check.ok, "is sealed" in check.found, "unseal" in check.remedy) == (False, True, True)


def test_a_vault_that_is_not_there_is_one_finding(bao: Any) -> None:
    """Nobody listens at that port."""
    (check,) = examine(bao.settings(addr="http://127.0.0.1:1"))
    assert (check.ok, check.found) == (False, "cannot be reached")


def test_a_refused_sign_in_ends_the_list(bao: Any) -> None:
    """Neither a wrong token nor a missing one gets further."""
    for token, words in (("s.wrong", "no longer valid"), ("", "is not set")):
        checks = examine(bao.settings(token=SecretStr(token)))
        assert [check.name for check in checks] == ["vault: server", "vault: sign-in"]
        assert checks[-1].ok is False
        assert words in checks[-1].found


def test_each_gap_has_its_own_finding(own_bao: Any) -> None:
    """Check-and-set not required, too few versions, no key, too few rights: all at once, each with its remedy."""
    own_bao.ask("POST", "keyturn/config", {"cas_required": False, "max_versions": 2})
    own_bao.ask("DELETE", "sys/mounts/transit")
    policy = 'path "keyturn/*" { capabilities = ["read"] }'
    own_bao.ask("POST", "sys/policies/acl/keyturn-worker", {"policy": policy})
    checks = _by_name(examine(own_bao.worker()))
    gaps = {name for name, check in checks.items() if check.ok is not True}
    assert {"check-and-set", "versions kept", "fingerprint key", "evidence key", "rights"} <= gaps
    assert all(checks[name].remedy for name in gaps)
    for right in (
        "keyturn/data/example/production/pointer",
        "keyturn/data/audit/head",
        "transit/sign/keyturn-evidence",
    ):
        assert f"update on {right}" in checks["rights"].found


def test_a_version_1_mount_is_found(bao: Any) -> None:
    """Also by the doctor."""
    bao.ask("POST", "sys/mounts/old-one", {"type": "kv", "options": {"version": "1"}})
    assert _by_name(examine(bao.settings(mount="old-one")))["mount"].ok is False


def test_check_and_set_may_be_required_path_by_path(own_bao: Any, key: IntegrationKey) -> None:
    """A mount shared with others need not require it, if every path of ours does."""
    own_bao.ask("POST", "keyturn/config", {"cas_required": False})
    settings = own_bao.worker()
    assert _by_name(examine(settings, [key]))["check-and-set"].ok is False
    for name in ("client", "pointer"):
        own_bao.ask("POST", f"keyturn/metadata/{key}/{name}", {"cas_required": True})
    assert _by_name(examine(settings, [key]))["check-and-set"].ok is True


def test_more_rights_than_needed_deserve_attention(own_bao: Any) -> None:
    """A worker that could write client secrets is no failure, and no green either."""
    policy = 'path "*" { capabilities = ["read", "create", "update", "delete"] }'
    own_bao.ask("POST", "sys/policies/acl/keyturn-worker", {"policy": policy})
    rights = _by_name(examine(own_bao.worker()))["rights"]
    assert rights.ok is None
    assert "delete on keyturn/data/example/production/client" in rights.found
