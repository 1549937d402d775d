"""Vault with a person's own token: who they are, and the hand-over of a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keyturn.clients.vault.failures import CasMismatchError
from keyturn.clients.vault.fingerprint import Fingerprints
from keyturn.clients.vault.kv import KeyValue
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.credential import Credential, CredentialRef
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    CredentialRefusedError,
    NotPermittedError,
    RefusedError,
    VendorRefusedError,
)
from keyturn.ports import Reveal
from keyturn.settings import VaultSettings

_GROUP = "keyturn-"
_SERVICES = {"keyturn-worker": "keyturn's worker", "keyturn-console": "keyturn's console"}
_INTAKE = "auth/token/create/keyturn-intake"
_REVEAL_TTL_S = 300
_TRIES = 3
_SIGN_IN = "Sign in as yourself, e.g. `vault login -method=userpass username=…`, then try again."


def person_token(environ: Mapping[str, str], home: Path) -> str:
    """The person's own token, where Vault's and OpenBao's command lines keep it.

    `VAULT_TOKEN`, else `BAO_TOKEN`, else the file `.vault-token` in `home`.

    Raises:
        NotPermittedError: there is none.
    """
    file = home / ".vault-token"
    token = environ.get("VAULT_TOKEN") or environ.get("BAO_TOKEN") or (file.read_text() if file.is_file() else "")
    if not token.strip():
        raise NotPermittedError("you", "are not signed in to Vault", _SIGN_IN)
    return token.strip()


class VaultPerson:
    """Implements `keyturn.ports.PersonalVault`. The session is one with the person's token."""

    def __init__(self, session: VaultSession, settings: VaultSettings) -> None:
        self._session = session
        self._kv = KeyValue(session, settings.mount)
        self._fingerprints = Fingerprints(session, settings.transit_mount)

    def whoami(self) -> Person:
        """Who Vault says the token's owner is.

        Raises:
            NotPermittedError: the token is invalid, belongs to no person (no identity entity), or to keyturn itself.
        """
        try:
            answer = self._session.read("auth/token/lookup-self") or {}
        except VendorRefusedError:
            raise NotPermittedError("you", "hold a Vault token that is no longer valid", _SIGN_IN) from None
        return _person(answer["data"])

    def unwrap(self, wrapping_token: str) -> Credential:
        """Open a wrapping token that holds `client_id` and `client_secret`, or a KV version 2 answer with them.

        Raises:
            WrappingTokenUsedError: it was opened before, has expired, or never existed.
            CredentialRefusedError: there is no token, or it held something else, which is lost now.
            AmbiguousError: no answer came; the token may be spent.
        """
        if not wrapping_token.strip():  # Vault would take the person's own token in its place
            raise CredentialRefusedError("wrapping token", "is empty", "Give the token that wraps the secret.")
        try:
            answer = self._session.write("sys/wrapping/unwrap", {"token": wrapping_token.strip()})
        except AmbiguousError:
            error = AmbiguousError(
                "wrapping token",
                "no answer came from Vault, so it may be spent and the secret in it lost",
                "Try once more; if it is refused then, wrap the secret again.",
            )
        else:
            return _credential(answer.get("data"))
        raise error

    def deposit(self, key: IntegrationKey, credential: Credential) -> CredentialRef:
        """Store as a new version under a create-only, single-use, short-lived token; nothing is in use yet.

        The caller makes sure that nobody else deposits for this key meanwhile.

        Raises:
            RefusedError: somebody else stored a version at the same moment.
            AmbiguousError: no answer came, and there is no new version so far.
        """
        path = f"{key}/client"
        fingerprint = self.fingerprint(credential)
        data = {"client_id": credential.client_id, "client_secret": credential.reveal()}
        return CredentialRef(path, self._write_once(path, data), fingerprint)

    def fingerprint(self, credential: Credential) -> str:
        """Keyed fingerprint of a pair."""
        return self._fingerprints.of(credential)

    def reveal(self, ref: CredentialRef) -> Reveal:
        """Wrap exactly that version for one reading.

        Raises:
            CredentialRefusedError: the version is gone; Vault would wrap even that.
        """
        if ref.version not in self._kv.versions(ref.path).readable:
            raise CredentialRefusedError(
                f"{ref.path} version {ref.version}",
                "is not in Vault any more",
                "Undelete it if it was only deleted; otherwise hand in the secret again with `keyturn submit`.",
            )
        wrapped = self._kv.wrap(ref.path, ref.version, _REVEAL_TTL_S)
        return Reveal(token=wrapped["token"], accessor=wrapped["accessor"], ttl_s=wrapped["ttl"])

    def _write_once(self, path: str, data: Mapping[str, str]) -> int:
        """Write one version. Every try carries the same check-and-set number, so only one of them can land."""
        before, sent = self._kv.versions(path).current, False
        for _ in range(_TRIES):
            try:
                return self._kv.write(path, data, cas=before, token=self._intake_token())
            except AmbiguousError:
                sent = True
            except CasMismatchError:
                pass
            now = self._kv.versions(path).current
            if sent and now == before + 1:
                return now
            if now != before:
                raise RefusedError(
                    path, "somebody else stored a version at the same moment", "Look, then submit again."
                )
        raise AmbiguousError(path, f"no answer came {_TRIES} times; no new version so far", "Submit again in a while.")

    def _intake_token(self) -> str:
        """A token that can do one thing once. An unused one runs out by itself, so making two does no harm."""
        answer = self._session.write(_INTAKE, {"num_uses": 1, "ttl": "60s"}, repeatable=True)
        return str(answer["auth"]["client_token"])


class OnBehalf(VaultPerson):
    """The same with the console's own sign-in, for a person whom the console's provider vouches for."""

    def __init__(self, session: VaultSession, settings: VaultSettings, person: Person) -> None:
        super().__init__(session, settings)
        self._person = person

    def whoami(self) -> Person:
        """Whom the console has signed in."""
        return self._person


def _person(token: Mapping[str, Any]) -> Person:
    policies = frozenset([*(token.get("policies") or []), *(token.get("identity_policies") or [])])
    if not token.get("entity_id"):
        raise NotPermittedError("you", "hold a Vault token that belongs to no person (root, or made by hand)", _SIGN_IN)
    for policy in policies & _SERVICES.keys():
        raise NotPermittedError("you", f"hold the token of {_SERVICES[policy]}, which is no person", _SIGN_IN)
    return Person(
        id=f"vault:entity/{token['entity_id']}",
        name=token["display_name"],
        groups=_groups(policies),
        signed_in=f"vault token ({token['path'].split('/')[1]})",
    )


def _groups(policies: Iterable[str]) -> frozenset[str]:
    return frozenset(name.removeprefix(_GROUP) for name in policies if name.startswith(_GROUP))


def _credential(data: object) -> Credential:
    inner = data.get("data", data) if isinstance(data, Mapping) else None
    fields = inner if isinstance(inner, Mapping) else {}
    client_id, client_secret = fields.get("client_id"), fields.get("client_secret")
    if not (isinstance(client_id, str) and isinstance(client_secret, str)):
        raise CredentialRefusedError(
            "wrapping token",
            "did not hold client_id and client_secret as two texts; it is spent now, and nothing was kept",
            "Wrap again: vault write -wrap-ttl=10m sys/wrapping/wrap client_id=… client_secret=…",
        )
    return Credential(client_id, client_secret)
