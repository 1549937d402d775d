"""Signatures by a key that never leaves Vault (transit).

https://developer.hashicorp.com/vault/api-docs/secret/transit#sign-data
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from keyturn.clients.vault.session import VaultSession
from keyturn.errors import ConfigurationError, VendorRefusedError
from keyturn.ports import PublicKey, Signer
from keyturn.settings import VaultSettings

KEY = "keyturn-evidence"
_TYPE = "ecdsa-p256"


class VaultSigner(Signer):
    """Implements `keyturn.ports.Signer`: ES256, which HashiCorp Vault and OpenBao both have."""

    def __init__(self, session: VaultSession, settings: VaultSettings) -> None:
        self._session, self._mount = session, settings.transit_mount

    def public_keys(self) -> Sequence[PublicKey]:
        """Every version that Vault still keeps, oldest first.

        Raises:
            ConfigurationError: there is no such key, or it is of another type.
        """
        path = f"{self._mount}/keys/{KEY}"
        data = (self._session.read(path) or {"data": {}})["data"]
        if data.get("type") != _TYPE:
            kind = f"is of type {data['type']}, not {_TYPE}" if "type" in data else "does not exist"
            remedy = f"Make it with `vault write {path} type={_TYPE}`; one of another type must be deleted first."
            raise ConfigurationError(f"Vault key {path}", kind, remedy)
        return [PublicKey(f"{KEY}/{n}", data["keys"][n]["public_key"]) for n in sorted(data["keys"], key=int)]

    def sign(self, message: bytes, kid: str) -> bytes:
        """The message's signature by ES256, r and s side by side, by the version that `kid` names."""
        version = int(kid.removeprefix(f"{KEY}/"))
        body = {
            "input": base64.b64encode(message).decode(),
            "key_version": version,
            "hash_algorithm": "sha2-256",
            "marshaling_algorithm": "jws",
        }
        answer = self._session.write(f"{self._mount}/sign/{KEY}", body, repeatable=True)
        made, _, signature = str(answer["data"]["signature"]).rpartition(":")
        if made != f"vault:v{version}":
            raise VendorRefusedError(f"Vault key {KEY}", f"signed by {made}, not by version {version}", "Try again.")
        return base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
