"""The console on real servers (PostgreSQL, OpenBao, both twins; only Prefect is a fake), and people with browsers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from keyturn.console.app import create_app
from keyturn.console.visitor import SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.wiring import Ports
from tests.services.conftest import (  # noqa: F401  fixtures
    clock,
    engine_of,
    ledger_url,
    new_ports,
    new_world,
    openbao,
    running_twins,
    tokens,
    twins,
    world,
)
from tests.services.conftest import environ as environ_of_services  # noqa: F401  a fixture
from tests.services.world import World

ORIGIN = "https://console.example"


@dataclass
class Browser:
    """Somebody's browser, signed in. It keeps no script, so it shows what the console is without one."""

    client: TestClient
    person: Person
    token: str

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Open a page."""
        answer: httpx.Response = self.client.get(path, follow_redirects=False, **more)
        return answer

    def post(self, path: str, csrf: str | None = None, **form: Any) -> httpx.Response:
        """Send a form, with the token that every page of this session carries unless another is given."""
        given = self.csrf() if csrf is None else csrf
        answer: httpx.Response = self.client.post(path, data=form | {"csrf": given}, follow_redirects=False)
        return answer

    def csrf(self) -> str:
        """What the forms of this session carry."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/inbox").text)
        assert found
        return found[1]


@dataclass
class Console:
    """A running console, without a server around it.

    Attributes:
        ports: its own; `runs` is a fake.
    """

    app: FastAPI
    ports: Ports
    _open: list[TestClient] = field(default_factory=list)

    def nobody(self) -> TestClient:
        """A browser that is signed in nowhere."""
        client = TestClient(self.app, base_url=ORIGIN, raise_server_exceptions=False)
        self._open.append(client)
        return client

    def browser(self, name: str, *groups: str) -> Browser:
        """A browser of somebody in these groups."""
        return self.of(Person(f"oidc:test#{name}", name, frozenset(groups), "openid (test)"))

    def of(self, person: Person) -> Browser:
        """A person's browser."""
        token = secrets.token_urlsafe(32)
        self.ports.visits.begin(token, person, self.ports.clock.now() + timedelta(hours=2))
        client = self.nobody()
        client.headers["cookie"] = f"{SESSION_COOKIE}={token}"
        return Browser(client, person, token)

    def close(self) -> None:
        """Close every browser."""
        for client in self._open:
            client.close()


@pytest.fixture
def environ(environ_of_services: dict[str, str]) -> dict[str, str]:  # noqa: F811  the fixture's namesake
    """What keyturn is told from outside, the console's address besides."""
    return environ_of_services | {"KEYTURN_CONSOLE__URL": ORIGIN}


@pytest.fixture
def new_console() -> Iterator[Callable[[World], Console]]:
    """Make a console beside a world. It has the ports of its own sign-in to Vault, and shares all the others."""
    made: list[Console] = []

    def make(world: World) -> Console:  # noqa: F811  the fixture's namesake
        world.ports.runs = world.runs
        ports = _with_own_sign_in(world)
        made.append(Console(create_app(ports), ports))
        return made[-1]

    yield make
    for console in made:
        console.close()


def _with_own_sign_in(world: World) -> Ports:  # noqa: F811  the fixture's namesake
    """A world's ports as the console's role has them, so that what its policy forbids is found out here."""
    role, settings = world.openbao, world.ports.settings
    sign_in = {"role_id": role.console_role_id, "secret_id": SecretStr(role.console_secret_id)}
    ports = Ports(settings.model_copy(update={"vault": settings.vault.model_copy(update=sign_in)}))
    for shared in ("clock", "runs", "gong", "_stackone", "_engine"):
        if shared in vars(world.ports):  # the others are made when they are needed
            setattr(ports, shared, getattr(world.ports, shared))
    return ports


@pytest.fixture
def console(world: World, new_console: Callable[[World], Console]) -> Console:  # noqa: F811  the fixture's namesake
    """The console of an integration's world."""
    return new_console(world)
