"""Programs that call the API: each with a bearer token of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from keyturn.console.bearers import Bearers
from keyturn.domain.gate import Person
from keyturn.ports import PersonalVault
from keyturn.sandbox.assets import asset
from keyturn.wiring import Ports
from tests.console.conftest import Console
from tests.services.world import World

API = "/api/v1"
PROBLEM = "application/problem+json"


@dataclass
class Known:
    """Whose token is whose. Vault is asked about its own; for a provider, which has its own tests, this stands in."""

    ports: Ports
    vaults: Bearers
    people: dict[str, Person] = field(default_factory=dict)

    def known(self, token: str) -> Person | None:
        """Whose it is, without asking."""
        return self.people.get(token) or self.vaults.known(token)

    def person(self, token: str) -> Person:
        """Whose it is."""
        return self.people[token] if token in self.people else self.vaults.person(token)

    def vault(self, token: str, person: Person) -> PersonalVault:
        """Vault for that person: with their own token if it is one."""
        return self.ports.on_behalf(person) if token in self.people else self.vaults.vault(token, person)


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

    def read(self, path: str, **query: Any) -> Any:
        """What is below `/api/v1`, which must be there."""
        answer = self.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def one(self, part: str = "", **query: Any) -> Any:
        """Something about the integration, which must be there."""
        return self.read(f"/integrations/{self.key}{part}", **query)

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
def filed(new_world: Callable[..., World], tmp_path: Path) -> World:
    """An integration whose manifest lies in the console's folder."""
    world = new_world(MANIFESTS=str(tmp_path))
    example = asset("integrations")
    (tmp_path / "logos").mkdir()
    (tmp_path / "logos" / "acme.png").write_bytes((example / "logos" / "acme.png").read_bytes())
    text = (example / "acme-production.yaml").read_text().replace("tenant: acme", f"tenant: {world.key.tenant}")
    (tmp_path / "ours.yaml").write_text(text.replace("Gong acme/production", f"Gong {world.key}"))
    return world


@pytest.fixture
def calling(
    new_console: Callable[[World], Console], tokens: Mapping[str, str]
) -> Callable[[World], Callable[..., Caller]]:
    """Make programs that call a world's console."""

    def of(world: World) -> Callable[..., Caller]:
        console = new_console(world)
        known = Known(world.ports, Bearers(world.ports, None))
        console.app.state.bearers = known

        def make(name: str, *groups: str) -> Caller:
            token = f"id-token-of-{name}" if groups else tokens[name]
            if groups:
                known.people[token] = Person(f"oidc:test#{name}", name, frozenset(groups), "openid (test)")
            client = console.nobody()
            client.headers["authorization"] = f"Bearer {token}"
            return Caller(client, str(world.key))

        return make

    return of


@pytest.fixture
def caller(world: World, calling: Callable[[World], Callable[..., Caller]]) -> Callable[..., Caller]:
    """A program of somebody in Vault, or of somebody else who is in these groups."""
    return calling(world)
