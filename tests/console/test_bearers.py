"""Whose bearer token it is."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from keyturn.console.bearers import Bearers
from keyturn.console.visitor import NotSignedInError
from keyturn.domain.credential import Credential
from keyturn.errors import UnavailableError, VendorRefusedError
from keyturn.sandbox.openbao import OpenBao
from tests.console.conftest import Console
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
        bearers._remember(str(number).encode(), bob)
    assert len(bearers._known) == 1000
    assert hashlib.sha256(tokens["bob"].encode()).digest() not in bearers._known


def test_a_vault_that_is_away_is_no_refusal(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> None:
    """Trying again helps, and a program has to know that."""
    console = new_console(new_world(VAULT__ADDR="http://127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        Bearers(console.ports, None).person("s.some-token")


def test_a_person_acts_in_vault_with_their_own_token(bearers: Bearers, world: World) -> None:
    """What Vault's audit file says is what happened: Grace did it, with what her policy allows, and Bob may not."""
    grace = world.person("grace")
    vault = bearers.vault(world.tokens["grace"], grace)
    pair = Credential("client-of-acme", "secret-of-acme")
    assert vault.whoami() == grace
    assert vault.fingerprint(pair)
    with pytest.raises(VendorRefusedError, match="keyturn-gong_admin"):
        bearers.vault(world.tokens["bob"], world.person("bob")).fingerprint(pair)
