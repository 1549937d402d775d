"""From claims to a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyturn.console.access import Door, Rule
from keyturn.console.sign_in.identity import Identities, SignInRefusedError
from keyturn.errors import UnavailableError
from keyturn.ports import People
from keyturn.sandbox.openbao import OpenBao
from keyturn.settings import OidcSettings
from tests.console.conftest import Console
from tests.console.sign_in.conftest import Visitor
from tests.console.sign_in.openid import OpenIdProvider

CLAIMS = {"iss": "https://id.example/realm", "sub": "4711", "preferred_username": "alice", "groups": ["keyturn-viewer"]}


class Known(People):
    """A Vault that knows some people."""

    def __init__(self, **ids: str) -> None:
        self.ids = ids
        self.asked: list[tuple[str, str]] = []

    def entity(self, name: str, accessor: str) -> str | None:
        """Who that is."""
        self.asked.append((name, accessor))
        return self.ids.get(name)


def identities(people: People | None = None, **settings: Any) -> Identities:
    """What makes people of claims, under these settings."""
    return Identities(OidcSettings.model_validate(settings), lambda: people or Known())


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        (["keyturn-approver", "keyturn-viewer"], {"approver", "viewer"}),
        (["staff", "approver", "Keyturn-operator", "keyturn-", ""], set()),
        ("keyturn-operator", {"operator"}),
        (["gong-people", "keyturn-viewer"], {"gong_admin", "viewer"}),
        (None, set()),
        ({"keyturn-operator": True}, set()),
        ([["keyturn-operator"], 5, None], set()),
        (7, set()),
    ],
)
def test_groups_are_what_the_claim_lists(said: object, groups: set[str]) -> None:
    """By the prefix, or by the settings; what is no list of texts gives nothing."""
    found = identities(roles={"gong-people": "gong_admin"}).groups(CLAIMS | {"groups": said})
    assert found == groups


def test_the_claims_have_the_names_that_the_settings_say() -> None:
    """Providers call them differently."""
    claims = CLAIMS | {"roles": ["keyturn-operator"], "email": "alice@acme.example"}
    person = identities(groups_claim="roles", name_claim="email").person(claims)
    assert (person.name, person.groups) == ("alice@acme.example", {"operator"})


def test_a_name_is_for_people_to_read() -> None:
    """There is always one, without line ends and of a bearable length."""
    nameless = {name: value for name, value in CLAIMS.items() if name != "preferred_username"}
    assert identities().person(nameless).name == "4711"
    assert identities().person(CLAIMS | {"preferred_username": "a\nb\u202e" + "c" * 500}).name == "ab" + "c" * 98


def test_without_vault_a_person_is_the_providers() -> None:
    """By issuer and subject, which both stay."""
    person = identities().person(CLAIMS)
    assert person.id == "oidc:https://id.example/realm#4711"
    assert person.signed_in == "openid (id.example)"


@pytest.mark.parametrize("name", ["person", "worker", "console", "intake"])
def test_no_group_makes_a_service_of_a_person(name: str) -> None:
    """What only a policy of Vault's is called makes nobody a member, neither by name nor by the settings."""
    made = identities(Known(), roles={"ops": name}).person(CLAIMS | {"groups": [f"keyturn-{name}", "ops"]})
    assert made.groups == frozenset()
    assert not Rule(Door.SESSION).admits(replace(made, groups=frozenset({name})))


def test_with_vault_a_person_is_vaults() -> None:
    """By the name that is theirs there."""
    vault = Known(alice="5c1e")
    assert identities(vault, vault_accessor="auth_oidc_1").person(CLAIMS).id == "vault:entity/5c1e"
    assert vault.asked == [("alice", "auth_oidc_1")]


@pytest.mark.parametrize(
    "claims", [{"preferred_username": "bob"}, {"preferred_username": ""}, {"preferred_username": ["alice"]}]
)
def test_whom_vault_does_not_know_is_refused(claims: dict[str, object]) -> None:
    """Under another identity they would be a second person, who could approve what the first one started."""
    with pytest.raises(SignInRefusedError, match="nobody whom Vault knows"):
        identities(Known(alice="5c1e"), vault_accessor="auth_oidc_1").person(CLAIMS | claims)


def test_one_human_is_one_person_in_vault_and_at_the_console(
    trusting: Callable[..., Console], visit: Callable[[Console], Visitor], openbao: OpenBao
) -> None:
    """Bob at the console has the id that his own Vault token gives him, so he cannot approve what he started."""
    with openbao.api() as root:
        accessor = root.read("sys/auth")["data"]["userpass/"]["accessor"]
    with openbao.api(openbao.login("bob")) as own:
        entity = own.read("auth/token/lookup-self")["data"]["entity_id"]
    visitor = visit(trusting(CONSOLE__OIDC__VAULT_ACCESSOR=accessor))
    visitor.sign_in("bob")
    person = visitor.person()
    assert person
    assert (person.id, person.groups) == (f"vault:entity/{entity}", {"approver"})
    answer = visit(visitor.console).sign_in("mallory")
    assert (answer.status_code, "nobody whom Vault knows" in answer.text) == (403, True)


def test_a_vault_that_is_away_lets_nobody_in(
    trusting: Callable[..., Console], visit: Callable[[Console], Visitor], openid: OpenIdProvider
) -> None:
    """Rather than under another identity."""
    visitor = visit(trusting(CONSOLE__OIDC__VAULT_ACCESSOR="auth_userpass_1", VAULT__ADDR="http://127.0.0.1:1"))
    answer = visitor.sign_in("bob")
    assert (answer.status_code, "Vault at http://127.0.0.1:1" in answer.text) == (503, True)
    assert visitor.person() is None
    assert openid.issuer not in answer.text


def test_a_failure_of_vault_is_not_swallowed() -> None:
    """It is what the caller is told."""

    class Away(Known):
        def entity(self, name: str, accessor: str) -> str | None:
            raise UnavailableError("Vault", f"is away: {name} {accessor}")

    with pytest.raises(UnavailableError):
        identities(Away(), vault_accessor="auth_oidc_1").person(CLAIMS)
