"""Keyed fingerprints: an HMAC that Vault makes, with a key that never leaves it."""

from __future__ import annotations

import base64
import hmac
import json
import re

from keyturn.clients.vault.session import VaultSession
from keyturn.domain.credential import Credential

KEY = "keyturn-fingerprint"


class Fingerprints:
    """Makes and compares fingerprints of credentials.

    https://developer.hashicorp.com/vault/api-docs/secret/transit#generate-hmac
    """

    def __init__(self, session: VaultSession, transit_mount: str) -> None:
        self._session, self._path = session, f"{transit_mount}/hmac/{KEY}"

    def of(self, credential: Credential, key_version: int | None = None) -> str:
        """The fingerprint, e.g. `vault:v1:Ui…`, by the key's newest version or the given one."""
        # A JSON list keeps the border between the two, which a plain concatenation would lose.
        pair = json.dumps([credential.client_id, credential.reveal()]).encode()
        body: dict[str, object] = {"input": base64.b64encode(pair).decode()}
        if key_version is not None:
            body["key_version"] = key_version
        return str(self._session.write(self._path, body, repeatable=True)["data"]["hmac"])

    def matches(self, credential: Credential, fingerprint: str) -> bool:
        """Whether it is this credential's, by the version of the key that made it: the key may have been rotated."""
        made_by = re.match(r"vault:v(\d+):", fingerprint)
        if made_by is None:
            return False
        return hmac.compare_digest(self.of(credential, int(made_by[1])).encode(), fingerprint.encode())
