"""People in front of gates of the console. Every answer they get is searched for secrets when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import httpx

from keyturn.domain.gate import Gate
from tests.console.conftest import Browser, Console
from tests.console.forms import press, words_of
from tests.services.world import World


@dataclass
class Seat:
    """Somebody in front of the gates of one integration."""

    world: World
    browser: Browser

    def open(self, gate: Gate, query: str = "") -> str:
        """The page of a gate."""
        answer = self.noted(self.browser.get(f"/gates/{gate.id}{query}"))
        assert answer.status_code == 200, (answer.status_code, answer.text, answer.headers)
        return answer.text

    def press(self, gate: Gate, action: str, **filled_in: str) -> httpx.Response:
        """Open a gate, fill in a form of it, and send that."""
        return self.noted(press(self.browser, self.open(gate), action, **filled_in))

    def send(self, gate: Gate, action: str, **form: str) -> httpx.Response:
        """Send a form without looking at the page: one that is older than what is asked now, or that it has not."""
        return self.noted(self.browser.post(f"/gates/{gate.id}/{action}", **form))

    def follow(self, answer: httpx.Response) -> str:
        """The page that an answer leads to."""
        assert answer.status_code == 303, words_of(answer.text)
        return self.noted(self.browser.get(answer.headers["location"])).text

    def noted(self, answer: httpx.Response) -> httpx.Response:
        """Keep every word of an answer for the search."""
        self.world.heard += [str(answer.url), answer.text, *self._told(answer.headers.multi_items())]
        return answer

    def _told(self, headers: Iterable[tuple[str, str]]) -> list[str]:
        return [f"{name}: {value}" for name, value in headers]


Sit = Callable[..., Seat]


def sitting(world: World, console: Console) -> Sit:
    """Have people sit down in front of the console: as Vault knows them, or in other groups instead.

    Limits count by person, and tests share a ledger. So people are others in every test, but for Alice, who starts
    what others decide about.
    """

    def sit(name: str, *groups: str) -> Seat:
        known = world.person(name)
        own = known.id if name == "alice" else f"{known.id}/{world.key.tenant}"
        return Seat(world, console.of(replace(known, id=own, groups=frozenset(groups) or known.groups)))

    return sit
