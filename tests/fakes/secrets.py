"""Vault in memory: pointers written by check-and-set, versions of pairs, and a person's own authority."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import CredentialRefusedError, SupersededError, TransientError, WrappingTokenUsedError
from keyturn.ports import Reveal

_TTL_S = 300


@dataclass
class FakeVault:
    """What Vault holds.

    Attributes:
        pointers: every revision that was ever written, the newest last.
        versions: every pair by its path, version 1 first.
        wrapped: pairs behind wrapping tokens that nobody has opened.
    """

    pointers: dict[IntegrationKey, list[Pointer]] = field(default_factory=dict)
    versions: dict[str, list[Credential]] = field(default_factory=dict)
    wrapped: dict[str, Credential] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def pair(self, ref: CredentialRef) -> Credential | None:
        """The pair of exactly that version."""
        kept = self.versions.get(ref.path, [])
        return kept[ref.version - 1] if 0 < ref.version <= len(kept) else None

    def wrap(self, credential: Credential) -> str:
        """A token that opens it once."""
        token = f"wrapping-token-{next(self._numbers)}"
        self.wrapped[token] = credential
        return token


class FakeSecretStore:
    """Implements `keyturn.ports.SecretStore`."""

    def __init__(self, vault: FakeVault) -> None:
        self._vault = vault

    def pointer(self, key: IntegrationKey) -> Pointer:
        """The newest revision; an empty one with revision 0 when there is none."""
        written = self._vault.pointers.get(key)
        return written[-1] if written else Pointer()

    def write_pointer(self, key: IntegrationKey, pointer: Pointer) -> Pointer:
        """Write by check-and-set; what is there already is not written again."""
        stored = self.pointer(key)
        if stored == pointer:
            return stored
        if stored.attempt_id == pointer.attempt_id and stored.fence > pointer.fence:
            raise SupersededError(
                f"{key} pointer",
                f"execution {pointer.fence} came after execution {stored.fence} had written it",
                "Nothing to do: the newer execution goes on.",
            )
        if stored.revision != pointer.revision:
            raise _overtaken(key, pointer, stored)
        written = replace(pointer, revision=stored.revision + 1)
        self._vault.pointers.setdefault(key, []).append(written)
        return written

    def read(self, ref: CredentialRef) -> Credential:
        """The pair of exactly that version."""
        kept = self._vault.pair(ref)
        if kept is None or fingerprint(kept) != ref.fingerprint:
            raise CredentialRefusedError(
                f"{ref.path} version {ref.version}", "is not in Vault, or not what was handed in", "Hand it in again."
            )
        return kept


class FakePersonalVault:
    """Implements `keyturn.ports.PersonalVault` for one person."""

    def __init__(self, vault: FakeVault, person: Person) -> None:
        self._vault, self._person = vault, person

    def whoami(self) -> Person:
        """The person."""
        return self._person

    def unwrap(self, wrapping_token: str) -> Credential:
        """Open a wrapping token, once."""
        opened = self._vault.wrapped.pop(wrapping_token, None)
        if opened is None:
            raise WrappingTokenUsedError("wrapping token", "was opened before", "Wrap the secret again.")
        return opened

    def deposit(self, key: IntegrationKey, credential: Credential) -> CredentialRef:
        """Store as a new version."""
        kept = self._vault.versions.setdefault(f"{key}/client", [])
        kept.append(credential)
        return CredentialRef(f"{key}/client", len(kept), fingerprint(credential))

    def fingerprint(self, credential: Credential) -> str:
        """Keyed fingerprint of a pair."""
        return fingerprint(credential)

    def reveal(self, ref: CredentialRef) -> Reveal:
        """Wrap exactly that version for one reading."""
        kept = self._vault.pair(ref)
        if kept is None:
            raise CredentialRefusedError(f"{ref.path} version {ref.version}", "is not in Vault any more")
        token = self._vault.wrap(kept)
        return Reveal(token, f"accessor-of-{token}", _TTL_S)


def fingerprint(credential: Credential) -> str:
    """What stands for the HMAC that Vault makes; its key is no secret here."""
    pair = f"a key|{len(credential.client_id)}|{credential.client_id}|{credential.reveal()}"
    return f"vault:v1:{hashlib.sha256(pair.encode()).hexdigest()[:32]}"


def _overtaken(key: IntegrationKey, wanted: Pointer, stored: Pointer) -> SupersededError | TransientError:
    if stored.attempt_id == wanted.attempt_id:
        return TransientError(f"{key} pointer", f"execution {stored.fence} wrote it at the same moment", "Read again.")
    return SupersededError(f"{key} pointer", f"attempt {stored.attempt_id} has written it since it was read")
