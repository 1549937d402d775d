from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import requests

from keyturn.clients.vault.person import VaultPerson, person_token
from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.credential import Credential, CredentialRef
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    CredentialRefusedError,
    NotPermittedError,
    VendorRefusedError,
    WrappingTokenUsedError,
)


def _person(bao: Any, token: str) -> VaultPerson:
    return VaultPerson(VaultSession(bao.settings(), token), bao.settings())


def _wrapped(bao: Any, data: dict[str, Any], ttl: str = "60s") -> str:
    answer = bao.ask("POST", "sys/wrapping/wrap", data, **{"X-Vault-Wrap-TTL": ttl})
    return str(answer["wrap_info"]["token"])


def _versions(bao: Any, key: IntegrationKey) -> int:
    return int(bao.ask("GET", f"keyturn/metadata/{key}/client")["data"]["current_version"])


def test_a_person_is_who_vault_says(grace: VaultPerson) -> None:
    """Identity, name, groups and the way of signing in come from the token alone."""
    who = grace.whoami()
    assert who.id.startswith("vault:entity/")
    assert who.name == "userpass-grace"
    assert who.groups == {"gong_admin", "person"}
    assert who.signed_in == "vault token (userpass)"
    assert grace.whoami() == who


def test_policies_of_the_identity_count_as_groups(bao: Any) -> None:
    """A group given to the entity in Vault, not to the login, is a group as well."""
    bob = _person(bao, bao.login("bob"))
    entity = bob.whoami().id.removeprefix("vault:entity/")
    bao.ask("POST", f"identity/entity/id/{entity}", {"policies": ["keyturn-operator"]})
    assert bob.whoami().groups == {"approver", "operator", "person"}


def test_the_root_token_is_no_person(bao: Any) -> None:
    """Nobody approves as root: there would be no telling who it was."""
    with pytest.raises(NotPermittedError, match=r"belongs to no person.*Sign in as yourself"):
        _person(bao, bao.settings().token.get_secret_value()).whoami()


def test_an_orphan_token_is_no_person(bao: Any) -> None:
    """Neither does a token that was made by hand stand for somebody, whatever its policies."""
    made = bao.ask("POST", "auth/token/create-orphan", {"policies": ["keyturn-approver"]})
    with pytest.raises(NotPermittedError, match="belongs to no person"):
        _person(bao, made["auth"]["client_token"]).whoami()


def test_keyturns_own_token_is_no_person(bao: Any) -> None:
    """A worker has an identity in Vault too, but decides nothing."""
    with pytest.raises(NotPermittedError, match="worker"):
        _person(bao, bao.login("walter")).whoami()


@pytest.mark.parametrize("token", ["s.nonsense", "nothing-like-a-token"])
def test_an_invalid_token_says_how_to_sign_in(bao: Any, token: str) -> None:
    """A wrong or expired token leads to the sign-in, and is not quoted."""
    with pytest.raises(NotPermittedError, match="vault login") as caught:
        _person(bao, token).whoami()
    assert token not in str(caught.value)


@pytest.mark.parametrize("shape", [lambda pair: pair, lambda pair: {"data": pair, "metadata": {"version": 1}}])
def test_a_wrapped_pair_is_opened(bao: Any, grace: VaultPerson, pair: Credential, shape: Any) -> None:
    """Both a wrapped pair and a wrapped answer of a KV version 2 mount will do."""
    token = _wrapped(bao, shape({"client_id": pair.client_id, "client_secret": pair.reveal()}))
    credential = grace.unwrap(f" {token}\n")
    assert (credential.client_id, credential.reveal()) == (pair.client_id, pair.reveal())


def test_a_used_wrapping_token_is_an_alert(bao: Any, grace: VaultPerson) -> None:
    """The second opening is refused with words that say what it may mean."""
    token = _wrapped(bao, {"client_id": "a", "client_secret": "b"})
    grace.unwrap(token)
    with pytest.raises(WrappingTokenUsedError, match=r"alert.*rotate the secret in Gong") as caught:
        grace.unwrap(token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    "content", [{"client_id": "a"}, {"client_id": 1, "client_secret": "c4n4ry"}, {"data": "c4n4ry"}, {"data": None}]
)
def test_a_wrapped_something_else_is_refused(bao: Any, grace: VaultPerson, content: dict[str, Any]) -> None:
    """What is not a pair is refused without being shown."""
    with pytest.raises(CredentialRefusedError, match="did not hold client_id and client_secret") as caught:
        grace.unwrap(_wrapped(bao, content))
    assert "c4n4ry" not in str(caught.value)


def test_an_empty_wrapping_token_is_no_alert(grace: VaultPerson) -> None:
    """Vault would open the person's own token in its place, and call it used."""
    with pytest.raises(CredentialRefusedError, match="is empty"):
        grace.unwrap(" \n")
    assert grace.whoami().name == "userpass-grace"


def test_a_lost_answer_to_unwrap_says_that_the_secret_may_be_lost(
    bao: Any, lossy: Any, lossy_grace: VaultPerson
) -> None:
    """Opening cannot be repeated, so the words say to wrap again; the next try is the alert that it has to be."""
    token = _wrapped(bao, {"client_id": "a", "client_secret": "b"})
    lossy.lose("POST /v1/sys/wrapping/unwrap")
    with pytest.raises(AmbiguousError, match="wrap the secret again"):
        lossy_grace.unwrap(token)
    with pytest.raises(WrappingTokenUsedError):
        lossy_grace.unwrap(token)


def test_a_deposit_makes_one_new_version(
    bao: Any, store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """The reference names path, version and fingerprint of what was stored."""
    ref = grace.deposit(key, pair)
    assert ref == CredentialRef(f"{key}/client", 1, grace.fingerprint(pair))
    assert grace.deposit(key, Credential("client-of-acme", "second")).version == 2
    assert store.read(ref).reveal() == pair.reveal()
    assert _versions(bao, key) == 2


@pytest.mark.parametrize("silent", [False, True])
def test_a_lost_answer_to_a_deposit_makes_no_second_version(
    bao: Any, lossy: Any, lossy_grace: VaultPerson, key: IntegrationKey, pair: Credential, *, silent: bool
) -> None:
    """The first write landed: it is found in the metadata, and nothing is written again."""
    lossy.lose(f"POST /v1/keyturn/data/{key}/client", silent=silent)
    assert lossy_grace.deposit(key, pair).version == 1
    assert _versions(bao, key) == 1


def test_a_deposit_that_never_arrived_is_made_once(
    bao: Any, lossy: Any, lossy_grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """Two connections dropped before the effect: the third try stores the one version."""
    lossy.lose(f"POST /v1/keyturn/data/{key}/client", times=2, effect=False)
    assert lossy_grace.deposit(key, pair).version == 1
    assert _versions(bao, key) == 1


def test_a_deposit_without_any_answer_is_ambiguous(
    bao: Any, lossy: Any, lossy_grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """After three tries the person is told that nothing has been stored so far."""
    lossy.lose(f"POST /v1/keyturn/data/{key}/client", times=3, effect=False)
    with pytest.raises(AmbiguousError, match="no answer came 3 times") as caught:
        lossy_grace.deposit(key, pair)
    assert pair.reveal() not in str(caught.value)
    with pytest.raises(requests.HTTPError):
        _versions(bao, key)


def test_a_lost_intake_token_is_replaced(lossy: Any, lossy_grace: VaultPerson, key: IntegrationKey) -> None:
    """Losing the answer to the minting is no ambiguity: an unused token runs out by itself."""
    lossy.lose("POST /v1/auth/token/create/keyturn-intake")
    with pytest.raises(Exception, match="auth/token/create/keyturn-intake") as caught:
        lossy_grace.deposit(key, Credential("a", "b"))
    assert type(caught.value).__name__ == "UnavailableError"
    assert lossy_grace.deposit(key, Credential("a", "b")).version == 1


def test_only_a_gong_admin_deposits(bao: Any, key: IntegrationKey, pair: Credential) -> None:
    """An approver is told which path is closed to them and which policy opens it."""
    bob = _person(bao, bao.login("bob"))
    with pytest.raises(VendorRefusedError, match=r"may not .* transit/hmac.*keyturn-gong_admin\.hcl") as caught:
        bob.deposit(key, pair)
    assert pair.reveal() not in str(caught.value)


def test_a_person_cannot_read_a_secret_unwrapped(
    bao: Any, grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """The policy opens a stored pair only in a wrapping, so each opening shows."""
    ref = grace.deposit(key, pair)
    with pytest.raises(requests.HTTPError, match=r"40[03]"):
        bao.ask("GET", f"keyturn/data/{ref.path}", token=bao.login("grace"))


def test_a_reveal_opens_exactly_one_version_once(grace: VaultPerson, key: IntegrationKey, pair: Credential) -> None:
    """The token lives five minutes, holds the version asked for, and opens once."""
    ref = grace.deposit(key, pair)
    grace.deposit(key, Credential("client-of-acme", "newer"))
    reveal = grace.reveal(ref)
    assert reveal.ttl_s <= 300
    assert reveal.accessor not in {"", reveal.token}
    assert grace.unwrap(reveal.token).reveal() == pair.reveal()
    with pytest.raises(WrappingTokenUsedError):
        grace.unwrap(reveal.token)


def test_a_version_that_is_gone_is_not_revealed(
    bao: Any, grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """Vault would wrap even a destroyed version, and the person would open nothing."""
    ref = grace.deposit(key, pair)
    bao.ask("POST", f"keyturn/destroy/{ref.path}", {"versions": [1]})
    with pytest.raises(CredentialRefusedError, match="not in Vault any more"):
        grace.reveal(ref)


def test_a_fingerprint_knows_where_the_id_ends(grace: VaultPerson) -> None:
    """Moving a character from the id to the secret gives another fingerprint; the same pair gives the same."""
    assert grace.fingerprint(Credential("ab", "c")) != grace.fingerprint(Credential("a", "bc"))
    assert grace.fingerprint(Credential("ab", "c")) == grace.fingerprint(Credential("ab", "c"))


def test_neither_log_nor_repr_shows_a_secret(
    bao: Any, store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, caplog: pytest.LogCaptureFixture
) -> None:
    """At the most talkative log level, a whole journey of a secret leaves no trace of it."""
    caplog.set_level(logging.DEBUG)
    grace.whoami()
    ref = grace.deposit(key, grace.unwrap(_wrapped(bao, {"client_id": "a", "client_secret": "c4n4ry"})))
    shown = repr([store.read(ref), store, grace, ref, vars(store), vars(grace)])
    assert "c4n4ry" not in caplog.text + shown
    assert bao.settings().token.get_secret_value() not in caplog.text + shown


@pytest.mark.parametrize(
    ("environ", "file", "expected"),
    [
        ({"VAULT_TOKEN": "v", "BAO_TOKEN": "b"}, "f", "v"),
        ({"BAO_TOKEN": "b"}, "f", "b"),
        ({"VAULT_TOKEN": ""}, "f\n", "f"),
    ],
)
def test_a_persons_token_is_found_where_vault_keeps_it(
    tmp_path: Path, environ: dict[str, str], file: str, expected: str
) -> None:
    """Vault's variable, then OpenBao's, then the file both write."""
    (tmp_path / ".vault-token").write_text(file)
    assert person_token(environ, tmp_path) == expected


def test_without_a_token_one_is_told_to_sign_in(tmp_path: Path) -> None:
    """No variable and no file: not signed in."""
    with pytest.raises(NotPermittedError, match=r"not signed in to Vault.*vault login"):
        person_token({}, tmp_path)
