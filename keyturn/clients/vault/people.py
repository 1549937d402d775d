"""Whom Vault knows: which of its identities is behind a name that somebody else vouches for."""

from __future__ import annotations

from keyturn.clients.vault.session import VaultSession
from keyturn.ports import People


class VaultPeople(People):
    """Identities, looked up with keyturn's own sign-in."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session

    def entity(self, name: str, accessor: str) -> str | None:
        """The entity behind a name at one way of signing in; Vault has none before the first sign-in there."""
        asked = {"alias_name": name, "alias_mount_accessor": accessor}
        found = self._session.write("identity/lookup/entity", asked, repeatable=True).get("data") or {}
        return None if found.get("disabled") else found.get("id")
