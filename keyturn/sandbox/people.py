"""People who act by themselves on the twins' pages: what a person reads in a kit, fills in, and clicks.

They know the pages and the kit, and nothing of keyturn's clients.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

_API = "/admin/ecosystem/api/integrations"
_PROFILES = "/dashboard/connector-profiles"
_VALUE = r'<code data-field="{field}"[^>]*>([^<]*)</code>'
_LINES = {"redirect_uris", "contact_emails", "domains"}

# The label in the kit, and the name of the form's field.
_GONG_FIELDS = {
    "Integration name": "name",
    "Description": "description",
    "Short description": "short_description",
    "Required authorization scopes": "scopes",
    "Redirect URI(s)": "redirect_uris",
    "Privacy policy URL": "privacy_policy_url",
    "Terms & conditions URL": "terms_url",
    "Help article URL": "help_url",
    "Contact emails": "contact_emails",
    "Domains": "domains",
}
_TRUSTED_IPS = {"Access Token": "access_token_ips", "Refresh Token": "refresh_token_ips"}


@dataclass(frozen=True, slots=True)
class Pair:
    """What Gong's table shows after *Save*."""

    integration: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"<Pair of {self.client_id}>"


class _Browser:
    """A browser with its cookies."""

    def __init__(self, url: str) -> None:
        self._browser = httpx.Client(base_url=url, follow_redirects=True, timeout=60, trust_env=False)

    def close(self) -> None:
        """Close the browser."""
        self._browser.close()


class GongAdmin(_Browser):
    """A Tech admin with a browser."""

    def __init__(self, gong_url: str) -> None:
        super().__init__(gong_url)
        self._browser.post("/sign-in", data={"person": "tessa", "next": "/admin"}).raise_for_status()

    def create_integration(self, steps: Sequence[Mapping[str, Any]]) -> Pair:
        """Fill in Gong's form from the kit, save, set the trusted IPs, and read the pair off the table."""
        fields = _fields(steps)
        form: dict[str, Any] = {
            name: _typed(name, fields[label]) for label, name in _GONG_FIELDS.items() if label in fields
        }
        logos = {f"logo_{size}": (f"{size}.png", _PIXEL, "image/png") for size in ("small", "large")}
        listing = self._browser.post(_API, data=form, files=logos)
        listing.raise_for_status()
        integration = _newest(listing.text)
        ips = {name: _typed_lines(fields.get(label, ())) for label, name in _TRUSTED_IPS.items()}
        if any(ips.values()):
            self._browser.post(f"{_API}/{integration}/trusted-ips", data=ips).raise_for_status()
        return Pair(integration, _client_id(listing.text, integration), self.show_secret(integration))

    def show_secret(self, integration: str) -> str:
        """Press *Show secret*."""
        page = self._browser.post(f"{_API}/{integration}/show-secret")
        page.raise_for_status()
        return _value(page.text, "client-secret")

    def consent(self, auth_link: str, *, approve: bool = True) -> str:
        """Open an auth link, press *Connect*, consent at Gong, and read how it ended, e.g. `authenticated`."""
        token = httpx.URL(auth_link).params["token"]
        at_stackone = httpx.URL(auth_link)
        asked = self._browser.post(at_stackone.copy_with(query=None), data={"token": token})
        if 'data-field="outcome"' in asked.text:
            return _outcome(asked.text)
        answer = dict(asked.url.params) | {"decision": "approve" if approve else "deny"}
        return _outcome(self._browser.post(asked.url.copy_with(query=None), data=answer).text)


class StackOneAdmin(_Browser):
    """A Project Admin with a browser on StackOne's dashboard."""

    def __init__(self, stackone_url: str) -> None:
        super().__init__(stackone_url)
        self._browser.post("/dashboard/sign-in", data={"person": "pia", "next": _PROFILES}).raise_for_status()

    def create_profile(self, name: str, client_id: str, client_secret: str, scopes: Sequence[str]) -> None:
        """Fill in *+ Connector Profile* and press *Create profile*."""
        form = {"connector": "gong", "type": "oauth2", "name": name, "scopes": " ".join(scopes)}
        page = self._browser.post(_PROFILES, data=form | {"client_id": client_id, "client_secret": client_secret})
        page.raise_for_status()

    def edit_profile(self, profile: str, **fields: str) -> None:
        """Change fields of a profile and save."""
        self._browser.post(f"{_PROFILES}/{profile}/edit", data=fields).raise_for_status()

    def press(self, profile: str, button: str) -> None:
        """Press `disable`, `enable`, `default` or `delete`."""
        self._browser.post(f"{_PROFILES}/{profile}/{button}").raise_for_status()


_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def _fields(steps: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[str]]:
    return {field["label"]: field["values"] for step in steps for field in step["fields"]}


def _typed(name: str, values: Sequence[str]) -> str | list[str]:
    if name == "scopes":
        return list(values)
    return _typed_lines(values) if name in _LINES else "".join(values)


def _typed_lines(values: Sequence[str]) -> str:
    return "\n".join(values)


def _newest(listing: str) -> str:
    """The integration that the list shows last."""
    return str(re.findall(r'data-field="client-id" data-integration="([^"]+)"', listing)[-1])


def _client_id(listing: str, integration: str) -> str:
    found = re.search(rf'data-field="client-id" data-integration="{integration}">([^<]*)<', listing)
    if found is None:
        raise LookupError(integration)
    return unescape(found[1])


def _value(page: str, field: str) -> str:
    found = re.search(_VALUE.format(field=field), page)
    if found is None:
        raise LookupError(field)
    return unescape(found[1])


def _outcome(page: str) -> str:
    found = re.search(r'data-field="outcome" data-status="([^"]+)"', page)
    if found is None:
        raise LookupError("outcome")
    return found[1]
