"""Programs that call the API: each with a bearer token of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from keyturn.console.visitor import NotSignedInError
from keyturn.domain.gate import Person
from keyturn.ports import PersonalVault
from keyturn.wiring import Ports
from tests.console.conftest import Console
from tests.services.world import World

API = "/api/v1"
PROBLEM = "application/problem+json"


@dataclass
class Known:
    """Whose token is whose, in place of a provider: that has tests of its own.

    Attributes:
        vaults: Vault in the hands of those who sent a token of Vault's.
    """

    ports: Ports
    people: dict[str, Person] = field(default_factory=dict)
    vaults: dict[str, PersonalVault] = field(default_factory=dict)

    def person(self, token: str) -> Person:
        """Whose it is."""
        if token not in self.people:
            raise NotSignedInError("you", "sent a token that is nobody's", "Sign in again.")
        return self.people[token]

    def vault(self, token: str, person: Person) -> PersonalVault:
        """Vault for that person: with their own token if it is one."""
        return self.vaults.get(token) or self.ports.on_behalf(person)


@dataclass
class Caller:
    """A program that calls the API about an integration."""

    client: TestClient
    key: str

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Read something below `/api/v1`."""
        answer: httpx.Response = self.client.get(f"{API}{path}", **more)
        return answer

    def post(self, verb: str, body: object = None, **more: Any) -> httpx.Response:
        """Do something to the integration."""
        sent = more if body is None else {"json": body, **more}
        answer: httpx.Response = self.client.post(f"{API}/integrations/{self.key}/{verb}", **sent)
        return answer

    def one(self, part: str = "", **more: Any) -> Any:
        """Read something about the integration, which must be there."""
        answer = self.get(f"/integrations/{self.key}{part}", **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def done(self, verb: str, body: object = None) -> Any:
        """Do something, which must be allowed."""
        answer = self.post(verb, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, status: int, verb: str, body: object = None, **more: Any) -> Any:
        """Do something that must not be allowed; gives the problem."""
        return problem(self.post(verb, body, **more), status)


def problem(answer: httpx.Response, status: int) -> Any:
    """The problem that an answer is."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    said = answer.json()
    assert said.keys() == {"type", "title", "status", "detail", "subject", "remedy"}
    assert said["status"] == status
    return said


@pytest.fixture
def caller(world: World, console: Console, tokens: Mapping[str, str]) -> Callable[..., Caller]:
    """A program in the hands of somebody of Vault's, or of somebody else who is in these groups."""
    known = Known(world.ports)
    console.app.state.bearers = known

    def make(name: str, *groups: str) -> Caller:
        token = f"id-token-of-{name}" if groups else tokens[name]
        if groups:
            known.people[token] = Person(f"oidc:test#{name}", name, frozenset(groups), "openid (test)")
        else:
            known.people[token], known.vaults[token] = world.person(name), world.vault(name)
        client = console.nobody()
        client.headers["authorization"] = f"Bearer {token}"
        return Caller(client, str(world.key))

    return make
