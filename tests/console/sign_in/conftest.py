"""A console whose people sign in at a real OpenID provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from keyturn.console.sign_in.identity import Identities
from keyturn.console.sign_in.provider import Provider
from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.sandbox.ports import free_port
from tests.console.conftest import ORIGIN, Console
from tests.console.sign_in.openid import OpenIdProvider, running, sign_in
from tests.services.world import World

_numbers = count(1)


@pytest.fixture(scope="session")
def home() -> str:
    """Where a console listens that real browsers go to, as the provider knows it."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def running_openid(home: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    """One provider for all tests."""
    with running(free_port(), [ORIGIN, home], tmp_path_factory.mktemp("openid") / "provider.log") as provider:
        yield provider


@pytest.fixture
def openid(running_openid: OpenIdProvider) -> OpenIdProvider:
    """The provider, as it was at first."""
    running_openid.reset()
    return running_openid


@dataclass
class Visitor:
    """Somebody with one browser: it knows the console and the provider.

    Attributes:
        console: where it goes.
        here: at the console.
        there: at the provider.
    """

    console: Console
    here: TestClient
    there: httpx.Client

    def begin(self, after: str = "/inbox") -> str:
        """Ask the console for a sign-in; gives where it sends the browser."""
        answer = self.get("/sign-in/start", params={"next": after})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def returns(self, account: str, url: str) -> str:
        """Sign in at the provider; gives where it sends the browser back to."""
        return sign_in(self.there, url, account, ORIGIN)

    def sign_in(self, account: str, after: str = "/inbox") -> httpx.Response:
        """The whole way; gives the console's last answer."""
        return self.get(self.returns(account, self.begin(after)))

    def person(self) -> Person | None:
        """Who is signed in with this browser, as the console keeps it."""
        token = self.here.cookies.get(SESSION_COOKIE)
        session = self.console.ports.visits.visit(token, 60) if token else None
        return session.person if session else None

    def sign_out(self) -> httpx.Response:
        """Press the button; every page has it."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/inbox").text)
        assert found
        answer: httpx.Response = self.here.post("/sign-out", data={"csrf": found[1]}, follow_redirects=False)
        return answer

    def get(self, url: str, **more: object) -> httpx.Response:
        """Open a page of the console's."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        answer: httpx.Response = self.here.get(path, follow_redirects=False, **more)  # type: ignore[arg-type]
        return answer


@dataclass
class Time:
    """What the console's own clocks say, for what it keeps of the provider."""

    shift_s: float = 0.0

    def __call__(self) -> float:
        """Seconds, from nowhere in particular."""
        return 1000.0 + self.shift_s


@pytest.fixture
def trusting(
    new_world: Callable[..., World], new_console: Callable[[World], Console], openid: OpenIdProvider
) -> Callable[..., Console]:
    """Make a console that trusts the provider, with settings changed as told."""

    def make(**changes: str) -> Console:
        return new_console(new_world(**openid.variables() | changes))

    return make


@pytest.fixture
def console(trusting: Callable[..., Console]) -> Console:
    """A console that trusts the provider."""
    return trusting()


@pytest.fixture
def time(console: Console) -> Time:
    """The time of this console's provider."""
    moved = Time()
    settings = console.ports.settings.console
    provider = Provider(settings, Identities(settings.oidc, lambda: console.ports.people), now=moved)
    console.app.state.provider = console.app.state.bearers._provider = provider
    return moved


@pytest.fixture
def visit(openid: OpenIdProvider) -> Iterator[Callable[[Console], Visitor]]:
    """Have somebody come to a console with a browser of their own."""
    with ExitStack() as stack:

        def come(console: Console) -> Visitor:
            from_where = f"198.51.{next(_numbers) // 250}.{next(_numbers) % 250 + 1}", 1  # everybody from elsewhere
            here = TestClient(console.app, ORIGIN, raise_server_exceptions=False, client=from_where)
            return Visitor(console, stack.enter_context(closing(here)), stack.enter_context(openid.browser()))

        yield come


@pytest.fixture
def visitor(console: Console, visit: Callable[[Console], Visitor]) -> Visitor:
    """Somebody at the console."""
    return visit(console)
