"""Both twins as real servers, and the little that people do on their pages before keyturn can be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest

from keyturn.domain.credential import Credential
from tests.twins import API_KEY, Served

CALLBACK = "https://api.stackone.com/connect/oauth2/gong/callback"
INTEGRATIONS = "/admin/ecosystem/api/integrations"
PROFILES = "/dashboard/connector-profiles"


@dataclass
class Twins:
    """Where both twins are, and a browser signed in to both."""

    gong: str
    stackone: str
    browser: httpx.Client
    api_key: str = API_KEY

    def fresh(self) -> None:
        """As at the first start, with both people signed in again."""
        for origin, path, person in ((self.gong, "", "tessa"), (self.stackone, "/dashboard", "pia")):
            self.browser.post(f"{origin}/_twin/reset").raise_for_status()
            self.browser.post(f"{origin}{path}/sign-in", data={"person": person}).raise_for_status()

    def switch(self, origin: str, **options: object) -> None:
        """Turn switches for what is unknown of a vendor."""
        self.browser.post(f"{origin}/_twin/options", json=options).raise_for_status()

    def fault(self, **fault: object) -> None:
        """Have StackOne's twin misbehave."""
        self.browser.post(f"{self.stackone}/_twin/faults", json=fault).raise_for_status()

    def effects(self) -> dict[str, Any]:
        """What StackOne's twin has done."""
        counters: dict[str, Any] = self.browser.get(f"{self.stackone}/_twin/effects").json()
        return counters

    def integration(self) -> Credential:
        """Create an integration in Gong and copy its pair."""
        form = {"name": "StackOne", "scopes": ["api:users:read"], "redirect_uris": CALLBACK}
        listed = self.browser.post(self.gong + INTEGRATIONS, data=form).text
        integration, client_id = re.findall(r'client-id" data-integration="([^"]+)">([^<]+)<', listed)[-1]
        shown = self.browser.post(f"{self.gong}{INTEGRATIONS}/{integration}/show-secret").text
        secret = re.search(r'data-field="client-secret"[^>]*>([^<]+)<', shown)
        assert secret
        return Credential(client_id, unescape(secret[1]))

    def profile(self, pair: Credential, name: str = "Gong by hand") -> None:
        """Fill in StackOne's form."""
        form = {"connector": "gong", "type": "oauth2", "name": name, "client_id": pair.client_id}
        self.browser.post(self.stackone + PROFILES, data=form | {"client_secret": pair.reveal()}).raise_for_status()

    def consent(self, auth_link: str, decision: str = "approve") -> None:
        """Follow an auth link to Gong and decide there."""
        token = httpx.URL(auth_link).params["token"]
        asked = self.browser.post(f"{self.stackone}/connect", data={"token": token})
        form = dict(asked.url.params) | {"decision": decision}
        self.browser.post(f"{self.gong}/oauth2/authorize", data=form)


@pytest.fixture(scope="session")
def running_twins(served_twins: Served) -> Iterator[Twins]:
    """Both twins, and a browser."""
    with httpx.Client(follow_redirects=True) as browser:
        yield Twins(served_twins.gong, served_twins.stackone, browser)


@pytest.fixture
def twins(running_twins: Twins) -> Twins:
    """Both twins, fresh."""
    running_twins.fresh()
    return running_twins
