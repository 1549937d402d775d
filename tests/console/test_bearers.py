"""Whose bearer token it is."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest
from starlette.testclient import TestClient

from keyturn.console.bearers import Bearers
from keyturn.console.visitor import NotSignedInError
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Person
from keyturn.errors import UnavailableError, VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from tests.console.conftest import ORIGIN, Console
from tests.console.serving import running, until
from tests.services.world import World


@dataclass
class Time:
    """Seconds that a test owns."""

    now_s: float = 100.0

    def __call__(self) -> float:
        """The present."""
        return self.now_s


@pytest.fixture
def time() -> Time:
    """This test's time."""
    return Time()


@pytest.fixture
def bearers(console: Console, time: Time) -> Bearers:
    """Of a console without a provider."""
    return Bearers(console.ports, None, time)


def jwt_like(**claims: object) -> str:
    """Three parts, of which the first is a header."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "RS256"}, claims)
    ]
    return ".".join([*parts, "c2ln"])


def test_a_vault_token_is_its_owner(bearers: Bearers, world: World) -> None:
    """Bob's token says what the command line knows of him."""
    assert bearers.person(world.tokens["bob"]) == world.person("bob")


@pytest.mark.parametrize("token", ["s.nonsense", "hvs.nonsense", "s.a.b", "not a token", "\u00e4", jwt_like(sub="bob")])
def test_what_vault_does_not_know_is_nobody(bearers: Bearers, token: str) -> None:
    """Without a provider an ID token is an unknown text as well; none is repeated."""
    with pytest.raises(NotSignedInError) as caught:
        bearers.person(token)
    assert token not in str(caught.value)


def test_services_are_nobody(bearers: Bearers, openbao: OpenBao) -> None:
    """Neither the administrator's token nor one of keyturn's own sign-ins is a person's."""
    roles = {"keyturn-worker": (openbao.role_id, openbao.secret_id)}
    roles["keyturn-console"] = (openbao.console_role_id, openbao.console_secret_id)
    with openbao.api() as root:
        logins = [{"role_id": role_id, "secret_id": secret_id} for role_id, secret_id in roles.values()]
        tokens = [root.write("auth/approle/login", login)["auth"]["client_token"] for login in logins]
    for token in [openbao.root_token, *tokens]:
        with pytest.raises(NotSignedInError, match="no person"):
            bearers.person(token)


def test_a_revoked_token_is_nobodys_within_half_a_minute(bearers: Bearers, openbao: OpenBao, time: Time) -> None:
    """An answer of Vault's counts for so long, and spares it a question for each request of a loop."""
    token = openbao.login("bob")
    person = bearers.person(token)
    with openbao.api(token) as bob:
        bob.write("auth/token/revoke-self")
    time.now_s += 29
    assert bearers.person(token) == person
    time.now_s += 1
    with pytest.raises(NotSignedInError, match="no longer valid"):
        bearers.person(token)


def test_no_more_than_a_thousand_are_kept(bearers: Bearers, tokens: Mapping[str, str]) -> None:
    """The memory of one process stays small, whoever comes by."""
    bob = bearers.person(tokens["bob"])
    for number in range(1200):
        bearers._remember(str(number).encode(), bob, 30)
    assert len(bearers._known) == 1000
    assert hashlib.sha256(tokens["bob"].encode()).digest() not in bearers._known


def test_a_vault_that_is_away_is_no_refusal(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> None:
    """Trying again helps, and a program has to know that."""
    console = new_console(new_world(VAULT__ADDR="http://127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        Bearers(console.ports, None).person("s.some-token")


class Counting(Bearers):
    """Counts how often Vault is asked."""

    asked = 0

    def _by_vault(self, token: str) -> Person:
        self.asked += 1
        return super()._by_vault(token)


def test_a_refusal_counts_for_some_seconds(console: Console, time: Time) -> None:
    """A program that sends the same bad token in a loop costs Vault one question in five seconds."""
    bearers = Counting(console.ports, None, time)
    for seconds in (0, 4.9, 0.1):
        time.now_s += seconds
        for _ in range(3):
            with pytest.raises(NotSignedInError, match="no longer valid"):
                bearers.person("hvs.nonsense")
    assert bearers.asked == 2


def me(console: Console, token: str, client: str) -> int:
    """What the API answers to somebody with a token, who comes from an address."""
    with closing(TestClient(console.app, ORIGIN, client=(client, 1))) as program:
        return int(program.get("/api/v1/me", headers={"authorization": f"Bearer {token}"}).status_code)


def test_unknown_tokens_of_a_client_are_limited(console: Console, world: World) -> None:
    """After thirty in five minutes Vault is asked no more for that address; who is known goes on, as do others."""
    bearers = console.app.state.bearers = Counting(console.ports, None)
    bob, alice = world.tokens["bob"], world.tokens["alice"]
    assert me(console, bob, "198.51.100.1") == 200
    assert {me(console, f"hvs.{number}", "198.51.100.1") for number in range(30)} == {401}
    assert [me(console, token, "198.51.100.1") for token in ("hvs.more", alice, bob)] == [429, 429, 200]
    assert bearers.asked == 31
    assert [me(console, token, "198.51.100.2") for token in ("hvs.more", alice)] == [401, 200]


def test_a_vault_that_hangs_leaves_the_pages_alone(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> None:
    """However many unknown tokens wait for its answer, pages are served by threads of their own."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=100)
    world = new_world(VAULT__ADDR=f"http://127.0.0.1:{silent.getsockname()[1]}", CONSOLE__URL="")
    console = new_console(world)
    with running(console.app) as served, ThreadPoolExecutor(60) as programs, httpx.Client() as browser:
        asked = [programs.submit(_send, served.origin, f"hvs.{number}") for number in range(60)]
        try:
            limiter = console.app.state.asking
            until(lambda: limiter.statistics().tasks_waiting >= 60 - limiter.total_tokens)
            assert browser.get(f"{served.origin}/sign-in", timeout=5).status_code == 200
        finally:
            silent.close()
        assert {each.result() for each in asked} <= {401, 503}


def _send(origin: str, token: str) -> int:
    return httpx.get(f"{origin}/api/v1/me", headers={"authorization": f"Bearer {token}"}, timeout=60).status_code


def test_a_person_acts_in_vault_with_their_own_token(bearers: Bearers, world: World) -> None:
    """What Vault's audit file says is what happened: Grace did it, with what her policy allows, and Bob may not."""
    grace = world.person("grace")
    vault = bearers.vault(world.tokens["grace"], grace)
    pair = Credential("client-of-acme", "secret-of-acme")
    assert vault.whoami() == grace
    assert vault.fingerprint(pair)
    with pytest.raises(VendorRefusedError, match="keyturn-gong_admin"):
        bearers.vault(world.tokens["bob"], world.person("bob")).fingerprint(pair)
