"""The audit trail: whether it is as it was written, and keeping its head outside of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyturn.domain.trail import GENESIS, Head, Inspection
from keyturn.errors import KeyturnError
from keyturn.ports import Anchor, Trail

_NONE_YET = "no head was kept in Vault yet, so a cut-off end would not show: the watch keeps it in its next round"


@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of the trail.

    Attributes:
        anchored: the head that was kept in Vault, and must be on the chain; `None` when that cannot be told.
        unknown: why not, as a clause.
    """

    inspection: Inspection
    anchored: Head | None
    unknown: str = ""

    @property
    def sound(self) -> bool | None:
        """Whether it is as it was written. `None`: no fault was found, and not everything could be looked at."""
        if self.inspection.fault:
            return False
        return True if self.anchored else None


def anchor(trail: Trail, anchor: Anchor) -> Inspection:
    """Keep the trail's present head in Vault, once everything since the one kept before has been followed.

    If the head kept before is no longer on the chain, or what came after it does not fit, nothing is kept: the fault
    that is returned is an alert. Whatever is read of the trail from then on may have been forged.

    Raises:
        TransientError: Vault or the ledger could not be asked, or did not answer; the next time looks again.
        VendorRefusedError: the head was deleted by hand, which is an alert as well, or may not be read.
    """
    before = anchor.read()  # first, so that the trail can only be longer
    found = trail.verify(before.head, whole=False)
    if found.fault is None and found.head != before.head:
        anchor.move(found.head, before.revision)  # or somebody else has moved it further meanwhile
    return found


def verify(trail: Trail, anchor: Callable[[], Anchor]) -> Verified:
    """Follow the whole chain, and look for the head kept in Vault on it.

    Args:
        trail: the ledger's.
        anchor: gives the anchor; it may fail as reading it may, and that is unknown then, not a fault.
    """
    try:
        kept = anchor().read().head
    except KeyturnError as error:
        return Verified(trail.verify(GENESIS), None, f"the head kept in Vault cannot be read: {error}")
    found = trail.verify(kept)
    return Verified(found, kept) if kept != GENESIS else Verified(found, None, _NONE_YET)
