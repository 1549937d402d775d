"""Where a sign-in may end, and which browser it belongs to."""

from __future__ import annotations

import base64
import json

import pytest
from starlette.requests import Request
from starlette.responses import Response

from keyturn.console.sign_in.errand import Errand, cookie_name, forget, forget_oldest, local


@pytest.mark.parametrize(
    "path", ["/", "/inbox", "/?q=acme&page=2", "/integrations/acme/production#x", "/gates/1?a=//b"]
)
def test_a_page_of_the_own_is_where_it_ends(path: str) -> None:
    """Path and query are kept as they are."""
    assert local(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "inbox", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
     "/\t/evil.example", "/\n/evil.example", "/ /evil.example", "javascript:alert(1)", "/a\\b", "/\u2028/",
     "/" + "a" * 2000, "/sign-in", "/sign-out", "/signed-out", "@evil.example", ".evil.example"],
)  # fmt: skip
def test_anything_else_ends_at_the_first_page(path: str) -> None:
    """What a browser could take for another host, or what would go round in a circle."""
    assert local(path) == "/"


def cookie_of(errand: Errand) -> str:
    """What a browser keeps of it."""
    response = Response()
    errand.keep(response)
    return response.headers["set-cookie"].partition("=")[2].partition(";")[0].strip('"')


def coming_with(**cookies: str) -> Request:
    """A request with those cookies, by the state of each one's sign-in."""
    pairs = "; ".join(f"{cookie_name(state)}={cookie}" for state, cookie in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", pairs.encode())]})


def forgotten(response: Response) -> set[str]:
    """The names of the cookies that a browser is told to forget."""
    said = [value for name, value in response.headers.items() if name == "set-cookie" and "Max-Age=0" in value]
    return {cookie.partition("=")[0] for cookie in said}


def test_a_browser_gets_back_what_it_began() -> None:
    """With the right state, and with no other."""
    errand = Errand.to("/inbox")
    request = coming_with(**{errand.state: cookie_of(errand)})
    assert Errand.of(request, errand.state) == errand
    assert Errand.of(request, "another") is None
    assert Errand.of(request, "") is None


@pytest.mark.parametrize(
    "content", ["nonsense", "[]", "{}", '"text"', '{"after": 1, "state": "s", "nonce": "n", "verifier": "v"}']
)
def test_a_cookie_that_cannot_be_read_is_none(content: str) -> None:
    """Whatever somebody has put there, it is as if nothing was begun."""
    raw = coming_with(s=content if content == "nonsense" else base64.urlsafe_b64encode(content.encode()).decode())
    assert Errand.of(raw, "s") is None


def test_a_cookie_leads_nowhere_else() -> None:
    """Where it ends is looked at again when it ends."""
    changed = {"after": "//evil.example", "state": "s", "nonce": "n", "verifier": "v"}
    errand = Errand.of(coming_with(s=base64.urlsafe_b64encode(json.dumps(changed).encode()).decode()), "s")
    assert errand
    assert errand.after == "/"


def test_two_tabs_do_not_spoil_each_other() -> None:
    """Of two sign-ins in one browser each finds what it began, and the end of one leaves the other."""
    one, other = Errand.to("/inbox"), Errand.to("/gates/1")
    request = coming_with(**{errand.state: cookie_of(errand) for errand in (one, other)})
    assert [Errand.of(request, errand.state) for errand in (one, other)] == [one, other]
    response = Response()
    forget(request, response, one.state)
    forget(request, response, "never begun")
    assert forgotten(response) == {cookie_name(one.state)}


@pytest.mark.parametrize(("begun", "gone"), [("", ""), ("abc", ""), ("abcd", "a"), ("abcdef", "abc")])
def test_a_browser_keeps_few_of_them(begun: str, gone: str) -> None:
    """With a new one there are four at most: those that it has had for longest go."""
    response = Response()
    forget_oldest(coming_with(**dict.fromkeys(begun, "x")), response)
    assert forgotten(response) == set(map(cookie_name, gone))


def test_an_errand_shows_nothing_that_would_let_others_end_it() -> None:
    """In a log or traceback there is its destination only."""
    errand = Errand.to("/inbox")
    assert repr(errand) == "Errand(after='/inbox')"
