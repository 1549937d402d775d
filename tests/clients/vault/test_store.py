from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from keyturn.clients.vault.person import VaultPerson
from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    CredentialRefusedError,
    SupersededError,
    TransientError,
    VendorRefusedError,
)
from tests.clients.vault.test_people import _console as console_of

REF = CredentialRef("acme/production/client", 3, "vault:v1:abc=")


def test_a_missing_pointer_is_empty_with_revision_0(store: VaultSecretStore, key: IntegrationKey) -> None:
    """An integration that nobody has touched has an empty pointer."""
    pointer = store.pointer(key)
    assert (pointer, pointer.revision) == (Pointer(), 0)


def test_a_pointer_comes_back_as_it_was_written(store: VaultSecretStore, key: IntegrationKey) -> None:
    """Every field survives the journey through Vault, and the revision counts up."""
    first = store.write_pointer(key, Pointer(pending=REF, attempt_id="a", fence=1))
    second = store.write_pointer(
        key, replace(first, current=REF, pending=None, previous=REF, fence=2, rotation="r", grace_ends_at="2026-01-01")
    )
    assert (first.revision, second.revision) == (1, 2)
    assert store.pointer(key) == second
    assert second.previous == REF


def test_writing_the_same_again_changes_nothing(store: VaultSecretStore, key: IntegrationKey) -> None:
    """A repeated write finds its own pointer and makes no new revision, whichever revision it had read."""
    wanted = Pointer(pending=REF, attempt_id="a", fence=1)
    first = store.write_pointer(key, wanted)
    assert store.write_pointer(key, wanted).revision == first.revision
    assert store.write_pointer(key, first).revision == first.revision


def test_an_older_execution_never_overwrites_a_newer_one(store: VaultSecretStore, key: IntegrationKey) -> None:
    """Not even when it has read the newest revision."""
    newer = store.write_pointer(key, Pointer(pending=REF, attempt_id="a", fence=2))
    with pytest.raises(SupersededError, match="execution 1 came after execution 2"):
        store.write_pointer(key, replace(newer, current=REF, fence=1))
    assert store.pointer(key) == newer


def test_another_attempt_in_between_supersedes(store: VaultSecretStore, key: IntegrationKey) -> None:
    """A pointer that another attempt has written since it was read is left alone."""
    store.write_pointer(key, Pointer(pending=REF, attempt_id="theirs", fence=1))
    with pytest.raises(SupersededError, match="attempt theirs"):
        store.write_pointer(key, Pointer(current=REF, attempt_id="ours", fence=9))
    assert store.pointer(key).attempt_id == "theirs"


def test_an_older_execution_in_between_means_read_again(store: VaultSecretStore, key: IntegrationKey) -> None:
    """The newer execution is not stopped by an older one's write: it reads again and goes on."""
    store.write_pointer(key, Pointer(pending=REF, attempt_id="a", fence=1))
    wanted = Pointer(current=REF, attempt_id="a", fence=2)
    with pytest.raises(TransientError):
        store.write_pointer(key, wanted)
    assert store.write_pointer(key, replace(wanted, revision=1)).fence == 2


def test_of_many_writers_at_once_one_wins(store: VaultSecretStore, key: IntegrationKey) -> None:
    """Eight attempts race on one revision: one write lands, and the others are told so."""
    barrier = threading.Barrier(8)

    def write(number: int) -> str:
        barrier.wait(10)
        try:
            return store.write_pointer(key, Pointer(pending=REF, attempt_id=f"a{number}", fence=1)).attempt_id
        except SupersededError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        winners = [name for name in pool.map(write, range(8)) if name]
    stored = store.pointer(key)
    assert winners == [stored.attempt_id]
    assert stored.revision == 1


def test_a_lost_answer_is_resolved_by_reading_back(
    lossy_store: VaultSecretStore, lossy: Any, key: IntegrationKey
) -> None:
    """The write landed and its answer was lost: it is recognised as ours, with one revision."""
    lossy.lose(f"POST /v1/keyturn/data/{key}/pointer")
    written = lossy_store.write_pointer(key, Pointer(pending=REF, attempt_id="a", fence=1))
    assert written.revision == 1
    assert not lossy.faults


@pytest.mark.parametrize("silent", [False, True])
def test_a_write_that_never_arrived_is_ambiguous(
    lossy_store: VaultSecretStore, lossy: Any, key: IntegrationKey, *, silent: bool
) -> None:
    """Nothing was written and no answer came, by a drop or by silence: an error that may be tried again."""
    lossy.lose(f"POST /v1/keyturn/data/{key}/pointer", effect=False, silent=silent)
    wanted = Pointer(pending=REF, attempt_id="a", fence=1)
    with pytest.raises(AmbiguousError, match=f"keyturn/data/{key}/pointer"):
        lossy_store.write_pointer(key, wanted)
    assert lossy_store.write_pointer(key, wanted).revision == 1


def test_a_pointer_deleted_by_hand_is_no_empty_pointer(bao: Any, store: VaultSecretStore, key: IntegrationKey) -> None:
    """Forgetting which secret is in use would be worse than stopping."""
    store.write_pointer(key, Pointer(current=REF, attempt_id="a", fence=1))
    bao.ask("DELETE", f"keyturn/data/{key}/pointer")
    with pytest.raises(VendorRefusedError, match="was deleted in Vault by hand"):
        store.pointer(key)


def test_a_pointer_that_is_none_is_refused_without_quoting_it(bao: Any, store: VaultSecretStore) -> None:
    """What somebody wrote by hand into the pointer is not shown: it may be anything."""
    key = IntegrationKey("by-hand", "production")
    bao.ask("POST", f"keyturn/data/{key}/pointer", {"options": {"cas": 0}, "data": {"fence": "c4n4ry"}})
    with pytest.raises(VendorRefusedError, match="is not a pointer") as caught:
        store.pointer(key)
    assert "c4n4ry" not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_credential_of_a_version_can_be_read(
    bao: Any, store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """What a person handed in is what the worker reads, also after newer versions and a rotated key."""
    ref = grace.deposit(key, pair)
    grace.deposit(key, Credential("client-of-acme", "another"))
    bao.ask("POST", "transit/keys/keyturn-fingerprint/rotate")
    credential = store.read(ref)
    assert (credential.client_id, credential.reveal()) == (pair.client_id, pair.reveal())
    assert grace.fingerprint(pair).startswith("vault:v2:")


@pytest.mark.parametrize("how", ["delete", "destroy"])
def test_a_version_that_is_gone_is_refused(
    bao: Any, store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, pair: Credential, how: str
) -> None:
    """A deleted and a destroyed version each say so."""
    ref = grace.deposit(key, pair)
    bao.ask("POST", f"keyturn/{how}/{ref.path}", {"versions": [ref.version]})
    with pytest.raises(CredentialRefusedError, match=how):
        store.read(ref)


@pytest.mark.parametrize("version", [0, 7])
def test_a_version_that_never_was_is_refused(
    store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, pair: Credential, version: int
) -> None:
    """The newest version is never taken in its place."""
    ref = grace.deposit(key, pair)
    with pytest.raises(CredentialRefusedError, match="no such version"):
        store.read(replace(ref, version=version))


@pytest.mark.parametrize("fingerprint", ["vault:v1:AAAA", "nonsense"])
def test_another_fingerprint_is_refused(
    store: VaultSecretStore, grace: VaultPerson, key: IntegrationKey, pair: Credential, fingerprint: str
) -> None:
    """A version that does not hold what was handed in is not used, and not shown."""
    ref = grace.deposit(key, pair)
    with pytest.raises(CredentialRefusedError, match="fingerprint differs") as caught:
        store.read(replace(ref, fingerprint=fingerprint))
    assert pair.reveal() not in str(caught.value)


def test_a_pair_that_is_given_out_only_wrapped(
    bao: Any, grace: VaultPerson, key: IntegrationKey, pair: Credential
) -> None:
    """The console's policy forbids a plain reading; it reads the same all the same, also what is gone."""
    ref = grace.deposit(key, pair)
    settings = console_of(bao)
    reader = VaultSecretStore(VaultSession(settings), settings)
    assert reader.read(ref).reveal() == pair.reveal()
    bao.ask("POST", f"keyturn/delete/{ref.path}", {"versions": [ref.version]})
    with pytest.raises(CredentialRefusedError, match="deleted"):
        reader.read(ref)
    with pytest.raises(CredentialRefusedError, match="no such version"):
        reader.read(replace(ref, version=7))
