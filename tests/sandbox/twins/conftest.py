"""Both twins as real servers in threads, and a person who clicks through their pages."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.twins import API_KEY, Served, served

CALLBACK = "https://api.stackone.com/connect/oauth2/gong/callback"
INTEGRATIONS = "/admin/ecosystem/api/integrations"
PROFILES = "/dashboard/connector-profiles"


@dataclass
class Integration:
    """What a person has copied from Gong."""

    id: str
    client_id: str
    secret: str

    @property
    def pair(self) -> tuple[str, str]:
        """For HTTP Basic."""
        return self.client_id, self.secret


@dataclass
class World:
    """Both twins, a browser and the API key's holder."""

    gong_url: str
    stackone_url: str
    browser: httpx.Client = field(default_factory=lambda: httpx.Client(follow_redirects=True))
    gong: httpx.Client = field(init=False)
    api: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.gong = httpx.Client(base_url=self.gong_url)
        self.api = httpx.Client(base_url=self.stackone_url, auth=(API_KEY, ""))

    def close(self) -> None:
        """Close all connections."""
        for client in (self.browser, self.gong, self.api):
            client.close()

    def sign_in(self, gong_person: str = "tessa", stackone_person: str = "pia") -> None:
        """Sign in to both."""
        self.browser.post(f"{self.gong_url}/sign-in", data={"person": gong_person}).raise_for_status()
        self.browser.post(f"{self.stackone_url}/dashboard/sign-in", data={"person": stackone_person})

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """Post a form to Gong's Admin center."""
        return self.browser.post(self.gong_url + path, data=fields)

    def create_integration(self, **fields: Any) -> Integration:
        """Fill in Gong's form, save, copy id and secret."""
        form = {"name": "StackOne", "scopes": ["api:users:read"], "redirect_uris": CALLBACK} | fields
        listed = self.post(INTEGRATIONS, **form)
        assert listed.status_code == 200, listed.text
        integration_id, client_id = re.findall(r'client-id" data-integration="([^"]+)">([^<]+)<', listed.text)[-1]
        shown = self.post(f"{INTEGRATIONS}/{integration_id}/show-secret")
        return Integration(integration_id, client_id, copied(shown, "client-secret"))

    def rotate(self, integration: Integration, grace_hours: object = 24) -> Integration:
        """Rotate the secret and copy the new one."""
        path = f"{INTEGRATIONS}/{integration.id}/rotate-secret"
        shown = self.post(path, grace_hours=grace_hours, confirm="yes")
        return Integration(integration.id, integration.client_id, copied(shown, "client-secret"))

    def code(self, integration: Integration, **query: str) -> str:
        """Consent at Gong and take the code from the address bar."""
        asked = {"client_id": integration.client_id, "response_type": "code", "redirect_uri": CALLBACK, "state": "s"}
        form = asked | query | {"decision": "approve"}
        url = f"{self.gong_url}/oauth2/authorize"
        answer = self.browser.post(url, data=form, follow_redirects=False)
        return httpx.URL(answer.headers["location"]).params["code"]

    def token(self, pair: tuple[str, str] | None, **parameters: str) -> httpx.Response:
        """Ask Gong's token endpoint, by form body."""
        return self.gong.post("/oauth2/generate-customer-token", data=parameters, auth=pair)

    def exchange(self, integration: Integration, code: str) -> httpx.Response:
        """Exchange a code."""
        client = {"client_id": integration.client_id, "redirect_uri": CALLBACK}
        return self.token(integration.pair, grant_type="authorization_code", code=code, **client)

    def refresh(self, integration: Integration, refresh_token: str) -> httpx.Response:
        """Refresh a token."""
        return self.token(integration.pair, grant_type="refresh_token", refresh_token=refresh_token)

    def create_profile(self, integration: Integration, **fields: Any) -> dict[str, Any]:
        """Fill in StackOne's form; the profile as the API shows it."""
        form = {"connector": "gong", "type": "oauth2", "name": "Gong"}
        form |= {"client_id": integration.client_id, "client_secret": integration.secret}
        self.browser.post(self.stackone_url + PROFILES, data=form | fields).raise_for_status()
        return self.profiles()[-1]

    def profiles(self) -> list[dict[str, Any]]:
        """All profiles."""
        data: list[dict[str, Any]] = self.api.get("/connector_profiles").json()["data"]
        return data

    def session(self, **fields: Any) -> dict[str, Any]:
        """A connect session."""
        body = {"origin_owner_id": "acme", "origin_owner_name": "Acme", "provider": "gong"} | fields
        answer = self.api.post("/connect_sessions", json=body)
        assert answer.status_code == 201, answer.text
        session: dict[str, Any] = answer.json()
        return session

    def follow(self, session: dict[str, Any], decision: str = "approve") -> httpx.Response:
        """Follow an auth link through Connect and Gong's consent."""
        token = httpx.URL(session["auth_link_url"]).params["token"]
        consent = self.browser.post(f"{self.stackone_url}/connect", data={"token": token})
        if "/oauth2/authorize" not in consent.url.path:
            return consent
        asked = dict(consent.url.params)
        return self.browser.post(f"{self.gong_url}/oauth2/authorize", data=asked | {"decision": decision})

    def attempt(self, session: dict[str, Any]) -> dict[str, Any]:
        """The latest attempt of a session."""
        found: dict[str, Any] = self.api.get(f"/connect_sessions/{session['id']}").json()
        attempt: dict[str, Any] = found["latest_connection_attempt"]
        return attempt

    def link(self, **fields: Any) -> str:
        """Link an account; its id."""
        session = self.session(**fields)
        self.follow(session)
        account_id: str = self.attempt(session)["account_secure_id"]
        return account_id

    def connected(self) -> tuple[Integration, dict[str, Any], str]:
        """Integration, profile and linked account."""
        self.sign_in()
        integration = self.create_integration()
        return integration, self.create_profile(integration), self.link()

    def action(self, account_id: str, action: str = "gong_list_users", **body: Any) -> httpx.Response:
        """Run an action for an account."""
        return self.api.post("/actions/rpc", json={"action": action, **body}, headers={"x-account-id": account_id})

    def advance(self, **duration: float) -> None:
        """Move both clocks."""
        for client in (self.gong, self.api):
            client.post("/_twin/clock", json={"advance_seconds": seconds(**duration)}).raise_for_status()

    def switch(self, client: httpx.Client, **options: object) -> None:
        """Turn switches of one twin."""
        client.post("/_twin/options", json=options).raise_for_status()

    def effects(self, client: httpx.Client) -> dict[str, Any]:
        """The counters of one twin."""
        counters: dict[str, Any] = client.get("/_twin/effects").json()
        return counters


def seconds(hours: float = 0, minutes: float = 0, seconds: float = 0) -> float:  # noqa: D103
    return hours * 3600 + minutes * 60 + seconds


def copied(page: httpx.Response, field_name: str) -> str:
    """What a person would copy from a page."""
    found = re.search(rf'data-field="{field_name}"[^>]*>([^<]+)<', page.text)
    assert found, f"no {field_name} on the page"
    return unescape(found[1])


Start = Callable[..., AbstractContextManager[World]]


@contextmanager
def twins(folder: Path, **settings: Any) -> Iterator[World]:
    """Both twins on the state files of a folder, started as `served` is told."""
    with served(folder, **settings) as running:
        world = World(running.gong, running.stackone)
        yield world
        world.close()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start both twins of one's own, again and again on the same state files."""
    return lambda **settings: twins(tmp_path, **settings)


@pytest.fixture(scope="session")
def running(served_twins: Served) -> Iterator[World]:
    """Both twins, once for all tests."""
    world = World(served_twins.gong, served_twins.stackone)
    yield world
    world.close()


@pytest.fixture
def world(running: World, served_twins: Served) -> World:
    """Both twins, fresh."""
    served_twins.reset()
    running.browser.cookies.clear()
    return running
