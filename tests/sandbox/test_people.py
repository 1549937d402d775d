"""What people do on the vendors' pages when a secret is turned, and when they do it behind everybody's back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from keyturn.sandbox.people import GongAdmin, Pair, StackOneAdmin
from tests.twins import API_KEY, Served

CALLBACK = "https://api.stackone.com/connect/oauth2/gong/callback"
FIELDS = {"Integration name": ["StackOne"], "Required authorization scopes": ["api:users:read"]}
STEPS = [{"fields": [{"label": k, "values": v} for k, v in (FIELDS | {"Redirect URI(s)": [CALLBACK]}).items()]}]


@pytest.fixture
def gong(served_twins: Served) -> Iterator[GongAdmin]:
    """A Tech admin."""
    served_twins.reset()
    admin = GongAdmin(served_twins.gong)
    yield admin
    admin.close()


@pytest.fixture
def stackone(served_twins: Served) -> Iterator[StackOneAdmin]:
    """A Project Admin, and a profile `Gong <acme> & co` with scopes and actions of its own."""
    served_twins.reset()
    admin = StackOneAdmin(served_twins.stackone)
    admin.create_profile("Gong <acme> & co", "an-id", "a-secret", ["api:users:read", "api:library:read"])
    admin.edit_profile(admin.profile("Gong <acme> & co"), actions=["list_users", "get_user"])
    yield admin
    admin.close()


def works(twins: Served, pair: Pair) -> bool:
    """Whether Gong knows the client by this secret."""
    bogus = {"grant_type": "authorization_code", "code": "bogus", "client_id": pair.client_id, "redirect_uri": CALLBACK}
    url = f"{twins.gong}/oauth2/generate-customer-token"
    answer = httpx.post(url, data=bogus, auth=(pair.client_id, pair.client_secret), trust_env=False)
    return bool(answer.json()["error"] == "invalid_grant")


def profiles(twins: Served) -> list[dict[str, Any]]:
    """All profiles, as the API shows them."""
    answer = httpx.get(f"{twins.stackone}/connector_profiles", auth=(API_KEY, ""), trust_env=False)
    listed: list[dict[str, Any]] = answer.json()["data"]
    return listed


def test_a_secret_is_rotated_and_copied(served_twins: Served, gong: GongAdmin) -> None:
    """The client id stays, both secrets work, and the new one is shown to nobody again."""
    old = gong.create_integration(STEPS)
    new = gong.rotate_secret(old.integration, 168)
    assert (new.integration, new.client_id) == (old.integration, old.client_id)
    assert new.client_secret != old.client_secret
    assert works(served_twins, old)
    assert works(served_twins, new)
    with pytest.raises(LookupError, match="client-secret"):
        gong.show_secret(old.integration)


def test_a_reset_leaves_only_the_new_secret(served_twins: Served, gong: GongAdmin) -> None:
    """What somebody else does: no grace at all."""
    old = gong.create_integration(STEPS)
    new = gong.reset_secret(old.integration)
    assert not works(served_twins, old)
    assert works(served_twins, new)


def test_a_grace_that_gong_refuses_rotates_nothing(gong: GongAdmin) -> None:
    """169 hours are too many, and the old secret stays the only one."""
    old = gong.create_integration(STEPS)
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        gong.rotate_secret(old.integration, 169)
    assert gong.show_secret(old.integration) == old.client_secret


def test_a_pair_is_not_shown_in_a_description(gong: GongAdmin) -> None:
    """Neither the first nor a rotated secret."""
    pair = gong.rotate_secret(gong.create_integration(STEPS).integration, 24)
    assert pair.client_secret not in repr(pair)


def test_an_edit_sends_back_what_it_does_not_change(served_twins: Served, stackone: StackOneAdmin) -> None:
    """Replacing a secret keeps name, scopes and actions, which the form would clear if they were not sent."""
    profile = stackone.profile("Gong <acme> & co")
    stackone.edit_profile(profile, client_secret="another-secret")
    form = httpx.get(
        f"{served_twins.stackone}/dashboard/connector-profiles/{profile}/edit",
        cookies=dict(stackone._browser.cookies),
        trust_env=False,
    ).text
    assert 'name="scopes" value="api:users:read api:library:read"' in form
    assert 'value="list_users" checked' in form
    assert 'value="get_user" checked' in form
    assert 'value="list_calls">' in form
    assert [each["name"] for each in profiles(served_twins)] == ["Gong <acme> & co"]


def test_a_profile_is_found_by_its_name(served_twins: Served, stackone: StackOneAdmin) -> None:
    """As the list shows it, also after a rename; a name that nobody has is an error."""
    profile = stackone.profile("Gong <acme> & co")
    assert profile == profiles(served_twins)[0]["id"]
    stackone.edit_profile(profile, name="Renamed by hand")
    assert stackone.profile("Renamed by hand") == profile
    with pytest.raises(LookupError):
        stackone.profile("Gong <acme> & co")


def test_every_button_does_what_it_says(served_twins: Served, stackone: StackOneAdmin) -> None:
    """Disable, enable, make default, delete: each shows in the API."""
    first = stackone.profile("Gong <acme> & co")
    stackone.create_profile("Another", "an-id", "a-secret", [])
    second = stackone.profile("Another")
    stackone.press(first, "disable")
    assert [each["active"] for each in profiles(served_twins)] == [False, True]
    stackone.press(first, "enable")
    stackone.press(second, "default")
    assert [(each["active"], each["default"]) for each in profiles(served_twins)] == [(True, False), (True, True)]
    stackone.press(first, "delete")
    assert [each["id"] for each in profiles(served_twins)] == [second]
