"""Sign-out, here and at the provider."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from keyturn.console.visitor import SESSION_COOKIE
from tests.console.conftest import ORIGIN, Console
from tests.console.sign_in.conftest import Visitor
from tests.console.sign_in.openid import OpenIdProvider, confirm_sign_out


def test_sign_out_ends_the_session_on_the_server(console: Console, visitor: Visitor) -> None:
    """Whoever has kept the cookie has nothing: the session is gone, not merely forgotten by the browser."""
    visitor.sign_in("alice")
    token = visitor.here.cookies[SESSION_COOKIE]
    visitor.sign_out()
    assert SESSION_COOKIE not in visitor.here.cookies
    assert console.ports.visits.visit(token, 60) is None
    thief = console.nobody()
    thief.cookies.set(SESSION_COOKIE, token)
    assert thief.get("/inbox", follow_redirects=False).is_redirect


def test_sign_out_goes_on_to_the_provider_and_comes_back(visitor: Visitor, openid: OpenIdProvider) -> None:
    """The provider ends its own session, too, so that the next one at this machine has to say who they are."""
    visitor.sign_in("alice")
    answer = visitor.sign_out()
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert answer.status_code == 303
    assert asked == {"client_id": ["keyturn-console"], "post_logout_redirect_uri": [f"{ORIGIN}/signed-out"]}
    back = confirm_sign_out(visitor.there, answer.headers["location"])
    assert back == f"{ORIGIN}/signed-out"
    assert openid.admin("look")["signedOut"] == 1
    assert "You are signed out" in visitor.get(back).text
    assert "Who are you?" in visitor.there.get(visitor.begin(), follow_redirects=True).text


def test_sign_out_needs_the_form_of_the_own_page(visitor: Visitor) -> None:
    """Another page cannot sign somebody out."""
    visitor.sign_in("alice")
    answer = visitor.here.post("/sign-out", data={"csrf": "0" * 64}, follow_redirects=False)
    assert answer.status_code == 403
    assert visitor.person()


def test_the_policy_lets_the_form_lead_to_the_provider(visitor: Visitor, openid: OpenIdProvider) -> None:
    """Browsers hold a form's redirects to the policy, too, so it names where the provider's page is, and no other."""
    policy = visitor.get("/signed-out").headers["content-security-policy"]
    assert policy.endswith(f"form-action 'self' {openid.issuer}")


def test_a_provider_that_is_away_holds_nobody_up(trusting: Callable[..., Console]) -> None:
    """Here the session is over in any case."""
    console = trusting(CONSOLE__OIDC__ISSUER="http://127.0.0.1:1")
    browser = console.browser("alice", "operator")
    answer = browser.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signed-out")
    assert console.ports.visits.visit(browser.token, 60) is None


def test_who_came_by_a_link_of_the_command_line_stays_here(console: Console) -> None:
    """The provider has no session of theirs."""
    person = console.browser("alice", "operator").person
    browser = console.of(type(person)(person.id, person.name, person.groups, "one-time link"))
    assert browser.post("/sign-out").headers["location"] == "/signed-out"
