"""The journey as a bare script: the floor below which no workflow can come.

The same calls with the same libraries to the same servers, in a straight line: httpx for StackOne, Authlib's signature
and httpx for Gong, hvac for Vault, psycopg for one row a stage. Nothing is checked, nothing can be resumed, nobody is
asked, and nothing is known of it afterwards. People still take their time on the vendors' pages.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx
import hvac  # type: ignore[import-untyped]  # ships no types
import psycopg
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]  # ships no types

from benchmarks.sandboxes import Place
from keyturn.sandbox.people import Pair
from keyturn.settings import Settings

_TABLE = "CREATE TABLE IF NOT EXISTS bare (key text, stage text, body jsonb, at timestamptz DEFAULT now())"
_STAGE = "INSERT INTO bare (key, stage, body) VALUES (%s, %s, %s)"
_REDIRECT = "https://api.stackone.com/connect/oauth2/gong/callback"
_DAY_AND_A_BIT, _WEEK = timedelta(hours=26), timedelta(days=7)


class Bare:
    """A script's connections, opened once, and what it does with them."""

    def __init__(self, place: Place) -> None:
        told: Settings = place.ports.settings
        self._place, self._mount = place, told.vault.mount
        self._gong_url = str(told.gong.token_url)
        self._gong = httpx.Client(trust_env=False)
        key = told.stackone.api_key.get_secret_value()
        self._stackone = httpx.Client(base_url=str(told.stackone.base_url), auth=(key, ""), trust_env=False, timeout=90)
        self._vault = hvac.Client(url=str(told.vault.addr))
        self._vault.auth.approle.login(told.vault.role_id, told.vault.secret_id.get_secret_value())
        self._person = hvac.Client(url=str(told.vault.addr), token=place.running.openbao.login("grace"))
        self._rows = psycopg.connect(place.running.postgres.ledger_url, autocommit=True)
        self._rows.execute(_TABLE)

    def close(self) -> None:
        """Close all connections."""
        self._gong.close()
        self._stackone.close()
        self._rows.close()

    def onboard(self, tenant: str) -> tuple[str, str, str]:
        """From nothing to a tested connection; gives integration, profile and account."""
        scopes = [action["id"] for action in self._actions()] and ["api:users:read", "api:calls:read:basic"]
        self._done(tenant, "register")
        self._done(tenant, "approve")
        pair = self._by_hand(lambda: self._place.gong.create_integration(_kit(tenant, scopes)))
        version = self._hand_in(tenant, pair)
        self._done(tenant, "gong_admin")
        held = self._read(tenant, version)
        self._probe(held)
        self._point(tenant, {"pending": version})
        self._done(tenant, "fetch_secret")
        self._point(tenant, {"current": version})
        self._done(tenant, "store_secret")
        profile = self._create_profile(tenant, scopes, version)
        self._done(tenant, "create_profile")
        account = self._link(tenant, profile)
        self._done(tenant, "link_account")
        self._test(tenant, version, account)
        self._done(tenant, "test_connection")
        return pair.integration, profile, account

    def rotate(self, tenant: str, integration: str, profile: str, account: str) -> None:
        """From the question to the older secret's end."""
        self._test(tenant, 1, account)
        self._stackone.get("/oas/stackone.json").raise_for_status()
        self._point(tenant, {"current": 1, "rotation": tenant})
        self._done(tenant, "preflight")
        self._done(tenant, "approve")
        pair = self._by_hand(lambda: self._place.gong.rotate_secret(integration, 168))
        version = self._hand_in(tenant, pair)
        self._done(tenant, "gong_rotation")
        held = self._read(tenant, version)
        self._point(tenant, {"current": 1, "pending": version})
        self._done(tenant, "stage_secret")
        self._probe(held)
        self._done(tenant, "probe_secret")
        self._update_profile(profile, self._read(tenant, version))
        self._done(tenant, "apply")
        self._passes(_DAY_AND_A_BIT)
        self._stackone.get("/v2/accounts", params={"connector_profile_id": profile}).raise_for_status()
        self._done(tenant, "verify")
        self._point(tenant, {"current": version, "previous": 1})
        self._done(tenant, "promote")
        self._passes(_WEEK)
        self._probe(self._read(tenant, 1))
        self._point(tenant, {"current": version})
        self._done(tenant, "retire")

    def _by_hand(self, act: Callable[[], Pair]) -> Pair:
        with self._place.watch.stopped():
            return act()

    def _passes(self, duration: timedelta) -> None:
        """Time, at the vendors."""
        with self._place.watch.stopped():
            for url in (self._place.running.twins.gong, self._place.running.twins.stackone):
                change = {"advance_seconds": duration.total_seconds()}
                httpx.post(f"{url}/_twin/clock", json=change, trust_env=False).raise_for_status()

    def _done(self, tenant: str, stage: str) -> None:
        self._rows.execute(_STAGE, (tenant, stage, json.dumps({"done": True})))

    def _probe(self, pair: Mapping[str, str]) -> None:
        """A code that cannot exist, with the secret, and with one that is surely wrong."""
        for secret in (pair["client_secret"], secrets.token_urlsafe()):
            headers: dict[str, str] = {}
            ClientAuth(pair["client_id"], secret, "client_secret_basic").prepare("POST", self._gong_url, headers, "")
            query = {"grant_type": "authorization_code", "code": "bare", "client_id": pair["client_id"]}
            self._gong.post(self._gong_url, params=query | {"redirect_uri": _REDIRECT}, headers=headers)

    def _hand_in(self, tenant: str, pair: Pair) -> int:
        held = {"client_id": pair.client_id, "client_secret": pair.client_secret}
        self._probe(held)
        self._hmac(held)
        before = self._version(tenant)
        token = self._person.auth.token.create(role_name="keyturn-intake", num_uses=1, ttl="60s")
        once = hvac.Client(url=self._person.url, token=token["auth"]["client_token"])
        path = f"{tenant}/production/client"
        written = once.secrets.kv.v2.create_or_update_secret(path, held, cas=before, mount_point=self._mount)
        return int(written["data"]["version"])

    def _version(self, tenant: str) -> int:
        path = f"{tenant}/production/client"
        try:
            known = self._person.secrets.kv.v2.read_secret_metadata(path, mount_point=self._mount)
        except hvac.exceptions.InvalidPath:
            return 0
        return int(known["data"]["current_version"])

    def _hmac(self, pair: Mapping[str, str]) -> None:
        text = base64.b64encode(json.dumps([pair["client_id"], pair["client_secret"]]).encode()).decode()
        self._vault.secrets.transit.generate_hmac("keyturn-fingerprint", text)

    def _read(self, tenant: str, version: int) -> Mapping[str, str]:
        read = self._vault.secrets.kv.v2.read_secret_version
        path = f"{tenant}/production/client"
        answer = read(path, version, mount_point=self._mount, raise_on_deleted_version=True)
        pair: Mapping[str, str] = answer["data"]["data"]
        self._hmac(pair)
        return pair

    def _point(self, tenant: str, pointer: Mapping[str, Any]) -> None:
        """Read it, and write it by check-and-set."""
        store, path = self._vault.secrets.kv.v2, f"{tenant}/production/pointer"
        try:
            answer = store.read_secret_version(path, mount_point=self._mount, raise_on_deleted_version=True)
            before = answer["data"]["metadata"]["version"]
        except hvac.exceptions.InvalidPath:
            before = 0
        store.create_or_update_secret(path, dict(pointer), cas=before, mount_point=self._mount)

    def _actions(self) -> list[Any]:
        query = {"filter[connectors]": "gong", "include": "action_details"}
        rows: list[Any] = self._stackone.get("/actions", params=query).raise_for_status().json()["data"]
        return [action for row in rows for action in row["actions"]]

    def _profiles(self) -> list[Any]:
        found = []
        for narrowed in ({}, {"enabled": "false"}):
            query = {"connector_key": "gong", **narrowed}
            found += self._stackone.get("/connector_profiles", params=query).raise_for_status().json()["data"]
        return found

    def _create_profile(self, tenant: str, scopes: list[str], version: int) -> str:
        self._stackone.get("/oas/stackone.json").raise_for_status()
        self._profiles()
        body = {"name": f"Gong {tenant}", "connector_key": "gong", "scopes": " ".join(scopes)}
        made = self._stackone.post("/connector_profiles", json=body | dict(self._read(tenant, version)))
        made.raise_for_status()
        self._profiles()
        return str(made.json()["id"])

    def _update_profile(self, profile: str, pair: Mapping[str, str]) -> None:
        self._profiles()
        self._stackone.patch(f"/connector_profiles/{profile}", json=dict(pair)).raise_for_status()
        self._profiles()

    def _link(self, tenant: str, profile: str) -> str:
        body = {"origin_owner_id": tenant, "origin_owner_name": tenant, "provider": "gong", "type": "production"}
        asked = body | {"connector_profile_id": profile, "expires_in": 1800}
        made = self._stackone.post("/connect_sessions", json=asked).raise_for_status().json()
        with self._place.watch.stopped():
            self._place.gong.consent(made["auth_link_url"])
        session = self._stackone.get(f"/connect_sessions/{made['id']}").raise_for_status().json()
        account = str(session["latest_connection_attempt"]["account_secure_id"])
        self._stackone.get(f"/accounts/{account}").raise_for_status()
        return account

    def _test(self, tenant: str, version: int, account: str) -> None:
        self._probe(self._read(tenant, version))
        self._profiles()
        self._stackone.get(f"/accounts/{account}").raise_for_status()
        self._actions()
        body, headers = {"action": "gong_list_users"}, {"x-account-id": account}
        self._stackone.post("/actions/rpc", json=body, headers=headers).raise_for_status()


def _kit(tenant: str, scopes: list[str]) -> list[dict[str, Any]]:
    """What a person fills in, by the form's labels."""
    filled = {
        "Integration name": ["StackOne"],
        "Description": [f"Reads people and calls of {tenant}."],
        "Short description": ["Reads people and calls"],
        "Required authorization scopes": scopes,
        "Redirect URI(s)": [_REDIRECT],
        "Privacy policy URL": ["https://www.acme.example/privacy"],
        "Terms & conditions URL": ["https://www.acme.example/terms"],
        "Help article URL": ["https://help.acme.example/gong"],
        "Contact emails": ["integrations@acme.example"],
        "Domains": ["acme.example"],
    }
    return [{"fields": [{"label": label, "values": values} for label, values in filled.items()]}]
