from typing import Any

CALLBACK = "https://api.stackone.com/connect/oauth2/gong/callback"


def ask(world: Any, client_id: str, **query: str) -> Any:
    """Open the consent page without following it further."""
    asked = {"client_id": client_id, "response_type": "code", "redirect_uri": CALLBACK, "state": "s", **query}
    return world.browser.get(f"{world.gong_url}/oauth2/authorize", params=asked, follow_redirects=False)


def test_the_page_names_the_integration_and_its_scopes(world: Any) -> None:
    """A person sees to what they consent."""
    world.sign_in()
    page = ask(world, world.create_integration(name="Our StackOne").client_id)
    assert "Our StackOne" in page.text
    assert "api:users:read" in page.text


def test_an_unknown_client_or_redirect_uri_stays_on_the_page(world: Any) -> None:
    """The browser is never sent to an address that is not registered exactly."""
    world.sign_in()
    made = world.create_integration()
    assert ask(world, "nobody").status_code == 400
    assert ask(world, made.client_id, redirect_uri=CALLBACK + "/").status_code == 400


def test_the_browser_is_sent_to_where_the_origin_listens(world: Any) -> None:
    """The registered URI stays the production one; only its host is mapped."""
    world.sign_in()
    made = world.create_integration()
    answer = ask(world, made.client_id, scope="api:calls:create")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(
        f"{world.stackone_url}/connect/oauth2/gong/callback?error=invalid_scope"
    )


def test_an_origin_that_is_not_mapped_is_never_visited(world: Any) -> None:
    """No browser leaves the machine."""
    world.sign_in()
    made = world.create_integration(redirect_uris="https://elsewhere.example/cb")
    answer = ask(world, made.client_id, redirect_uri="https://elsewhere.example/cb", response_type="token")
    assert (answer.status_code, "--deliver" in answer.text) == (502, True)


def test_sign_in_on_the_way_keeps_the_question(world: Any) -> None:
    """A stranger who follows an auth link signs in and sees the same consent page."""
    world.sign_in()
    made = world.create_integration()
    world.browser.cookies.clear()
    target = ask(world, made.client_id).headers["location"]
    sign_in = world.browser.get(world.gong_url + target)
    consent = world.post("/sign-in", person="tessa", next=sign_in.url.params["next"])
    assert (consent.url.path, "Approve" in consent.text) == ("/oauth2/authorize", True)
