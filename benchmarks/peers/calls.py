"""What every journey asks of Vault, Gong and StackOne, as plain calls. The peers' stages are made of nothing else.

Runs in each peer's own environment, so it needs httpx only, and nothing of keyturn. Addresses and sign-ins come by the
environment (`JOURNEY_…`). A secret is read from Vault by the stage that needs it, and never returned: what a stage
returns, its engine keeps.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx

MOUNT = "keyturn"
REDIRECT_URI = "https://api.stackone.com/connect/oauth2/gong/callback"
SCOPES = "api:users:read api:calls:read:basic"
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.2


def setting(name: str) -> str:
    """One of the settings, e.g. `VAULT`."""
    return os.environ[f"JOURNEY_{name}"]


def stamp(key: str, what: str) -> None:
    """Write down that something happens now."""
    line = json.dumps({"key": key, "what": what, "at": time.time()})
    with Path(setting("STAMPS")).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


# --- the stages


def register(key: str) -> str:
    """Check the scopes against what StackOne offers, and give a digest of what is asked for."""
    offered = _stackone("GET", "/actions", params={"filter[connectors]": "gong", "include": "action_details"})
    needed = {scope for row in _rows(offered) for action in row["actions"] for scope in action["required_scopes"] or ()}
    if not needed & set(SCOPES.split()):
        raise RuntimeError(f"{key}: none of its scopes is needed for anything")
    return hashlib.sha256(json.dumps([key, SCOPES, REDIRECT_URI]).encode()).hexdigest()


def fetch_secret(key: str) -> int:
    """Read the pair that was handed in, and try it at Gong; gives its version."""
    version, pair = _pair(key)
    probe(pair)
    return version


def store_secret(key: str, version: int) -> int:
    """Make that version the current one by check-and-set; gives the pointer's revision."""
    path, pointer = f"{MOUNT}/data/{key}/pointer", {"current": version, "pending": None, "previous": None}
    with _as_worker() as vault:
        known = vault.get(path)
        revision = 0 if known.status_code == httpx.codes.NOT_FOUND else _data(known)["metadata"]["version"]
        written = vault.post(path, json={"options": {"cas": revision}, "data": pointer})
    return int(_data(written)["version"])


def create_profile(key: str) -> str:
    """Find the profile by its name, else make it, and read it back; gives its id."""
    if not (found := _profiles_named(key)):
        _, pair = _pair(key)
        _stackone("POST", "/connector_profiles", json=pair | {"connector_key": "gong", "name": key, "scopes": SCOPES})
        found = _profiles_named(key)
    return str(found[0])


def link_account(key: str, profile: str) -> str:
    """Make an auth link, have it consented to, and wait for the account; gives its id."""
    owner = {"origin_owner_id": key.partition("/")[0], "origin_owner_name": key}
    wanted = owner | {"provider": "gong", "connector_profile_id": profile, "expires_in": 1800}
    session = _stackone("POST", "/connect_sessions", json=wanted)
    consent(session["auth_link_url"])
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        seen = _stackone("GET", f"/connect_sessions/{session['id']}")
        if account := (seen.get("latest_connection_attempt") or {}).get("account_secure_id"):
            return str(account)
        time.sleep(_LOOK_EVERY_S)
    raise RuntimeError(f"{key}: nobody consented")


def test_connection(key: str, profile: str, account: str) -> None:
    """Try the pair once more, look at profile and account, and make one live call."""
    _, pair = _pair(key)
    probe(pair)
    if profile not in _profiles_named(key):
        raise RuntimeError(f"{key}: the profile is gone")
    _stackone("GET", f"/accounts/{account}")
    _stackone("POST", "/actions/rpc", json={"action": "gong_list_users"}, headers={"x-account-id": account})


# --- what people do


def hand_in(key: str, pair: dict[str, str], token: str) -> None:
    """Try a pair at Gong, and keep it in Vault under a single-use token, as a person does who holds `token`."""
    probe(pair)
    with _vault(token) as vault:
        once = vault.post("auth/token/create/keyturn-intake", json={"num_uses": 1, "ttl": "60s"}).raise_for_status()
    body = {"options": {"cas": 0}, "data": pair}
    with _vault(once.json()["auth"]["client_token"]) as vault:
        vault.post(f"{MOUNT}/data/{key}/client", json=body).raise_for_status()


def consent(auth_link: str) -> None:
    """Open an auth link, press *Connect*, and consent at Gong."""
    link = httpx.URL(auth_link)
    with httpx.Client(follow_redirects=True, trust_env=False, timeout=_PATIENCE_S) as browser:
        sign_in = {"person": "tessa", "next": "/admin"}
        browser.post(f"{setting('GONG')}/sign-in", data=sign_in).raise_for_status()
        asked = browser.post(link.copy_with(query=None), data={"token": link.params["token"]})
        answer = dict(asked.url.params) | {"decision": "approve"}
        browser.post(asked.url.copy_with(query=None), data=answer).raise_for_status()


def probe(pair: dict[str, str]) -> None:
    """Try a pair with a code that cannot exist, and a made-up secret for comparison."""
    told = [_asked_of_gong(pair["client_id"], secret) for secret in (pair["client_secret"], "made-up")]
    if told != ["invalid_grant", "invalid_client"]:
        raise RuntimeError(f"Gong says {told}")


def _asked_of_gong(client_id: str, secret: str) -> str:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    query = {"grant_type": "authorization_code", "code": "no-code", "client_id": client_id}
    url = f"{setting('GONG')}/oauth2/generate-customer-token"
    with httpx.Client(trust_env=False, timeout=_PATIENCE_S) as http:
        headers = {"Authorization": f"Basic {basic}"}
        return str(http.post(url, params=query | {"redirect_uri": REDIRECT_URI}, headers=headers).json()["error"])


# --- how they are reached


def _vault(token: str = "") -> httpx.Client:
    headers = {"X-Vault-Token": token} if token else {}
    return httpx.Client(base_url=f"{setting('VAULT')}/v1/", headers=headers, trust_env=False, timeout=_PATIENCE_S)


def _as_worker() -> httpx.Client:
    """Signed in anew in every stage: a token that is passed on would be kept by the engine."""
    sign_in = {"role_id": setting("VAULT_ROLE_ID"), "secret_id": setting("VAULT_SECRET_ID")}
    with _vault() as vault:
        answer = vault.post("auth/approle/login", json=sign_in).raise_for_status().json()
    return _vault(answer["auth"]["client_token"])


def _pair(key: str) -> tuple[int, dict[str, str]]:
    with _as_worker() as vault:
        kept = _data(vault.get(f"{MOUNT}/data/{key}/client"))
    return int(kept["metadata"]["version"]), dict(kept["data"])


def _data(answer: httpx.Response) -> dict[str, Any]:
    return dict(answer.raise_for_status().json()["data"])


def _profiles_named(key: str) -> list[str]:
    rows = _rows(_stackone("GET", "/connector_profiles", params={"page_size": "100"}))
    return [row["id"] for row in rows if row["name"] == key]


def _rows(answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401  JSON
    return list(answer["data"] if isinstance(answer, dict) else answer)


def _stackone(method: str, path: str, **more: Any) -> Any:  # noqa: ANN401  JSON
    with httpx.Client(base_url=setting("STACKONE"), auth=(setting("STACKONE_KEY"), ""), trust_env=False) as http:
        answer = http.request(method, path, timeout=_PATIENCE_S, **more)
    return answer.raise_for_status().json()
