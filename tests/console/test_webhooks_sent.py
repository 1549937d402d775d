"""Webhooks over real connections: from StackOne's twin, and from somebody who means no good."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from keyturn.console.webhooks import LARGEST
from keyturn.domain.verdict import Verdict
from keyturn.ledger.tables import integrations
from keyturn.sandbox.people import GongAdmin, StackOneAdmin
from keyturn.sandbox.twins.stackone.webhooks import sign
from tests.console.conftest import Console
from tests.console.serving import Running, running, until
from tests.services.search import CANARY
from tests.services.twins import Twins
from tests.services.world import World
from tests.twins import served

SECRET = "whsec-canary-that-only-both-sides-know"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where the console will listen: StackOne is told before there is one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def origin(listener: socket.socket) -> str:
    """The console's address."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def twins(tmp_path: Path, origin: str) -> Iterator[Twins]:
    """Both twins; StackOne's sends webhooks to the console."""
    webhooks = {"webhook_url": f"{origin}/webhooks/stackone", "webhook_secret": SECRET}
    with (
        served(tmp_path, gong={"calls_per_second": 1000}, client_secret=CANARY, **webhooks) as both,
        httpx.Client() as control,
    ):
        gong_admin, stackone_admin = GongAdmin(both.gong), StackOneAdmin(both.stackone)
        yield Twins(both.gong, both.stackone, control, gong_admin, stackone_admin)
        gong_admin.close()
        stackone_admin.close()


@pytest.fixture
def world(new_world: Callable[..., World], url: str, origin: str) -> World:
    """An integration's world whose clock is right: StackOne dates what it sends."""
    world = new_world(LEDGER__URL=url, CONSOLE__URL=origin, CONSOLE__WEBHOOK_SECRET=SECRET)
    world.clock.time = datetime.now(UTC)
    world.secrets.append(SECRET)
    return world


@pytest.fixture
def listening(console: Console, listener: socket.socket) -> Iterator[Running]:
    """The console behind a real server."""
    with running(console.app, listener) as server:
        yield server


def is_due(world: World) -> bool:
    """Whether the watch takes the integration on before all others."""
    asked = select(integrations.c.hastened_at).where(integrations.c.key == str(world.key))
    with world.ports._engine.connect() as connection:
        return connection.execute(asked).scalar_one() is not None


def delivered(world: World, count: int) -> None:
    """StackOne has had so many webhooks taken, and none refused."""
    until(lambda: world.twins.effects(world.twins.stackone).get("webhooks_delivered", 0) >= count)
    assert "webhooks_failed" not in world.twins.effects(world.twins.stackone)


def test_a_consent_moves_the_run_on_at_once(world: World, listening: Running) -> None:
    """Somebody consents: StackOne says so, the run that was suspended goes on and finds the account by itself.

    Later the account fails, and the watch is to look before its time.
    """
    world.to_consent()
    world.runs.resumes.clear()
    world.ports.observatory.claim(world.clock.now(), world.clock.now(), 10)
    world.consent(world.link())
    until(lambda: world.runs.resumes == [world.run_id])
    assert is_due(world)
    delivered(world, 1)
    assert isinstance(world.go_on(), Verdict)
    world.clock.move(seconds=11)
    world.ports.observatory.claim(world.clock.now(), world.clock.now(), 10)
    (account,) = world.twins.accounts()
    world.twins.account_is(account["id"], "error")
    until(lambda: world.runs.rounds == 2)
    assert is_due(world)
    assert listening.origin.startswith("http://127.0.0.1")


def test_a_stream_without_end_is_cut_off(listening: Running) -> None:
    """Whoever sends without end is answered once 64 kB have come, and sends into the void from then on."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b"x" * 1024

    with httpx.Client() as http:
        try:
            answer = http.post(f"{listening.origin}/webhooks/stackone", content=endless())
        except httpx.WriteError:  # the connection was closed before all of it was taken: that is an answer, too
            return
    assert answer.status_code == 413
    assert sent > LARGEST


def test_a_body_that_breaks_off(listening: Running, world: World) -> None:
    """A delivery that is cut in the middle is none: it changes nothing, and the console answers the next one."""
    body = b'{"event": "account.created"}'
    head = f"POST /webhooks/stackone HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body) + 1}\r\n"
    host, port = listening.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}x-stackone-signature: {sign(SECRET, body)}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        said = connection.recv(4096)
    assert b"200 OK" not in said
    assert httpx.get(f"{listening.origin}/healthz").status_code == 200
    assert world.runs.rounds == 0
