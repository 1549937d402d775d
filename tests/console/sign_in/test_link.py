"""One-time links, on this very machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from typing import Any

import pytest
from starlette.testclient import TestClient

from keyturn.console.sign_in.offer import offer
from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.errors import ConfigurationError, NotPermittedError
from tests.console.conftest import Console
from tests.services.world import World

HERE = "http://127.0.0.1:8400"
ALICE = Person("vault:entity/alice", "alice", frozenset({"operator", "person"}), "vault token (userpass)")
_numbers = count(1)


@pytest.fixture
def local(new_world: Callable[..., World], new_console: Callable[[World], Console]) -> Console:
    """A console that takes links."""
    return new_console(new_world(CONSOLE__URL="", CONSOLE__SIGN_IN_LINKS="true"))


@pytest.fixture
def come() -> Iterator[Callable[..., TestClient]]:
    """Have a browser come to a console, from this machine unless told otherwise."""
    with ExitStack() as stack:

        def make(console: Console, client: str = "", home: str = HERE) -> TestClient:
            from_where = client or f"127.0.1.{next(_numbers)}", 1
            made = TestClient(console.app, home, raise_server_exceptions=False, client=from_where)
            return stack.enter_context(closing(made))

        yield make


@pytest.fixture
def browser(local: Console, come: Callable[..., TestClient]) -> TestClient:
    """A browser on this machine."""
    return come(local)


def code_of(console: Console, person: Person = ALICE) -> str:
    """What the command line would print behind the #."""
    return offer(console.ports, person).url.partition("#")[2]


def send(browser: TestClient, code: str, **headers: str) -> Any:
    """Send the form."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.post("/sign-in/link", data={"code": code}, headers=given, follow_redirects=False)


def test_a_code_signs_in_whom_it_was_made_for(local: Console, browser: TestClient) -> None:
    """The session is Alice's, and says that a link began it."""
    answer = send(browser, f" {code_of(local)}\n")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    session = local.ports.visits.visit(token, 60)
    assert session
    assert (session.person.id, session.person.groups) == (ALICE.id, ALICE.groups)
    assert session.person.signed_in == "one-time link (vault token (userpass))"


def test_a_code_works_once(local: Console, browser: TestClient) -> None:
    """The second time it is unknown, and says how to get another one."""
    code = code_of(local)
    assert [send(browser, code).status_code for _ in range(2)] == [303, 403]
    assert "keyturn console link" in send(browser, code).text


def test_a_code_works_for_five_minutes(local: Console, browser: TestClient) -> None:
    """Then it is of no use to whoever finds it."""
    code = code_of(local)
    local.ports.clock.move(minutes=5)  # type: ignore[attr-defined]  # a test's own clock
    assert send(browser, code).status_code == 403


def test_the_code_is_in_no_url_that_a_server_sees(local: Console, browser: TestClient) -> None:
    """It stands behind the #, and the page is the same for everybody."""
    url = offer(local.ports, ALICE).url
    assert url.startswith(f"{HERE}/sign-in/link#")
    page = browser.get("/sign-in/link")
    assert page.status_code == 200
    assert 'name="code" required' in page.text
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "127.0.0.1"},
        {"x_forwarded_host": "127.0.0.1"},
        {"x_forwarded_proto": "http"},
        {"forwarded": "for=127.0.0.1"},
    ],
)
def test_what_comes_through_a_proxy_is_not_this_machine(
    local: Console, browser: TestClient, headers: dict[str, str]
) -> None:
    """A tunnel or proxy on this machine speaks for somebody elsewhere; the code stays good for whoever is here."""
    code = code_of(local)
    assert send(browser, code, **headers).status_code == 404
    assert send(browser, code).status_code == 303


def test_a_client_elsewhere_finds_no_such_page(local: Console, come: Callable[..., TestClient]) -> None:
    """Whatever name it uses for this machine."""
    code, far = code_of(local), come(local, "198.51.100.7")
    assert far.get("/sign-in/link").status_code == 404
    assert send(far, code).status_code == 404


@pytest.mark.parametrize("host", ["console.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_another_host_name_is_not_this_machine(local: Console, browser: TestClient, host: str) -> None:
    """A name elsewhere that leads here (DNS rebinding) gets nothing."""
    assert send(browser, code_of(local), host=host).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site", "origin": "https://evil.example"},
        {"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:9999"},
        {"sec_fetch_site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
    ],
)
def test_the_form_of_another_page_is_refused(local: Console, browser: TestClient, headers: dict[str, str]) -> None:
    """Nobody is signed in as somebody else by a page that they happen to see."""
    answer = send(browser, code_of(local), **headers)
    assert (answer.status_code, SESSION_COOKIE in str(answer.headers)) == (403, False)


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": HERE}, {"sec_fetch_site": "same-origin", "origin": "null"}, {"sec_fetch_site": "same-origin"}],
)
def test_the_own_form_is_taken(local: Console, browser: TestClient, headers: dict[str, str]) -> None:
    """Browsers of every age say in one of these ways that it was the console's own page."""
    assert send(browser, code_of(local), **headers).status_code == 303


def test_tries_are_limited(local: Console, browser: TestClient, come: Callable[..., TestClient]) -> None:
    """After thirty guesses in five minutes even a right code has to wait; from elsewhere on the machine it works."""
    code = code_of(local)
    assert {send(browser, "guess").status_code for _ in range(30)} == {403}
    assert send(browser, code).status_code == 429
    assert send(come(local), code).status_code == 303


def test_only_codes_that_fail_are_counted(local: Console, browser: TestClient) -> None:
    """Somebody who signs in again and again by good links is not taken for somebody who guesses."""
    assert {send(browser, code_of(local)).status_code for _ in range(31)} == {303}


def test_without_the_setting_there_is_no_such_page(
    new_world: Callable[..., World], new_console: Callable[[World], Console], come: Callable[..., TestClient]
) -> None:
    """Nothing says that this way exists, and no link is made."""
    console = new_console(new_world(CONSOLE__URL=""))
    assert come(console).get("/sign-in/link").status_code == 404
    assert send(come(console), "code").status_code == 404
    with pytest.raises(ConfigurationError, match="is off"):
        offer(console.ports, ALICE)


def test_a_public_address_makes_no_console_that_takes_links(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> None:
    """The application itself refuses to be made, not only the command that serves it."""
    with pytest.raises(ConfigurationError, match=r"browsers reach it as console\.example"):
        new_console(new_world(CONSOLE__SIGN_IN_LINKS="true"))


def test_who_is_in_no_group_gets_no_link(local: Console) -> None:
    """The policy that everybody has who signs in to Vault is no group."""
    with pytest.raises(NotPermittedError, match="is in no group"):
        offer(local.ports, Person("vault:entity/zoe", "zoe", frozenset({"person"}), "vault token (userpass)"))


def test_the_sign_in_page_tells_how(browser: TestClient) -> None:
    """With links as the only way it names the command."""
    page = browser.get("/sign-in")
    assert "keyturn console link" in page.text
    assert "/sign-in/start" not in page.text
