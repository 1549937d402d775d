import re
from typing import Any

PROFILES = "/dashboard/connector-profiles"


def test_the_way_to_a_profile_has_the_guides_labels(world: Any) -> None:
    """From + Connector Profile over search and Gong to the form and Create profile."""
    world.sign_in()
    listed = world.browser.get(world.stackone_url + PROFILES).text
    new = re.search(r'href="([^"]+)">\+ Connector Profile<', listed)
    assert new
    found = world.browser.get(world.stackone_url + new[1], params={"search": "gon"}).text
    assert "HubSpot" not in found
    gong = re.search(r'href="([^"]+)">Gong<', found)
    assert gong
    form = world.browser.get(world.stackone_url + gong[1]).text
    labels = {"type": "Type", "client_id": "Client ID", "client_secret": "Client Secret", "scopes": "Scopes (optional)"}
    for name, label in labels.items():
        assert f'<label for="{name}">{label}</label>' in form
    for words in ("OAuth 2.0", "List users", "Create profile"):
        assert words in form


def test_a_new_profile_shows_up_in_the_project(world: Any) -> None:
    """On the page and by API, with the label of its type; the first one is the default."""
    world.sign_in()
    made = world.create_integration()
    first = world.create_profile(made, name="Gong (acme/prod)")
    second = world.create_profile(made, name="Another")
    assert first["name"] == "Gong (acme/prod)"
    assert first["authentication_config_label"] == "OAuth 2.0"
    assert (first["default"], second["default"]) == (True, False)
    page = world.browser.get(world.stackone_url + PROFILES).text
    assert first["id"] in page
    assert 'data-field="project-id"' in page


def test_a_form_without_credentials_is_refused(world: Any) -> None:
    """And what is refused is not created."""
    world.sign_in()
    data = {"connector": "gong", "type": "oauth2", "client_id": "only"}
    assert world.browser.post(world.stackone_url + PROFILES, data=data).status_code == 422
    assert world.profiles() == []


def test_a_viewer_may_look_but_not_touch(world: Any) -> None:
    """Creating needs the Project Admin role."""
    world.sign_in(stackone_person="vik")
    assert world.browser.get(world.stackone_url + PROFILES).status_code == 200
    refused = world.browser.get(f"{world.stackone_url}{PROFILES}/new")
    assert (refused.status_code, "Insufficient permissions" in refused.text) == (403, True)
    assert world.browser.post(world.stackone_url + PROFILES, data={}).status_code == 403


def test_an_edit_keeps_what_is_left_empty_and_moves_updated_at(world: Any) -> None:
    """A rename keeps the credentials: a new link still works."""
    world.sign_in()
    profile = world.create_profile(world.create_integration())
    path = f"{world.stackone_url}{PROFILES}/{profile['id']}"
    world.browser.post(f"{path}/edit", data={"name": "Renamed"})
    (changed,) = world.profiles()
    assert changed["name"] == "Renamed"
    assert changed["updated_at"] > profile["updated_at"]
    assert world.link()


def test_disabling_makes_accounts_inactive_and_enabling_heals_them(world: Any) -> None:
    """Calls answer 412 meanwhile: never disable to swap."""
    _, profile, account_id = world.connected()
    path = f"{world.stackone_url}{PROFILES}/{profile['id']}"
    world.browser.post(f"{path}/disable")
    refused = world.action(account_id)
    assert (refused.status_code, refused.json()["errorCode"]) == (412, "AccountIntegrationInactiveError")
    assert world.api.get(f"/accounts/{account_id}").json()["status"] == "inactive"
    world.browser.post(f"{path}/enable")
    assert world.action(account_id).status_code == 200
    page = world.browser.get(f"{world.stackone_url}/dashboard/accounts").text
    assert account_id in page


def test_another_profile_can_become_the_default(world: Any) -> None:
    """There is one default per connector."""
    world.sign_in()
    made = world.create_integration()
    first, second = world.create_profile(made), world.create_profile(made)
    world.browser.post(f"{world.stackone_url}{PROFILES}/{second['id']}/default")
    assert {each["id"]: each["default"] for each in world.profiles()} == {first["id"]: False, second["id"]: True}


def test_a_deleted_profile_leaves_inactive_accounts(world: Any) -> None:
    """The profile is gone from the list; calls answer 412."""
    _, profile, account_id = world.connected()
    world.browser.post(f"{world.stackone_url}{PROFILES}/{profile['id']}/delete")
    assert world.profiles() == []
    assert world.action(account_id).status_code == 412
