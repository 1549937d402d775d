"""Sign-in at a real OpenID provider."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from keyturn.console.sign_in.errand import cookie_name
from keyturn.console.visitor import SESSION_COOKIE
from tests.console.conftest import ORIGIN, Console
from tests.console.sign_in.conftest import Time, Visitor
from tests.console.sign_in.openid import OpenIdProvider

OPENED = {"httponly", "path=/", "samesite=lax", "secure"}


def attributes(answer: httpx.Response, name: str) -> set[str]:
    """What an answer says about a cookie beside its value."""
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{name}="))
    return set(cookie.lower().split("; ")[1:])


def query(url: str) -> dict[str, str]:
    """The parameters of a link."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def refused(visitor: Visitor, answer: httpx.Response, why: str, status: int = 403) -> None:
    """Check that an answer is a page that says why, and that nobody is signed in."""
    assert (answer.status_code, why in answer.text) == (status, True), answer.text
    assert visitor.person() is None
    assert f"{SESSION_COOKIE}=" not in str(answer.headers.get_list("set-cookie"))


def test_somebody_signs_in_and_lands_where_they_wanted_to_be(visitor: Visitor) -> None:
    """After the provider has vouched for her, Alice's browser has a session and goes to the page that she asked for."""
    answer = visitor.sign_in("alice", "/gates/1?x=y")
    assert (answer.status_code, answer.headers["location"]) == (303, "/gates/1?x=y")
    assert attributes(answer, SESSION_COOKIE) == OPENED
    person = visitor.person()
    assert person
    assert (person.name, person.groups) == ("alice", {"requester", "operator"})
    assert visitor.get("/inbox").status_code == 200


def test_a_person_is_known_by_issuer_and_subject(visitor: Visitor, openid: OpenIdProvider) -> None:
    """A name may be given to somebody else one day; the provider's own id for a person is not."""
    visitor.sign_in("bob")
    person = visitor.person()
    assert person
    assert person.id == f"oidc:{openid.issuer}#bob"
    assert person.signed_in == f"openid ({urlsplit(openid.issuer).netloc})"


def test_the_provider_is_asked_with_everything_that_protects_a_sign_in(visitor: Visitor) -> None:
    """State, nonce and a hashed verifier are fresh each time, and where to return to is not taken from the request."""
    answer = visitor.get("/sign-in/start", headers={"x-forwarded-host": "evil.example"})
    asked, again = query(answer.headers["location"]), query(visitor.begin())
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{ORIGIN}/sign-in/callback"
    assert asked["scope"].split() == ["openid", "profile", "groups"]
    assert not [name for name in ("state", "nonce", "code_challenge") if asked[name] == again[name]]
    assert attributes(answer, cookie_name(asked["state"])) == OPENED | {"max-age=600"}


def test_the_page_shows_the_way_or_goes_it(visitor: Visitor) -> None:
    """Somebody who was on the way to a page goes straight to the provider; somebody else is offered a link."""
    page, onward = visitor.get("/sign-in"), visitor.get("/sign-in", params={"next": "/inbox"})
    assert 'href="/sign-in/start"' in page.text
    assert (onward.status_code, onward.headers["location"]) == (303, "/sign-in/start?next=%2Finbox")


def test_nobody_gets_to_a_page_but_to_the_sign_in(visitor: Visitor) -> None:
    """A page that needs somebody leads to the sign-in, which leads back."""
    answer = visitor.get("/inbox")
    assert answer.headers["location"] == "/sign-in?next=%2Finbox"
    assert answer.is_redirect


def test_a_wrong_nonce_is_refused(visitor: Visitor) -> None:
    """An ID token that was made for another sign-in signs nobody in."""
    url = visitor.begin()
    other = url.replace(query(url)["nonce"], "the-nonce-of-somebody-else")
    refused(visitor, visitor.get(visitor.returns("alice", other)), "does not hold (invalid_claim: nonce)")


def test_a_wrong_state_is_refused(visitor: Visitor) -> None:
    """What comes back must belong to what this browser was sent away with."""
    url = visitor.returns("alice", visitor.begin())
    refused(visitor, visitor.get(url.replace(query(url)["state"], "another")), "was not begun in this browser")


def test_a_browser_that_began_nothing_is_refused(
    console: Console, visitor: Visitor, visit: Callable[[Console], Visitor]
) -> None:
    """A link back from the provider works only in the browser that went there: nobody can be signed in by a link."""
    url, other = visitor.returns("alice", visitor.begin()), visit(console)
    refused(other, other.get(url), "was not begun in this browser")


def test_a_code_works_once(console: Console, visitor: Visitor, visit: Callable[[Console], Visitor]) -> None:
    """Whoever replays a whole sign-in, cookie and all, is refused: by the browser's cookie, and by the provider."""
    begun = visitor.begin()
    name = cookie_name(query(begun)["state"])
    cookie = visitor.here.cookies[name]
    url = visitor.returns("alice", begun)
    assert visitor.get(url).status_code == 303
    again = visitor.get(url)
    assert again.status_code == 403
    thief = visit(console)
    refused(thief, thief.get(url, headers={"cookie": f"{name}={cookie}"}), "did not accept the answer (invalid_grant)")


def test_a_code_of_another_browser_is_refused(
    console: Console, visitor: Visitor, visit: Callable[[Console], Visitor]
) -> None:
    """A code that was put into somebody else's sign-in does not fit its verifier."""
    mine, victim = visitor.returns("mallory", visitor.begin()), visit(console)
    theirs = victim.returns("alice", victim.begin())
    refused(victim, victim.get(theirs.replace(query(theirs)["code"], query(mine)["code"])), "invalid_grant")


def test_an_expired_token_is_refused(visitor: Visitor, openid: OpenIdProvider) -> None:
    """An ID token whose time is over signs nobody in, though provider and signature are right."""
    openid.admin("set", shiftMs=-600_000)
    refused(visitor, visitor.sign_in("alice"), "does not hold (expired_token: exp)")


def test_a_token_from_the_future_is_refused(visitor: Visitor, openid: OpenIdProvider) -> None:
    """Clocks may differ by a minute, and no more."""
    openid.admin("set", shiftMs=600_000)
    refused(visitor, visitor.sign_in("alice"), "does not hold (invalid_claim: iat)")


def test_clocks_may_differ_a_little(visitor: Visitor, openid: OpenIdProvider) -> None:
    """A token that ran out some seconds ago by our clock is taken."""
    openid.admin("set", shiftMs=-30_000, idTokenLifeS=10)
    assert visitor.sign_in("alice").status_code == 303


def test_new_keys_are_fetched_when_they_are_needed(visitor: Visitor, time: Time, openid: OpenIdProvider) -> None:
    """After the provider has changed its keys, the next sign-in works without anybody doing anything."""
    assert visitor.sign_in("alice").status_code == 303
    openid.admin("rotate")
    time.shift_s += 10
    assert visitor.sign_in("alice").status_code == 303
    assert visitor.person()


def test_unknown_keys_cost_the_provider_little(visitor: Visitor, time: Time, openid: OpenIdProvider) -> None:
    """A key that turns up right after keys were fetched has to wait, so that nobody can have them fetched at will."""
    assert visitor.sign_in("alice").status_code == 303
    openid.admin("rotate")
    answer = visitor.sign_in("alice")
    assert (answer.status_code, "does not hold (invalid_key_id)" in answer.text) == (403, True)
    time.shift_s += 10
    assert visitor.sign_in("alice").status_code == 303


def test_groups_are_those_of_the_last_sign_in(visitor: Visitor, openid: OpenIdProvider) -> None:
    """Whoever is given other groups has them after the next sign-in, and whoever has none any more is not let in."""
    visitor.sign_in("bob")
    before = visitor.person()
    openid.admin("groups", account="bob", groups=["keyturn-viewer"])
    visitor.sign_in("bob")
    after = visitor.person()
    openid.admin("groups", account="bob", groups=[])
    answer = visitor.sign_in("bob")
    assert before
    assert after
    assert (before.groups, after.groups) == ({"approver"}, {"viewer"})
    assert (answer.status_code, "bob" in answer.text, "is in no group of keyturn" in answer.text) == (403, True, True)


def test_somebody_without_a_group_gets_no_session(visitor: Visitor) -> None:
    """The provider knows Mallory, and keyturn has nothing for her: 403, and no session that could gain groups later."""
    refused(visitor, visitor.sign_in("mallory"), "is in no group of keyturn")


def test_a_group_can_be_given_a_role_by_the_settings(visitor: Visitor) -> None:
    """A group whose name says nothing to keyturn is what the settings make of it."""
    visitor.sign_in("grace")
    person = visitor.person()
    assert person
    assert person.groups == {"gong_admin"}


def test_whoever_does_not_sign_in_there_is_not_signed_in_here(visitor: Visitor) -> None:
    """The provider's no is shown as its code alone, never as text that somebody may have put into the link."""
    answer = visitor.get(visitor.returns("", visitor.begin()))
    refused(visitor, answer, "did not sign you in (access_denied)")
    visitor.begin()
    state = query(visitor.begin())["state"]
    made_up = visitor.get("/sign-in/callback", params={"state": state, "error": "call 555-0100"})
    assert "555" not in made_up.text


def test_an_answer_of_another_provider_is_refused(visitor: Visitor) -> None:
    """What says that it comes from elsewhere, or does not say where from, is not taken to this provider (RFC 9207)."""
    url = visitor.returns("alice", visitor.begin())
    issuer = f"&iss={url.partition('&iss=')[2].partition('&')[0]}"
    refused(visitor, visitor.get(url.replace(issuer, "&iss=https%3A%2F%2Fevil.example")), "is from another provider")
    url = visitor.returns("alice", visitor.begin())
    refused(visitor, visitor.get(url.replace(issuer, "")), "is from another provider")


def test_a_new_session_ends_the_one_before(console: Console, visitor: Visitor) -> None:
    """Of one browser there is one session, under a token that nobody had before it began."""
    visitor.sign_in("alice")
    first = visitor.here.cookies[SESSION_COOKIE]
    visitor.sign_in("alice")
    assert visitor.here.cookies[SESSION_COOKIE] != first
    assert console.ports.visits.visit(first, 60) is None
    assert visitor.person()


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil.example", "/sign-in", ""],
)
def test_a_sign_in_ends_at_the_console_only(visitor: Visitor, path: str) -> None:
    """Whatever a link says about where to go next, it is a page of the console's own."""
    assert visitor.sign_in("alice", path).headers["location"] == "/"


def test_two_tabs_sign_in_at_once(visitor: Visitor) -> None:
    """Somebody with two tabs who has to sign in again does so in both, in whatever order, and lands in both."""
    first, second = visitor.begin("/inbox"), visitor.begin("/gates/1")
    landed = [visitor.get(visitor.returns("alice", url)).headers["location"] for url in (first, second)]
    assert landed == ["/inbox", "/gates/1"]


def test_only_what_fails_is_counted(visitor: Visitor) -> None:
    """A company behind one address begins and ends as many sign-ins as it likes."""
    assert {visitor.get("/sign-in/start").status_code for _ in range(40)} == {303}
    assert {visitor.sign_in("alice").status_code for _ in range(31)} == {303}


def test_tries_are_limited(console: Console, visitor: Visitor) -> None:
    """After thirty tries in five minutes a client has to wait, and is told how long; somebody else does not."""
    answers = [visitor.get("/sign-in/callback", params={"code": "guess", "state": "guess"}) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [403] * 30 + [429]
    assert answers[-1].headers["retry-after"] == "300"
    assert visitor.get("/sign-in/start").status_code == 303
    console.ports.clock.move(minutes=6)  # type: ignore[attr-defined]  # a test's own clock
    assert visitor.sign_in("alice").status_code == 303


def test_of_ipv6_a_network_is_one_client(console: Console) -> None:
    """Whoever has one such address has as many as they like; of IPv4 each counts by itself, however it is written."""

    def status(address: str) -> int:
        with closing(TestClient(console.app, ORIGIN, client=(address, 1))) as browser:
            return int(browser.get("/sign-in/callback").status_code)

    assert {status(f"2001:db8:0:1::{number}") for number in range(30)} == {403}
    assert [status("2001:db8:0:1:ffff::1"), status("2001:db8:0:2::1")] == [429, 403]
    assert {status(f"::ffff:203.0.113.{number}") for number in range(40)} == {403}


def test_a_provider_that_is_away_is_said(trusting: Callable[..., Console], visit: Callable[[Console], Visitor]) -> None:
    """Nobody is signed in, and the page says whose fault it is."""
    visitor = visit(trusting(CONSOLE__OIDC__ISSUER="http://127.0.0.1:1"))
    answer = visitor.get("/sign-in/start")
    assert (answer.status_code, "OpenID provider at 127.0.0.1:1" in answer.text) == (503, True)


def test_another_issuer_than_that_of_the_settings_is_not_trusted(
    trusting: Callable[..., Console], visit: Callable[[Console], Visitor], openid: OpenIdProvider
) -> None:
    """A document that says that it is somebody else's is refused before anybody is sent anywhere."""
    visitor = visit(trusting(CONSOLE__OIDC__ISSUER=openid.issuer.replace("127.0.0.1", "localhost")))
    answer = visitor.get("/sign-in/start")
    assert (answer.status_code, "another issuer than" in answer.text) == (400, True)


def test_a_wrong_client_secret_is_said_without_being_shown(
    trusting: Callable[..., Console], visit: Callable[[Console], Visitor]
) -> None:
    """Whoever runs the console learns that the provider does not know it."""
    visitor = visit(trusting(CONSOLE__OIDC__CLIENT_SECRET="wrong-secret"))
    answer = visitor.sign_in("alice")
    refused(visitor, answer, "did not accept the answer (invalid_client)")
    assert "wrong-secret" not in answer.text


def test_sign_in_leaves_no_secret_in_the_log(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    """Neither code, verifier, nonce nor the session's token is logged, at any level."""
    url = visitor.returns("alice", visitor.begin())
    cookie = visitor.here.cookies[cookie_name(query(url)["state"])]
    caplog.clear()
    visitor.get(url)
    logged = [f"{record.getMessage()} {record.args!r}" for record in caplog.records if record.name != "httpx"]
    secrets = [query(url)["code"], cookie, visitor.here.cookies[SESSION_COOKIE]]
    assert not [line for line in logged if any(secret in line for secret in secrets)]
