"""Both twins as tests know them: their switches, what they did, and the people with a browser open there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

from keyturn.sandbox.people import GongAdmin, Pair, StackOneAdmin
from tests.twins import API_KEY


@dataclass
class Twins:
    """Both twins, and the people who have a browser open there."""

    gong: str
    stackone: str
    control: httpx.Client
    gong_admin: GongAdmin
    stackone_admin: StackOneAdmin

    def reset(self) -> None:
        """As at the first start."""
        for origin in (self.gong, self.stackone):
            self.control.post(f"{origin}/_twin/reset").raise_for_status()

    def options(self, origin: str, **options: object) -> None:
        """Turn switches for what is unknown of a vendor."""
        self.control.post(f"{origin}/_twin/options", json=options).raise_for_status()

    def fault(self, origin: str, match: str, kind: str, **more: object) -> None:
        """Have the next calls go wrong."""
        body = {"match": match, "kind": kind, **more}
        self.control.post(f"{origin}/_twin/faults", json=body).raise_for_status()

    def effects(self, origin: str) -> dict[str, int]:
        """What it did, by name; what it did not is missing."""
        counters: dict[str, Any] = self.control.get(f"{origin}/_twin/effects").json()
        return {name: count for name, count in counters.items() if isinstance(count, int) and count}

    def calls(self, origin: str) -> dict[str, int]:
        """How often each of its routes was called."""
        calls: dict[str, int] = self.control.get(f"{origin}/_twin/effects").json()["calls"]
        return calls

    def advance(self, seconds: float) -> None:
        """Move both clocks."""
        for origin in (self.gong, self.stackone):
            self.control.post(f"{origin}/_twin/clock", json={"advance_seconds": seconds}).raise_for_status()

    def account_is(self, account_id: str, status: str) -> None:
        """Something happened to an account at StackOne."""
        self.control.post(f"{self.stackone}/_twin/accounts/{account_id}", json={"status": status}).raise_for_status()

    def profiles(self) -> list[dict[str, Any]]:
        """All profiles, as StackOne shows them."""
        query = {"page_size": "100"}
        answer = self.control.get(f"{self.stackone}/connector_profiles", params=query, auth=(API_KEY, ""))
        listed: list[dict[str, Any]] = answer.json()["data"]
        return listed

    def accounts(self) -> list[dict[str, Any]]:
        """All accounts, as StackOne shows them."""
        listed: list[dict[str, Any]] = self.control.get(f"{self.stackone}/accounts", auth=(API_KEY, "")).json()
        return listed

    def rotate(self, pair: Pair, grace_hours: int) -> Pair:
        """Rotate a secret in Gong without telling anybody, and read the new one off the page."""
        path = f"/admin/ecosystem/api/integrations/{pair.integration}/rotate-secret"
        form = {"grace_hours": str(grace_hours), "confirm": "yes"}
        page = self.gong_admin._browser.post(path, data=form)
        shown = re.search(r'data-field="client-secret"[^>]*>([^<]+)<', page.text)
        assert shown
        return Pair(pair.integration, pair.client_id, unescape(shown[1]))
