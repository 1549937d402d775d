"""The page of a one-time link in a real browser, over plain http on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext

from keyturn.console.sign_in.offer import offer
from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from tests.console.conftest import Console
from tests.console.screens import chromium
from tests.console.serving import Running, running
from tests.services.world import World

ALICE = Person("vault:entity/alice", "alice", frozenset({"operator"}), "vault token (userpass)")
NAMES = ["127.0.0.1", "localhost"]


@dataclass
class Here:
    """A console on this machine."""

    console: Console
    served: Running

    def home(self, name: str) -> str:
        """Its address under a name of this machine's."""
        return self.served.origin.replace("127.0.0.1", name)

    def code(self) -> str:
        """A one-time code of Alice's."""
        return offer(self.console.ports, ALICE).url.partition("#")[2]


@pytest.fixture
def here(new_world: Callable[..., World], new_console: Callable[[World], Console]) -> Iterator[Here]:
    """A console that takes links, served."""
    console = new_console(new_world(CONSOLE__URL="", CONSOLE__SIGN_IN_LINKS="true"))
    with running(console.app) as served:
        yield Here(console, served)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """A browser without a window."""
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Chromium) -> Iterator[BrowserContext]:
    """A browser that has never been here."""
    with browser.new_context() as made:
        yield made


@pytest.mark.parametrize("name", NAMES)
def test_opening_the_link_is_enough(here: Here, context: BrowserContext, name: str) -> None:
    """The script sends the code that stands behind the #; no request's address has it, nor the browser's in the end."""
    page, code, asked = context.new_page(), here.code(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{here.home(name)}/sign-in/link#{code}")
    page.wait_for_url(f"{here.home(name)}/")
    assert ALICE.name in page.inner_text("header")
    assert not [url for url in asked if code in url.partition("#")[0]]
    assert f"{here.home(name)}/sign-in/link" in asked
    page.go_back()
    assert code not in page.url + page.content()


@pytest.mark.parametrize("name", NAMES)
def test_the_cookie_is_kept_over_http_on_this_machine(here: Here, context: BrowserContext, name: str) -> None:
    """Browsers trust loopback names as they trust https, so a secure cookie with the strict prefix works there."""
    page = context.new_page()
    page.goto(f"{here.home(name)}/sign-in/link#{here.code()}")
    page.wait_for_url(f"{here.home(name)}/")
    (cookie,) = [c for c in context.cookies() if c["name"] == SESSION_COOKIE]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    assert cookie["expires"] == -1  # it goes when the browser does
    assert page.evaluate("document.cookie + JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"


def test_without_a_script_the_code_is_pasted(here: Here, browser: Chromium) -> None:
    """The form is there, and it is enough."""
    with browser.new_context(java_script_enabled=False) as plain:
        page, code = plain.new_page(), here.code()
        page.goto(f"{here.served.origin}/sign-in/link#{code}")
        assert page.input_value("#code") == ""
        page.fill("#code", code)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{here.served.origin}/")
        assert ALICE.name in page.inner_text("header")


def test_a_page_elsewhere_cannot_sign_a_browser_in(here: Here, context: BrowserContext) -> None:
    """A form that another origin sends is refused by what the browser itself says of it."""
    page, elsewhere = context.new_page(), here.home("localhost")
    page.route(f"{elsewhere}/evil", lambda route: route.fulfill(content_type="text/html", body=_evil(here)))
    page.goto(f"{elsewhere}/evil")
    page.click("button")
    page.wait_for_url(f"{here.served.origin}/sign-in/link")
    assert "is not the console's own" in page.inner_text("main")
    assert context.cookies() == []


def _evil(here: Here) -> str:
    field = f'<input name="code" value="{here.code()}">'
    return f'<form method="post" action="{here.served.origin}/sign-in/link">{field}<button>Win</button></form>'
