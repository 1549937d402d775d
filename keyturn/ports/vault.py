"""Vault: with keyturn's own authority, and in a person's hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey


class SecretStore(Protocol):
    """Vault with keyturn's own authority (a worker's)."""

    def pointer(self, key: IntegrationKey) -> Pointer:
        """The integration's pointer; an empty one with revision 0 when there is none."""

    def write_pointer(self, key: IntegrationKey, pointer: Pointer) -> Pointer:
        """Write by check-and-set on `pointer.revision`, read back, and return it with its new revision.

        Raises:
            SupersededError: another execution has written since it was read.
        """

    def read(self, ref: CredentialRef) -> Credential:
        """The credential of exactly that version, after checking that its fingerprint is the reference's.

        Raises:
            CredentialRefusedError: the version is gone, or holds something else than was handed in.
        """


@dataclass(frozen=True, slots=True)
class Reveal:
    """A single-use wrapping token that opens one credential once. Never stored.

    Attributes:
        accessor: identifies it in audits without opening anything.
    """

    token: str = field(repr=False)
    accessor: str
    ttl_s: int


class PersonalVault(Protocol):
    """Vault with a person's own token: who they are, and the hand-over of a secret."""

    def whoami(self) -> Person:
        """Who Vault says the token's owner is.

        Raises:
            NotPermittedError: the token is invalid, or belongs to no person (no identity entity).
        """

    def unwrap(self, wrapping_token: str) -> Credential:
        """Open a wrapping token that holds `client_id` and `client_secret`.

        Raises:
            WrappingTokenUsedError: it was opened before, has expired, or never existed.
        """

    def deposit(self, key: IntegrationKey, credential: Credential) -> CredentialRef:
        """Store as a new version under a create-only, single-use, short-lived token; nothing is in use yet."""

    def fingerprint(self, credential: Credential) -> str:
        """Keyed fingerprint of a pair."""

    def reveal(self, ref: CredentialRef) -> Reveal:
        """Wrap exactly that version for one reading."""
