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
_PROFILE_ROW = r'data-profile="([^"]+)">\s*<td>([^<]*?)(?: \(default\))?<br>'
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

    def newest_integration(self) -> str:
        """The id of the integration that the table shows last."""
        return _newest(self._browser.get(_API).raise_for_status().text)

    def integration_of(self, client_id: str) -> str:
        """The id of the integration that the table shows with that Client ID."""
        listing = self._browser.get(_API).raise_for_status().text
        return _found(rf'data-field="client-id" data-integration="([^"]+)">{re.escape(client_id)}<', listing, client_id)

    def show_secret(self, integration: str) -> str:
        """Press *Show secret*."""
        page = self._browser.post(f"{_API}/{integration}/show-secret")
        page.raise_for_status()
        return _value(page.text, "client-secret")

    def rotate_secret(self, integration: str, grace_hours: int) -> Pair:
        """More actions > *Edit* > *Credentials* > *Rotate secret*, tick *I confirm rotation*, and copy the new secret.

        With 0 hours Gong revokes the old one at once.
        """
        details = self._browser.get(f"{_API}/{integration}/edit").raise_for_status()
        credentials = self._browser.get(_link(details.text, "Credentials")).raise_for_status()
        form = {"grace_hours": str(grace_hours), "confirm": "yes"}
        page = self._browser.post(_action(credentials.text, "rotate-secret"), data=form).raise_for_status()
        return Pair(integration, _client_id(page.text, integration), _value(page.text, "client-secret"))

    def reset_secret(self, integration: str) -> Pair:
        """What somebody else does who tells nobody: a new secret, and the old one dead."""
        return self.rotate_secret(integration, 0)

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

    def profile(self, name: str) -> str:
        """The id that the list shows beside a name; the newest, if several profiles have that name.

        Raises:
            LookupError: none has it.
        """
        listing = self._browser.get(_PROFILES).raise_for_status()
        named: dict[str, str] = {unescape(shown): found for found, shown in re.findall(_PROFILE_ROW, listing.text)}
        return named[name]

    def edit_profile(self, profile: str, **changes: str | list[str]) -> None:
        """Open the form, change some of `name`, `client_id`, `client_secret`, `scopes` and `actions`, and save.

        The rest goes back as the form shows it: scopes and actions that are not sent would be cleared.
        """
        path = f"{_PROFILES}/{profile}/edit"
        shown = _shown(self._browser.get(path).raise_for_status().text)
        self._browser.post(path, data=shown | changes).raise_for_status()

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


def _shown(form: str) -> dict[str, str | list[str]]:
    """What StackOne's form is filled in with; it never shows credentials."""
    texts = re.findall(r'<input id="(name|scopes)" name="[^"]+" value="([^"]*)"', form)
    ticked = re.findall(r'<input type="checkbox" name="actions" value="([^"]*)" checked>', form)
    return {name: unescape(value) for name, value in texts} | {"actions": [unescape(value) for value in ticked]}


def _link(page: str, label: str) -> str:
    """Where a link with that label leads."""
    return _found(rf'<a href="([^"]+)"[^>]*>{label}</a>', page, label)


def _action(page: str, ending: str) -> str:
    """Where the form goes whose address ends so."""
    return _found(rf'<form method="post" action="([^"]+/{ending})">', page, ending)


def _newest(listing: str) -> str:
    """The integration that the list shows last."""
    return str(re.findall(r'data-field="client-id" data-integration="([^"]+)"', listing)[-1])


def _client_id(listing: str, integration: str) -> str:
    return _found(rf'data-field="client-id" data-integration="{integration}">([^<]*)<', listing, integration)


def _value(page: str, field: str) -> str:
    return _found(_VALUE.format(field=field), page, field)


def _outcome(page: str) -> str:
    return _found(r'data-field="outcome" data-status="([^"]+)"', page, "outcome")


def _found(pattern: str, page: str, what: str) -> str:
    """What a person would read at that place; a LookupError that names it if it is not there."""
    found = re.search(pattern, page)
    if found is None:
        raise LookupError(what)
    return unescape(found[1])
