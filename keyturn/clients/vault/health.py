"""What `keyturn doctor` wants to know about Vault, with the worker's own sign-in. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keyturn.clients.vault.anchor import PATH as HEAD
from keyturn.clients.vault.channels import PATH as CHANNELS
from keyturn.clients.vault.fingerprint import KEY, Fingerprints
from keyturn.clients.vault.kv import KeyValue
from keyturn.clients.vault.session import WORKER_POLICY, VaultSession
from keyturn.clients.vault.signer import KEY as EVIDENCE_KEY
from keyturn.clients.vault.signer import VaultSigner
from keyturn.domain.checkup import Check
from keyturn.domain.credential import Credential
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import KeyturnError, VendorRefusedError
from keyturn.settings import VaultSettings

_EXAMPLE = IntegrationKey("example", "production")
_MIN_VERSIONS = 10  # Vault's own default; a rotation needs pending, current and previous to outlive each other
# Codes that make `sys/health` answer 200 whatever state the server is in.
_ANY_STATE = dict.fromkeys(
    ("standbycode", "sealedcode", "uninitcode", "drsecondarycode", "performancestandbycode"), "200"
)


def examine(settings: VaultSettings, keys: Sequence[IntegrationKey] = ()) -> list[Check]:
    """Look at the server, the sign-in, both mounts and the token's rights; never raises for what it finds.

    Args:
        settings: address, sign-in and mounts.
        keys: integrations whose own paths are looked at where the mount as a whole says nothing.
    """
    server = _asked("vault: server", lambda: _server(settings))
    if not server.ok:
        return [server]
    try:
        session = VaultSession(settings)
    except KeyturnError as error:
        return [server, Check("vault: sign-in", ok=False, found=error.problem, remedy=error.remedy)]
    signed_in = _asked("vault: sign-in", lambda: _sign_in(session, settings), refused=False)
    if signed_in.ok is False:  # None is a token that may do too much: all else can be looked at
        return [server, signed_in]
    return [
        server,
        signed_in,
        *_examine_mount(session, settings, keys),
        _asked("vault: fingerprint key", lambda: _fingerprint_key(session, settings)),
        _asked("vault: evidence key", lambda: _evidence_key(session, settings)),
        _asked("vault: rights", lambda: _rights(session, settings, (*keys, _EXAMPLE)[0])),
    ]


def _examine_mount(session: VaultSession, settings: VaultSettings, keys: Sequence[IntegrationKey]) -> list[Check]:
    mount = _asked("vault: mount", lambda: _mount(session, settings))
    if not mount.ok:
        return [mount]
    return [
        mount,
        _asked("vault: check-and-set", lambda: _check_and_set(session, settings, keys)),
        _asked("vault: versions kept", lambda: _versions_kept(session, settings)),
    ]


def _asked(name: str, question: Callable[[], tuple[bool | None, str, str]], *, refused: bool | None = None) -> Check:
    """Put a question; what the token may not see is unknown, everything else that fails is wrong."""
    try:
        return Check(name, *question())
    except KeyturnError as error:
        ok = refused if isinstance(error, VendorRefusedError) else False
        return Check(name, ok=ok, found=error.problem, remedy=error.remedy)


def _server(settings: VaultSettings) -> tuple[bool | None, str, str]:
    # Health is answered in the root namespace only, and to anybody.
    anybody = VaultSession(settings.model_copy(update={"namespace": ""}), token="")
    health = anybody.read("sys/health", _ANY_STATE) or {}
    if "version" not in health:
        return False, f"something answers at {anybody.addr} that is not Vault", "Check KEYTURN_VAULT__ADDR."
    found = f"{_product(health)} {health['version']} at {anybody.addr}"
    if not health["initialized"]:
        return False, f"{found} is not initialised", "Run `vault operator init` and unseal it."
    if health["sealed"]:
        return False, f"{found} is sealed", "Unseal it with `vault operator unseal`."
    return True, found, ""


def _product(health: Mapping[str, Any]) -> str:
    """OpenBao begins at version 2 and has no `enterprise` in its health; it does not say its name there."""
    return "Vault" if "enterprise" in health or str(health["version"]).startswith(("0.", "1.")) else "OpenBao"


def _sign_in(session: VaultSession, settings: VaultSettings) -> tuple[bool | None, str, str]:
    token = (session.read("auth/token/lookup-self") or {})["data"]
    found = f"signed in by {settings.auth}, policies {', '.join(token['policies'])}"
    if "root" in token["policies"]:
        return None, f"{found}: may do everything", f"Use a token with {WORKER_POLICY} alone."
    return True, found, ""


def _mount(session: VaultSession, settings: VaultSettings) -> tuple[bool | None, str, str]:
    KeyValue(session, settings.mount).require_v2()
    return True, f"{settings.mount}/ is KV version 2", ""


def _check_and_set(
    session: VaultSession, settings: VaultSettings, keys: Sequence[IntegrationKey]
) -> tuple[bool | None, str, str]:
    if _config(session, settings)["cas_required"]:
        return True, f"required on all of {settings.mount}/", ""
    metadata = {p: session.read(f"{settings.mount}/metadata/{p}") for key in keys for p in _paths(key)}
    without = [path for path, answer in metadata.items() if not (answer or {"data": {}})["data"].get("cas_required")]
    if keys and not without:
        return True, "required on the path of every integration", ""
    remedy = f"Run `vault write {settings.mount}/config cas_required=true`."
    return False, f"not required on {', '.join(without) or settings.mount + '/'}", remedy


def _versions_kept(session: VaultSession, settings: VaultSettings) -> tuple[bool | None, str, str]:
    kept = _config(session, settings)["max_versions"] or _MIN_VERSIONS
    remedy = "" if kept >= _MIN_VERSIONS else f"Run `vault write {settings.mount}/config max_versions={_MIN_VERSIONS}`."
    return kept >= _MIN_VERSIONS, f"the last {kept} versions of a secret are kept", remedy


def _config(session: VaultSession, settings: VaultSettings) -> Mapping[str, Any]:
    config: Mapping[str, Any] = (session.read(f"{settings.mount}/config") or {})["data"]
    return config


def _fingerprint_key(session: VaultSession, settings: VaultSettings) -> tuple[bool | None, str, str]:
    Fingerprints(session, settings.transit_mount).of(Credential("doctor", "doctor"))
    return True, f"{settings.transit_mount}/ makes HMACs with {KEY}", ""


def _evidence_key(session: VaultSession, settings: VaultSettings) -> tuple[bool | None, str, str]:
    newest = VaultSigner(session, settings).public_keys()[-1]
    return True, f"{settings.transit_mount}/ signs evidence with {newest.kid}", ""


def _rights(session: VaultSession, settings: VaultSettings, key: IntegrationKey) -> tuple[bool | None, str, str]:
    needed = _needed(settings, key)
    answer = session.write("sys/capabilities-self", {"paths": list(needed)}, repeatable=True)["data"]
    have = {path: set(answer[path]) for path in needed}
    missing = [f"{c} on {p}" for p, cs in needed.items() for c in sorted(cs - have[p]) if "root" not in have[p]]
    if missing:
        return False, f"lacks {'; '.join(missing)}", f"Apply {WORKER_POLICY}."
    excess = [f"{c} on {p}" for p, cs in needed.items() for c in sorted(have[p] - cs)]
    if excess:
        return None, f"has more than it needs: {'; '.join(excess)}", f"Apply {WORKER_POLICY}."
    return True, "exactly what is needed", ""


def _needed(settings: VaultSettings, key: IntegrationKey) -> dict[str, set[str]]:
    client, pointer = _paths(key)
    return {
        f"{settings.mount}/data/{client}": {"read"},
        f"{settings.mount}/data/{pointer}": {"read", "create", "update"},
        f"{settings.mount}/data/{CHANNELS}": {"read"},
        f"{settings.mount}/data/{HEAD}": {"read", "create", "update"},
        f"{settings.transit_mount}/hmac/{KEY}": {"update"},
        f"{settings.transit_mount}/sign/{EVIDENCE_KEY}": {"update"},
    }


def _paths(key: IntegrationKey) -> tuple[str, str]:
    return f"{key}/client", f"{key}/pointer"
