"""Vault with keyturn's own authority: the pointer and the credentials it points to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter, ValidationError

from keyturn.clients.vault.failures import CasMismatchError
from keyturn.clients.vault.fingerprint import Fingerprints
from keyturn.clients.vault.kv import KeyValue, Stored
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.credential import Credential, CredentialRef, Pointer
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    CredentialRefusedError,
    SupersededError,
    TransientError,
    VendorRefusedError,
)
from keyturn.ports import KeptVersions
from keyturn.settings import VaultSettings

_POINTER = TypeAdapter(Pointer)
_WRAPPED_S = 60


class VaultSecretStore:
    """Implements `keyturn.ports.SecretStore`."""

    def __init__(self, session: VaultSession, settings: VaultSettings) -> None:
        self._kv = KeyValue(session, settings.mount)
        self._fingerprints = Fingerprints(session, settings.transit_mount)

    def pointer(self, key: IntegrationKey) -> Pointer:
        """The integration's pointer; an empty one with revision 0 when there is none.

        Raises:
            VendorRefusedError: it was deleted by hand, or holds something else.
        """
        stored = self._kv.read(_path(key))
        if stored.gone:
            raise VendorRefusedError(
                f"{key} pointer",
                f"version {stored.version} was {stored.gone} in Vault by hand",
                "Bring it back with `vault kv undelete` or `vault kv rollback`: it says which secret is in use.",
            )
        return Pointer() if stored.data is None else _decoded(key, stored.data, stored.version)

    def write_pointer(self, key: IntegrationKey, pointer: Pointer) -> Pointer:
        """Write by check-and-set on `pointer.revision`, read back, and return it with its new revision.

        Raises:
            SupersededError: another execution has written since it was read.
            AmbiguousError: no answer came, and nothing has been written so far.
            TransientError: an older execution wrote at the same moment; read again.
        """
        before, lost = self.pointer(key), None
        if before.revision == pointer.revision and before != pointer:
            _refuse_older(key, pointer, before)
            try:
                self._kv.write(_path(key), _encoded(pointer), cas=pointer.revision)
            except CasMismatchError:
                pass
            except AmbiguousError as silence:
                lost = silence
        return _settled(key, pointer, self.pointer(key), lost)

    def read(self, ref: CredentialRef) -> Credential:
        """The credential of exactly that version, after checking that its fingerprint is the reference's.

        Raises:
            CredentialRefusedError: the version is gone, or holds something else than was handed in.
        """
        subject = f"{ref.path} version {ref.version}"
        stored = self._stored(ref) if ref.version > 0 else None  # Vault takes 0 for the newest
        if stored is None or stored.data is None:
            raise CredentialRefusedError(
                subject,
                f"is not in Vault: {(stored and stored.gone) or 'no such version'}",
                "Undelete it if it was only deleted; otherwise hand in the secret again with `keyturn submit`.",
            )
        credential = Credential(str(stored.data.get("client_id")), str(stored.data.get("client_secret")))
        if not self._fingerprints.matches(credential, ref.fingerprint):
            raise CredentialRefusedError(
                subject,
                "is not what was handed in: the fingerprint differs",
                "Find out in Vault's audit file who wrote it, then hand in the secret again with `keyturn submit`.",
            )
        return credential

    def versions(self, key: IntegrationKey) -> KeptVersions:
        """Which versions of the integration's pair there are, without reading any."""
        known = self._kv.versions(f"{key}/client")
        return KeptVersions(known.current, known.readable)

    def _stored(self, ref: CredentialRef) -> Stored:
        """That version; where a policy forbids that, as the console's does, by a wrapping token that is opened here."""
        try:
            return self._kv.read(ref.path, ref.version)
        except VendorRefusedError as refused:
            if refused.status != HTTPStatus.FORBIDDEN:
                raise
        return self._kv.read_wrapped(ref.path, ref.version, _WRAPPED_S)


def _path(key: IntegrationKey) -> str:
    return f"{key}/pointer"


def _encoded(pointer: Pointer) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(pointer).items() if name != "revision"}


def _decoded(key: IntegrationKey, data: Mapping[str, Any], revision: int) -> Pointer:
    try:
        return replace(_POINTER.validate_python(data), revision=revision)
    except ValidationError:
        error = VendorRefusedError(
            f"{key} pointer",
            f"revision {revision} in Vault is not a pointer",
            "Somebody wrote it by hand: go back to the last good one with `vault kv rollback`.",
        )
    raise error


def _refuse_older(key: IntegrationKey, wanted: Pointer, stored: Pointer) -> None:
    if stored.attempt_id == wanted.attempt_id and stored.fence > wanted.fence:
        raise SupersededError(
            f"{key} pointer",
            f"execution {wanted.fence} came after execution {stored.fence} had written it",
            "Nothing to do: the newer execution goes on. If the ledger was restored: `keyturn db restored`.",
        )


def _settled(key: IntegrationKey, wanted: Pointer, stored: Pointer, lost: AmbiguousError | None) -> Pointer:
    """Decide by what is there, not by what was answered: an answer can get lost, and somebody else can be faster."""
    if stored == wanted:
        return stored
    if lost is not None and stored.revision == wanted.revision:
        raise lost
    _refuse_older(key, wanted, stored)
    if stored.attempt_id == wanted.attempt_id:
        raise TransientError(
            f"{key} pointer", f"execution {stored.fence} wrote it at the same moment", "Read it again, then write."
        )
    raise SupersededError(
        f"{key} pointer",
        f"attempt {stored.attempt_id or 'unknown'} has written it since it was read",
        f"See `keyturn status {key}` for what is going on.",
    )
