from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from keyturn.clients.vault.kv import KeyValue
from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.credential import Credential, Pointer
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    ConfigurationError,
    RateLimitedError,
    UnavailableError,
    VendorRefusedError,
)
from keyturn.settings import VaultSettings

KEY = IntegrationKey("acme", "production")
WANTED = Pointer(attempt_id="a", fence=1)


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The present, in seconds."""
        return self.now


def _store_of(settings: VaultSettings) -> VaultSecretStore:
    return VaultSecretStore(VaultSession(settings), settings)


def test_a_sealed_vault_says_so(own_bao: Any) -> None:
    """Sealed is a transient state with its own words."""
    store = _store_of(own_bao.worker())
    own_bao.ask("PUT", "sys/seal")
    with pytest.raises(UnavailableError, match=r"Vault is sealed.*vault operator unseal"):
        store.write_pointer(KEY, WANTED)


def test_an_unreachable_vault_says_so(bao: Any) -> None:
    """Nobody listens: nothing was sent, so even a write is not ambiguous."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings = bao.settings(addr=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnavailableError, match=r"cannot be reached.*KEYTURN_VAULT__ADDR"):
            VaultSession(settings).write("keyturn/data/x", {})


def test_a_version_1_mount_is_refused_before_anything_is_written(bao: Any) -> None:
    """Version 1 ignores check-and-set without a word, so it must not be used by mistake."""
    bao.ask("POST", "sys/mounts/version-one", {"type": "kv", "options": {"version": "1"}})
    store = _store_of(bao.settings(mount="version-one"))
    with pytest.raises(ConfigurationError, match=r"version 1, not kv version 2.*enable-versioning"):
        store.write_pointer(KEY, WANTED)
    assert VaultSession(bao.settings()).read(f"version-one/data/{KEY}/pointer") is None


def test_a_mount_of_another_kind_is_refused(bao: Any) -> None:
    """So is one that holds no secrets at all."""
    with pytest.raises(ConfigurationError, match="is transit version"):
        KeyValue(VaultSession(bao.settings()), "transit").read("x")


def test_a_missing_mount_names_the_path(bao: Any) -> None:
    """Vault answers 403 for a mount that does not exist, and the words name the path."""
    with pytest.raises(VendorRefusedError, match="sys/internal/ui/mounts/nowhere"):
        _store_of(bao.settings(mount="nowhere")).pointer(KEY)


def test_missing_rights_name_path_capability_and_policy_file(bao: Any) -> None:
    """A worker that tries to write a client secret learns what it lacks and where that is written down."""
    with pytest.raises(
        VendorRefusedError, match=r"may not create or update keyturn/data/a/b/client.*deployments/vault/keyturn-worker"
    ):
        VaultSession(bao.worker()).write("keyturn/data/a/b/client", {"data": {"client_secret": "c4n4ry"}})


def test_an_approle_that_is_not_let_in(own_bao: Any) -> None:
    """It is told of AppRole, and not of a pod's service account, which it is none of; nothing is quoted."""
    settings = own_bao.worker()
    own_bao.ask("DELETE", "sys/auth/approle")
    with pytest.raises(VendorRefusedError, match=r"auth/approle/login .*AppRole is enabled") as caught:
        _store_of(settings).pointer(KEY)
    assert "service account" not in str(caught.value)
    assert settings.secret_id.get_secret_value() not in str(caught.value)


def test_a_wrong_token_is_refused_without_being_quoted(bao: Any) -> None:
    """The words for a token nobody knows."""
    with pytest.raises(VendorRefusedError, match="no longer valid") as caught:
        _store_of(bao.settings(token=SecretStr("s.c4n4ry"))).pointer(KEY)
    assert "c4n4ry" not in str(caught.value)


@pytest.mark.parametrize("token", ["s.c4n4ry\nX-Other: 1", "s.c4n4ry…"])
def test_a_token_that_is_none_is_refused_without_being_quoted(bao: Any, token: str) -> None:
    """The HTTP library would put it into its complaint."""
    with pytest.raises(ConfigurationError, match="no token has") as caught:
        VaultSession(bao.settings(), token)
    assert "c4n4ry" not in str(caught.value)


def test_a_missing_token_names_the_setting(bao: Any) -> None:
    """Vault would only say 403."""
    with pytest.raises(ConfigurationError, match="KEYTURN_VAULT__TOKEN: is not set"):
        VaultSession(bao.settings(token=SecretStr("")))


def test_a_wrong_secret_id_is_refused(bao: Any) -> None:
    """AppRole sign-in says which settings to correct."""
    settings = bao.worker().model_copy(update={"secret_id": SecretStr("c4n4ry")})
    with pytest.raises(VendorRefusedError, match="KEYTURN_VAULT__SECRET_ID") as caught:
        _store_of(settings).pointer(KEY)
    assert "c4n4ry" not in str(caught.value)


def test_a_token_about_to_run_out_is_replaced(bao: Any) -> None:
    """AppRole signs in again at four fifths of the token's life, and not before."""
    clock = Seconds()
    session = VaultSession(bao.worker(), now=clock)

    def accessor() -> str:
        return str((session.read("auth/token/lookup-self") or {})["data"]["accessor"])

    first = accessor()
    clock.now = 0.79 * 3600
    assert accessor() == first
    clock.now = 0.81 * 3600
    assert accessor() != first


def test_a_revoked_token_is_replaced_once(bao: Any, lossy: Any, key: IntegrationKey) -> None:
    """Vault says 403 to a token that has died early: sign in again and go on, also with threads at it."""
    settings = bao.worker(addr=f"http://127.0.0.1:{lossy.port}")
    session = VaultSession(settings)
    store = VaultSecretStore(session, settings)
    store.pointer(key)
    accessor = (session.read("auth/token/lookup-self") or {})["data"]["accessor"]
    bao.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(store.pointer, [key] * 4)) == [Pointer()] * 4
    assert lossy.seen.count("POST /v1/auth/approle/login") == 2


def test_missing_rights_do_not_sign_in_again(bao: Any, lossy: Any) -> None:
    """A 403 under a living token is a matter of rights; a sign-in would only use up secret ids."""
    session = VaultSession(bao.worker(addr=f"http://127.0.0.1:{lossy.port}"))
    with pytest.raises(VendorRefusedError):
        session.read("sys/mounts")
    assert lossy.seen.count("POST /v1/auth/approle/login") == 1


@pytest.mark.parametrize(("method", "expected"), [("GET", UnavailableError), ("POST", AmbiguousError)])
def test_a_server_error_after_a_write_is_ambiguous(
    bao: Any, lossy: Any, key: IntegrationKey, method: str, expected: type[Exception]
) -> None:
    """Vault answers 500 when its audit file fails after the effect, so only reads are known to have done nothing."""
    session = VaultSession(bao.settings(addr=f"http://127.0.0.1:{lossy.port}"))
    lossy.lose(f"{method} /v1/keyturn/data/{key}", status=500)
    kv = KeyValue(session, "keyturn")
    with pytest.raises(expected, match=r"failed \(500\)"):
        kv.read(str(key)) if method == "GET" else kv.write(str(key), {}, cas=0)


def test_a_standby_is_transient(bao: Any, lossy: Any) -> None:
    """503 without the word sealed means another server leads, or this one is starting."""
    lossy.lose("GET /v1/sys/internal", status=503)
    with pytest.raises(UnavailableError, match="standby or still starting"):
        _store_of(bao.settings(addr=f"http://127.0.0.1:{lossy.port}")).pointer(KEY)


def test_a_rate_limit_carries_the_wait(own_bao: Any) -> None:
    """Vault's Retry-After comes through in seconds."""
    own_bao.ask("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
    own_bao.ask("POST", "sys/quotas/rate-limit/all", {"rate": 1, "interval": "60s"})
    session = VaultSession(own_bao.settings())
    session.read("auth/token/lookup-self")
    with pytest.raises(RateLimitedError) as caught:
        session.read("auth/token/lookup-self")
    assert 0 < caught.value.retry_after_s <= 60


def test_a_missing_fingerprint_key_says_how_to_make_it(own_bao: Any) -> None:
    """Both a missing key and a missing mount are settings to correct."""
    own_bao.ask("POST", "transit/keys/keyturn-fingerprint/config", {"deletion_allowed": True})
    own_bao.ask("DELETE", "transit/keys/keyturn-fingerprint")
    person = VaultPerson(VaultSession(own_bao.settings()), own_bao.settings())
    with pytest.raises(ConfigurationError, match="vault write -f transit/keys/keyturn-fingerprint"):
        person.fingerprint(Credential("a", "b"))
    elsewhere = VaultPerson(VaultSession(own_bao.settings()), own_bao.settings(transit_mount="nowhere"))
    with pytest.raises(ConfigurationError, match=r"nothing is mounted.*KEYTURN_VAULT__TRANSIT_MOUNT"):
        elsewhere.fingerprint(Credential("a", "b"))


def test_a_missing_token_role_says_so(own_bao: Any) -> None:
    """Without the role nobody can deposit."""
    own_bao.ask("DELETE", "auth/token/roles/keyturn-intake")
    person = VaultPerson(VaultSession(own_bao.settings()), own_bao.settings())
    with pytest.raises(ConfigurationError, match="token role of auth/token/create/keyturn-intake does not exist"):
        person.deposit(KEY, Credential("a", "b"))


def test_a_wrong_namespace_says_so(bao: Any) -> None:
    """The setting is named."""
    with pytest.raises(ConfigurationError, match="KEYTURN_VAULT__NAMESPACE"):
        _store_of(bao.settings(namespace="nowhere")).pointer(KEY)


def test_tls_needs_the_ca(tls_bao: Any) -> None:
    """With the CA's file it works; without, it is a matter of settings, not of waiting."""
    trusting = VaultSession(tls_bao.settings())
    assert (trusting.read("auth/token/lookup-self") or {})["data"]["display_name"] == "token"
    with pytest.raises(ConfigurationError, match=r"not trusted.*KEYTURN_VAULT__CA_FILE"):
        VaultSession(tls_bao.settings(ca_file=None)).read("auth/token/lookup-self")


def test_plain_http_to_a_tls_port_is_refused(tls_bao: Any) -> None:
    """The answer there is not Vault's."""
    with pytest.raises(VendorRefusedError, match=r"refused GET sys/health \(400\)"):
        VaultSession(tls_bao.settings(addr=tls_bao.addr.replace("https", "http"))).read("sys/health")
