"""Bodies that are too large are refused before anything is made of them, whoever sends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest

from keyturn.console.app import routes_of
from keyturn.console.small_body import LIMIT
from tests.console.conftest import Console
from tests.console.serving import SOON_S, running
from tests.services.world import World

FORMS = ("/integrations/{key}/onboard", "/integrations/{key}/rollback", "/sign-out", "/sign-in/link")
_CHUNK = b"reason=" + b"x" * 1017


def unannounced() -> Iterator[bytes]:
    """A large body whose length no header tells."""
    yield from (_CHUNK for _ in range(2 * LIMIT // len(_CHUNK)))


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_a_length(world: World, console: Console, path: str, signed_in: bool) -> None:  # noqa: FBT001  a case
    """It is refused by its size before anybody is asked who they are, and nothing is parsed of it."""
    client = console.browser("vic", "viewer").client if signed_in else console.nobody()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post(path.format(key=world.key), content=unannounced(), headers=headers)
    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert answer.headers["connection"] == "close"
    assert "is larger than 64 kB" in answer.text


def test_what_is_announced_as_too_large_is_not_waited_for(world: World, console: Console) -> None:
    """The answer is there although nothing of the body was sent, and the connection is over."""
    head = f"POST /integrations/{world.key}/onboard HTTP/1.1\r\nHost: console.example\r\nContent-Length: {LIMIT + 1}"
    with running(console.app) as served:
        place = httpx.URL(served.origin)
        with socket.create_connection((place.host, place.port or 0), SOON_S) as line:
            line.sendall(f"{head}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_every_form_has_the_limit(world: World, console: Console) -> None:
    """No route of pages or API takes more: each is called by nobody, and each refuses by the size."""
    names = {"tenant": world.key.tenant, "environment": world.key.environment, "gate_id": "none"}
    paths = {route.path for route in routes_of(console.app.routes) if "POST" in (route.methods or ())}
    client = console.nobody()
    statuses = {path: client.post(path.format(**names), content=b"x" * (LIMIT + 1)).status_code for path in paths}
    assert statuses.pop("/webhooks/stackone") == HTTPStatus.FORBIDDEN  # switched off; its limit has a test of its own
    assert set(statuses.values()) == {HTTPStatus.REQUEST_ENTITY_TOO_LARGE}, statuses
