"""ID tokens as bearer tokens: how a command line on a laptop says who is at it."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from keyturn.sandbox.openbao import OpenBao
from tests.console.conftest import Console
from tests.console.sign_in.openid import OpenIdProvider, device_token


def me(console: Console, token: str) -> httpx.Response:
    """Whom the API takes somebody for."""
    answer: httpx.Response = console.nobody().get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    return answer


def claims(openid: OpenIdProvider, **changes: Any) -> dict[str, Any]:
    """Claims of a good token of the command line's, changed as told."""
    now = int(clock.time())
    good = {"iss": openid.issuer, "sub": "bob", "aud": "keyturn-cli", "iat": now, "exp": now + 60}
    return good | {"preferred_username": "bob", "groups": ["keyturn-approver"]} | changes


def test_a_token_of_the_device_flow_is_its_owners(console: Console, openid: OpenIdProvider) -> None:
    """The API knows Bob by what the provider gave his command line."""
    answer = me(console, device_token(openid, "bob"))
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["groups"]) == ("bob", ["approver"])
    assert answer.json()["id"] == f"oidc:{openid.issuer}#bob"


def test_a_token_that_was_made_for_the_console_is_taken_too(console: Console, openid: OpenIdProvider) -> None:
    """Its audience is one of the two clients that the settings name."""
    assert me(console, openid.signed(**claims(openid, aud="keyturn-console"))).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1000},
        {"iat": 9_999_999_999},
        {"sub": ""},
        {"azp": "x"},
    ],
)
def test_a_token_that_is_not_for_us_is_nobodys(
    console: Console, openid: OpenIdProvider, changes: dict[str, Any]
) -> None:
    """401 with a challenge, and not a word of the token."""
    token = openid.signed(**claims(openid, **changes))
    answer = me(console, token)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert token not in answer.text


def test_a_token_without_a_group_is_not_enough(console: Console, openid: OpenIdProvider) -> None:
    """It is known whose it is, and that they may nothing: 403."""
    assert me(console, device_token(openid, "mallory")).status_code == 403


def test_a_token_of_somebody_whom_vault_does_not_know_is_nobodys(
    trusting: Callable[..., Console], openid: OpenIdProvider, openbao: OpenBao
) -> None:
    """Where the settings make one person of one human, there is no other identity for a program either."""
    with openbao.api() as root:
        accessor = root.read("sys/auth")["data"]["userpass/"]["accessor"]
    openbao.login("bob")
    console = trusting(CONSOLE__OIDC__VAULT_ACCESSOR=accessor)
    assert me(console, device_token(openid, "bob")).json()["id"].startswith("vault:entity/")
    assert me(console, device_token(openid, "mallory")).status_code == 401


def test_without_the_accessor_vault_tokens_are_nobodys(console: Console, openbao: OpenBao) -> None:
    """Bob in a browser and Bob with his Vault token would be two people, and one could approve what the other began."""
    answer = me(console, openbao.login("bob"))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "KEYTURN_CONSOLE__OIDC__VAULT_ACCESSOR" in answer.json()["remedy"]


def test_with_the_accessor_both_tokens_are_one_person(
    trusting: Callable[..., Console], openid: OpenIdProvider, openbao: OpenBao
) -> None:
    """Bob is Bob by his Vault token and by his ID token."""
    with openbao.api() as root:
        accessor = root.read("sys/auth")["data"]["userpass/"]["accessor"]
    console = trusting(CONSOLE__OIDC__VAULT_ACCESSOR=accessor)
    by_vault = me(console, openbao.login("bob")).json()["id"]
    assert by_vault.startswith("vault:entity/")
    assert me(console, device_token(openid, "bob")).json()["id"] == by_vault


def test_a_provider_that_is_away_is_no_refusal(trusting: Callable[..., Console], openid: OpenIdProvider) -> None:
    """Trying again helps; and Vault's tokens are taken meanwhile, where they are taken."""
    console = trusting(CONSOLE__OIDC__ISSUER="http://127.0.0.1:1", CONSOLE__OIDC__VAULT_ACCESSOR="auth_oidc_1")
    assert me(console, openid.signed(**claims(openid))).status_code == 503
    assert me(console, "s.unknown").status_code == 401


def test_with_an_id_token_the_console_acts_in_vault(console: Console, openid: OpenIdProvider) -> None:
    """Such a person has no token of Vault's, so what they do there is done for them, and they are who they are."""
    token = device_token(openid, "grace")
    bearers = console.app.state.bearers
    person = bearers.person(token)
    assert bearers.vault(token, person).whoami() == person
    assert (person.name, person.groups) == ("grace", {"gong_admin"})
