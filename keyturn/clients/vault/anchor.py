"""The audit trail's head, kept in Vault: whoever owns the ledger's database cannot write there."""

from __future__ import annotations

import re
from datetime import date

from keyturn.clients.vault.failures import CasMismatchError
from keyturn.clients.vault.kv import KeyValue, Stored
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.trail import GENESIS, Head
from keyturn.errors import VendorRefusedError
from keyturn.ports import Anchor, Anchored
from keyturn.settings import VaultSettings

PATH = "audit/head"
_HASH = re.compile(r"[0-9a-f]{64}")


class VaultAnchor(Anchor):
    """Implements `keyturn.ports.Anchor`. Vault keeps earlier heads as earlier versions."""

    def __init__(self, session: VaultSession, settings: VaultSettings) -> None:
        self._kv = KeyValue(session, settings.mount)

    def read(self) -> Anchored:
        """The head that was kept last.

        Raises:
            VendorRefusedError: it was deleted by hand, or is none; or this sign-in may not read it.
        """
        stored = self._kv.read(PATH)
        if stored.gone:
            # Taken for "none yet", it would be an easy way to have a trail that was written anew kept as the right one.
            raise VendorRefusedError(
                "audit trail's head",
                f"version {stored.version} was {stored.gone} in Vault by hand",
                f"Find out in Vault's audit file by whom, and bring it back: `vault kv undelete` on {PATH}, or, when "
                "it was destroyed, `vault kv rollback` to the version before.",
            )
        return Anchored(_head(stored), stored.version, _checked_on(stored))

    def move(self, head: Head, revision: int, checked_on: date | None = None) -> bool:
        """Keep another head or day by check-and-set.

        Raises:
            AmbiguousError: no answer came; it may be kept or not.
        """
        day = {"checked": checked_on.isoformat()} if checked_on else {}
        try:
            self._kv.write(PATH, {"seq": head.seq, "hash": head.hash, **day}, cas=revision)
        except CasMismatchError:
            return False
        return True


def _head(stored: Stored) -> Head:
    if stored.data is None:
        return GENESIS
    seq, sealed = stored.data.get("seq"), stored.data.get("hash")
    if not isinstance(seq, int) or seq < 1 or not isinstance(sealed, str) or not _HASH.fullmatch(sealed):
        raise VendorRefusedError(
            "audit trail's head",
            f"version {stored.version} in Vault is not one",
            f"Somebody wrote it by hand: go back to the last good one with `vault kv rollback` on {PATH}.",
        )
    return Head(seq, sealed)


def _checked_on(stored: Stored) -> date | None:
    """The day, if it is one; without one the whole trail is followed once more, which does no harm."""
    try:
        return date.fromisoformat(str((stored.data or {}).get("checked")))
    except ValueError:
        return None
