"""What an administrator does to a new Vault before keyturn can use it. Doing it again changes nothing.

The same steps as commands: `deployments/vault/README.md`.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from keyturn.errors import VendorRefusedError
from keyturn.sandbox.assets import asset
from keyturn.sandbox.files import write_private
from keyturn.sandbox.vault_api import VaultApi

MOUNT = "keyturn"
KEY = "keyturn-fingerprint"
EVIDENCE_KEY = "keyturn-evidence"
PEOPLE = {
    "alice": ("requester", "operator"),
    "bob": ("approver",),
    "erin": ("approver",),
    "grace": ("gong_admin",),
}
_KEPT_VERSIONS = 100  # so many that a current version is never pruned by pending ones that came after it
_ROLES = {"keyturn-worker": "approle.json", "keyturn-console": "console.json"}
_INTAKE = {
    "allowed_policies": ["keyturn-intake"],
    "orphan": False,
    "renewable": False,
    "token_explicit_max_ttl": "60s",
    "token_num_uses": 1,
    "token_no_default_policy": True,
    "token_type": "service",
}


@dataclass(frozen=True)
class Access:
    """How workers, the console and people sign in."""

    role_id: str
    secret_id: str
    console_role_id: str
    console_secret_id: str
    passwords: dict[str, str]

    def __repr__(self) -> str:
        return "<Access, not shown>"


def set_up(api: VaultApi, state: Path) -> Access:
    """Make mounts, keys, policies, roles and people.

    The sandbox's passwords are kept in `people.json`, `approle.json` (the worker's) and `console.json`.

    Args:
        api: with an administrator's token.
        state: the sandbox's folder.
    """
    _mounts(api)
    for file in sorted(asset("deployments/vault").glob("*.hcl")):
        api.write(f"sys/policies/acl/{file.stem}", {"policy": file.read_text()})
    api.write("auth/token/roles/keyturn-intake", _INTAKE)
    worker, console = (_role(api, name, state / file) for name, file in _ROLES.items())
    return Access(*worker, *console, _people(api, state / "people.json"))


def _mounts(api: VaultApi) -> None:
    mounts, methods = api.read("sys/mounts")["data"], api.read("sys/auth")["data"]
    if f"{MOUNT}/" not in mounts:
        api.write(f"sys/mounts/{MOUNT}", {"type": "kv", "options": {"version": "2"}})
    if "transit/" not in mounts:
        api.write("sys/mounts/transit", {"type": "transit"})
    api.write(f"transit/keys/{KEY}")
    api.write(f"transit/keys/{EVIDENCE_KEY}", {"type": "ecdsa-p256"})
    for method in ("approle", "userpass"):
        if f"{method}/" not in methods:
            api.write(f"sys/auth/{method}", {"type": method})
    _configure_versions(api)


def _configure_versions(api: VaultApi, within_s: float = 15.0) -> None:
    """A mount just made answers 400 "Upgrading from non-versioned to versioned data" for a moment."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            api.write(f"{MOUNT}/config", {"cas_required": True, "max_versions": _KEPT_VERSIONS})
        except VendorRefusedError as refused:
            if "pgrad" not in refused.problem or time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # between two tries; Vault does not tell when its upgrade is over
        else:
            return


def _role(api: VaultApi, name: str, kept: Path) -> tuple[str, str]:
    role = f"auth/approle/role/{name}"
    api.write(role, {"token_policies": [name], "token_ttl": "1h", "token_max_ttl": "24h"})
    role_id = str(api.read(f"{role}/role-id")["data"]["role_id"])
    secret_id = str(json.loads(kept.read_text())["secret_id"]) if kept.exists() else ""
    if secret_id and _is_known(api, role, secret_id):
        return role_id, secret_id
    secret_id = str(api.write(f"{role}/secret-id")["data"]["secret_id"])
    write_private(kept, json.dumps({"role_id": role_id, "secret_id": secret_id}))
    return role_id, secret_id


def _is_known(api: VaultApi, role: str, secret_id: str) -> bool:
    try:
        return bool(api.write(f"{role}/secret-id/lookup", {"secret_id": secret_id}))
    except VendorRefusedError:
        return False


def _people(api: VaultApi, kept: Path) -> dict[str, str]:
    passwords: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in PEOPLE:
        passwords.setdefault(name, secrets.token_urlsafe(18))
    write_private(kept, json.dumps(passwords))
    for name, groups in PEOPLE.items():
        policies = ["keyturn-person", *(f"keyturn-{group}" for group in groups)]
        api.write(f"auth/userpass/users/{name}", {"password": passwords[name], "token_policies": policies})
    return passwords
