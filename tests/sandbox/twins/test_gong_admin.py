import re
from typing import Any

INTEGRATIONS = "/admin/ecosystem/api/integrations"


def test_the_way_to_the_form_has_gongs_labels(world: Any) -> None:
    """A Tech admin gets from the Admin center to Create Integration by the labels that the guide names."""
    world.sign_in()
    page = world.browser.get(f"{world.gong_url}/admin")
    for label in ("Ecosystem", "API", "INTEGRATIONS", "Create Integration"):
        link = re.search(rf'<a[^>]*href="([^"]+)"[^>]*>{label}</a>', page.text)
        assert link, label
        page = world.browser.get(world.gong_url + link[1])
    assert page.text.count('name="scopes"') == 40
    assert "Terms &amp; conditions URL" in page.text


def test_every_field_of_a_form_has_a_label(world: Any) -> None:
    """Playwright and people find each text field by its label."""
    world.sign_in()
    page = world.browser.get(f"{world.gong_url}{INTEGRATIONS}/new").text
    ids = re.findall(r'<(?:input|textarea) id="([^"]+)"', page)
    assert len(ids) == 12
    assert all(f'<label for="{name}">' in page for name in ids)


def test_a_stranger_signs_in_first_and_lands_where_he_wanted(world: Any) -> None:
    """Sign-in leads on to the page that was asked for."""
    asked = world.browser.get(f"{world.gong_url}{INTEGRATIONS}")
    assert asked.url.path == "/sign-in"
    landed = world.post("/sign-in", person="tessa", next=asked.url.params["next"])
    assert landed.url.path == INTEGRATIONS


def test_sign_in_never_leads_to_another_host(world: Any) -> None:
    """A forged next is ignored."""
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        assert world.post("/sign-in", person="tessa", next=target).url.path == "/admin"


def test_a_business_admin_has_insufficient_permissions(world: Any) -> None:
    """Only a Tech admin sees integrations, whatever StackOne's guide says."""
    world.sign_in(gong_person="bruno")
    for path in (INTEGRATIONS, f"{INTEGRATIONS}/new", "/oauth2/authorize"):
        answer = world.browser.get(world.gong_url + path)
        assert (answer.status_code, "Insufficient permissions" in answer.text) == (403, True)
    assert world.post(INTEGRATIONS, name="x").status_code == 403


def test_a_form_that_lacks_something_is_not_saved(world: Any) -> None:
    """Mandatory fields and unknown scopes are named, and what was typed stays."""
    world.sign_in()
    answer = world.post(INTEGRATIONS, description="kept", scopes=["api:made:up"])
    assert answer.status_code == 422
    for words in ("Integration name is required", "Redirect URI(s) is required", "Unknown scope: api:made:up", "kept"):
        assert words in answer.text
    assert "integrations_created" not in world.effects(world.gong)


def test_the_issued_secret_can_be_chosen_once(start: Any) -> None:
    """The secret of the environment goes to the next integration, and to no other."""
    with start(client_secret="canary") as world:
        world.sign_in()
        assert world.create_integration().secret == "canary"
        assert world.create_integration().secret != "canary"


def test_an_edit_keeps_client_id_and_secret(world: Any) -> None:
    """Scopes can be added later; the pair stays."""
    world.sign_in()
    made = world.create_integration()
    edited = world.post(
        f"{INTEGRATIONS}/{made.id}/edit",
        name="Renamed",
        scopes=["api:users:read", "api:workspaces:read"],
        redirect_uris="https://api.stackone.com/connect/oauth2/gong/callback",
    )
    assert "Renamed" in edited.text
    assert made.client_id in edited.text


def test_logos_can_be_uploaded(world: Any) -> None:
    """The form takes files, as a browser sends it."""
    world.sign_in()
    made = world.create_integration()
    fields = {"name": "StackOne", "scopes": "api:users:read", "redirect_uris": "https://a.example/cb"}
    url = f"{world.gong_url}{INTEGRATIONS}/{made.id}/edit"
    world.browser.post(url, data=fields, files={"logo_small": ("small.png", b"png")})
    assert "small.png" in world.browser.get(url).text


def test_a_malformed_trusted_ip_is_refused_on_save(world: Any) -> None:
    """One bad line keeps both lists as they were."""
    world.sign_in()
    path = f"{INTEGRATIONS}/{world.create_integration().id}/trusted-ips"
    refused = world.post(path, access_token_ips="192.0.2.1\nnot-an-ip", refresh_token_ips="192.0.2.2")
    assert (refused.status_code, "Not an IP address: not-an-ip" in refused.text) == (422, True)
    assert "192.0.2.1" not in world.browser.get(world.gong_url + path).text
    world.post(path, access_token_ips="192.0.2.1\n198.51.100.0/24", refresh_token_ips="192.0.2.2")
    assert "198.51.100.0/24" in world.browser.get(world.gong_url + path).text


def test_rotation_wants_a_confirmation_and_a_grace_within_bounds(world: Any) -> None:
    """Neither a forgotten tick nor 169 hours rotate anything."""
    world.sign_in()
    path = f"{INTEGRATIONS}/{world.create_integration().id}/rotate-secret"
    assert world.post(path, grace_hours="24").status_code == 422
    for hours in ("169", "-1", "1.5", ""):
        assert world.post(path, grace_hours=hours, confirm="yes").status_code == 422
    assert "rotations" not in world.effects(world.gong)


def test_a_rotated_secret_is_shown_once(world: Any) -> None:
    """After its rotation the list shows the secret no more."""
    world.sign_in()
    made = world.create_integration()
    rotated = world.rotate(made)
    again = world.post(f"{INTEGRATIONS}/{made.id}/show-secret")
    assert rotated.secret != made.secret
    assert rotated.secret not in again.text
    assert "has been shown" in again.text


def test_the_first_secret_can_be_made_to_show_once_too(start: Any) -> None:
    """An option makes Show secret work once only."""
    with start(gong={"show_secret": "once"}) as world:
        world.sign_in()
        made = world.create_integration()
        assert made.secret not in world.post(f"{INTEGRATIONS}/{made.id}/show-secret").text


def test_a_deleted_integration_takes_its_tokens_along(world: Any) -> None:
    """Client and access tokens are unknown afterwards."""
    world.sign_in()
    made = world.create_integration()
    tokens = world.exchange(made, world.code(made)).json()
    world.post(f"{INTEGRATIONS}/{made.id}/delete")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert world.gong.get(f"{tokens['api_base_url_for_customer']}/v2/users", headers=headers).status_code == 401
    assert world.refresh(made, tokens["refresh_token"]).status_code == 401
