from __future__ import annotations

from typing import Any

import pytest

from keyturn.clients.vault.people import VaultPeople
from keyturn.clients.vault.person import OnBehalf, VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import NotPermittedError, UnavailableError, VendorRefusedError
from keyturn.settings import VaultAuth, VaultSettings


def _console(bao: Any, **changes: Any) -> VaultSettings:
    """Settings of the console, which signs in by AppRole."""
    role = "auth/approle/role/keyturn-console"
    role_id = bao.ask("GET", f"{role}/role-id")["data"]["role_id"]
    secret_id = bao.ask("POST", f"{role}/secret-id")["data"]["secret_id"]
    settings: VaultSettings = bao.settings(auth=VaultAuth.APPROLE, role_id=role_id, secret_id=secret_id, **changes)
    return settings


def _accessor(bao: Any) -> str:
    return str(bao.ask("GET", "sys/auth")["data"]["userpass/"]["accessor"])


@pytest.fixture
def people(bao: Any) -> VaultPeople:
    """Vault's identities, as the console sees them."""
    return VaultPeople(VaultSession(_console(bao)))


def test_a_name_is_the_person_who_signed_in_with_it(bao: Any, people: VaultPeople) -> None:
    """The console gets the very id that the person's own token gives."""
    own = VaultPerson(VaultSession(bao.settings(), bao.login("erin")), bao.settings()).whoami()
    assert own.id == f"vault:entity/{people.entity('erin', _accessor(bao))}"


def test_who_never_signed_in_is_nobody(bao: Any, people: VaultPeople) -> None:
    """Vault makes an identity at the first sign-in, and a name counts at its own way of signing in only."""
    bao.login("erin")
    approle = bao.ask("GET", "sys/auth")["data"]["approle/"]["accessor"]
    assert people.entity("nobody-of-that-name", _accessor(bao)) is None
    assert people.entity("erin", approle) is None


def test_who_is_disabled_is_nobody(bao: Any, people: VaultPeople) -> None:
    """An identity that an administrator has switched off signs in nowhere."""
    bao.ask("POST", "auth/userpass/users/carol", {"password": "pw"})
    bao.passwords["carol"] = "pw"
    bao.login("carol")
    entity = people.entity("carol", _accessor(bao))
    assert entity
    bao.ask("POST", f"identity/entity/id/{entity}", {"disabled": True})
    assert people.entity("carol", _accessor(bao)) is None


def test_a_vault_that_is_away_is_said(bao: Any) -> None:
    """Nobody is made up when Vault gives no answer."""
    with pytest.raises(UnavailableError):
        VaultPeople(VaultSession(_console(bao, addr="http://127.0.0.1:1"))).entity("erin", "auth_userpass_1")


def test_too_few_rights_name_the_policy(bao: Any) -> None:
    """A sign-in that may not look people up is told which file to compare its policy with."""
    with pytest.raises(VendorRefusedError, match=r"keyturn-console\.hcl"):
        VaultPeople(VaultSession(bao.worker())).entity("erin", _accessor(bao))


def test_the_consoles_own_token_is_no_person(bao: Any) -> None:
    """The console has an identity in Vault too, but decides nothing."""
    settings = _console(bao)
    body = {"role_id": settings.role_id, "secret_id": settings.secret_id.get_secret_value()}
    token = bao.ask("POST", "auth/approle/login", body)["auth"]["client_token"]
    with pytest.raises(NotPermittedError, match="keyturn's console, which is no person"):
        VaultPerson(VaultSession(settings, token), settings).whoami()


def test_the_console_takes_a_pair_in_and_hands_it_out_for_somebody(
    bao: Any, key: IntegrationKey, pair: Credential
) -> None:
    """With what its own policy allows, and as the person whom it signed in."""
    settings = _console(bao)
    grace = Person("oidc:test#grace", "grace", frozenset({"gong_admin"}), "openid (test)")
    vault = OnBehalf(VaultSession(settings), settings, grace)
    ref = vault.deposit(key, pair)
    token = vault.reveal(ref).token
    assert vault.whoami() == grace
    assert ref.version == 1
    assert vault.unwrap(token).reveal() == pair.reveal()
