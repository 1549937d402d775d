"""The audit trail: whether it is as it was written, and keeping its head outside of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keyturn.domain.gate import Person
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.trail import GENESIS, AuditEntry, Fault, Head, Inspection
from keyturn.errors import KeyturnError, NotPermittedError, RefusedError, VendorRefusedError
from keyturn.ports import Anchor, Anchored, Clock, Outbox, Trail

VERIFIED, ANCHORED = "trail.verified", "trail.anchored"
_NONE_YET = "no head was kept in Vault yet, so a cut-off end would not show: the watch keeps it in its next round"
_SYSTEM = Person("system", "system", frozenset(), "")


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


@dataclass(frozen=True, slots=True)
class Guarded:
    """What one round over the trail came to.

    Attributes:
        rows: how many were followed from the head on that was kept before.
        problems: what people are told, as sentences.
    """

    rows: int = 0
    problems: tuple[str, ...] = ()


def guard(trail: Trail, vault: Anchor, outbox: Outbox, clock: Clock) -> Guarded:
    """One round of the watch: keep the head, once a day follow the whole trail, and tell of what does not fit.

    Raises:
        TransientError: Vault or the ledger could not be asked, or did not answer; the next time looks again.
    """
    try:
        found = anchor(trail, vault)
        fault = found.fault or _daily(trail, vault, clock)
    except VendorRefusedError as refused:
        # Whoever wants the trail written anew begins by taking its head away: that is an alarm of its own.
        _tell(outbox, clock, "head", {"found": refused.problem, "remedy": refused.remedy})
        return Guarded(problems=(str(refused),))
    if fault:
        _tell(outbox, clock, "broken", {"found": fault.says})
    return Guarded(found.rows, (fault.says,) if fault else ())


def anchor(trail: Trail, anchor: Anchor) -> Inspection:
    """Keep the trail's present head in Vault, once everything since the one kept before has been followed.

    If the head kept before is no longer on the chain, or what came after it does not fit, nothing is kept: the fault
    that is returned is an alert. Whatever is read of the trail from then on may have been forged.

    Raises:
        TransientError: Vault or the ledger could not be asked, or did not answer; the next time looks again.
        VendorRefusedError: the head was deleted by hand, which is an alert as well, or may not be read.
    """
    before = _kept(trail, anchor)  # first, so that the trail can only be longer
    found = trail.verify(before.head, whole=False)
    if found.fault is None and found.head != before.head:
        anchor.move(found.head, before.revision, before.checked_on)  # or somebody else has moved it further meanwhile
    return found


def anchor_anew(trail: Trail, anchor: Anchor, clock: Clock, person: Person) -> Verified:
    """Keep the head of a whole trail without a fault in Vault, where there is none: an operator answers for that.

    Raises:
        NotPermittedError: the person is no operator.
        RefusedError: a head is kept already.
        VendorRefusedError: it was deleted in a way that can be undone, or may not be written by this sign-in.
    """
    if "operator" not in person.groups:
        remedy = "Ask an operator, or have Vault give you keyturn-operator."
        raise NotPermittedError("audit trail's head", f"{person.name} is no operator", remedy)
    before = anchor.read()
    found = trail.verify(before.head)
    if found.fault or found.head == GENESIS:
        return Verified(found, None, _NONE_YET)
    if before.head != GENESIS or not anchor.move(found.head, before.revision):
        raise RefusedError("audit trail's head", "is kept in Vault already", "The watch moves it on; nothing was done.")
    _say(trail, clock, ANCHORED, person, {"name": person.name, "seq": found.head.seq, "hash": found.head.hash})
    return Verified(found, found.head)


def verify(trail: Trail, anchor: Callable[[], Anchor]) -> Verified:
    """Follow the whole chain, and look for the head kept in Vault on it.

    Args:
        trail: the ledger's.
        anchor: gives the anchor; it may fail as reading it may, and that is unknown then, not a fault.
    """
    try:
        kept = _kept(trail, anchor()).head
    except KeyturnError as error:
        return Verified(trail.verify(GENESIS), None, f"the head kept in Vault cannot be read: {error}")
    found = trail.verify(kept)
    return Verified(found, kept) if kept != GENESIS else Verified(found, None, _NONE_YET)


def _daily(trail: Trail, anchor: Anchor, clock: Clock) -> Fault | None:
    """Follow the whole trail, if nobody has taken that on today: what was changed before the kept head shows only so.

    The day stands in Vault beside the head, so that of many workers one moves it on, and whoever can write to the
    ledger's database cannot. A worker that dies has put it off until tomorrow.
    """
    today, kept = clock.now().date(), anchor.read()
    if kept.head == GENESIS or kept.checked_on == today or not anchor.move(kept.head, kept.revision, today):
        return None
    found = trail.verify(kept.head)
    if found.fault is None:
        _say(trail, clock, VERIFIED, _SYSTEM, {"rows": found.rows})
    return found.fault


def _kept(trail: Trail, anchor: Anchor) -> Anchored:
    """The head that was kept last; none only if none ever was.

    Vault forgets all about a head whose metadata were deleted. The trail itself does not: it says of each day that it
    was verified against a head. Who can take those rows out as well owns the ledger's database and Vault, and nothing
    is left to tell on them but Vault's audit file.
    """
    before = anchor.read()
    if before.head == GENESIS and any(row.event in (VERIFIED, ANCHORED) for row in trail.entries()):
        before = anchor.read()  # the rows are younger than the first head, which another worker may just have kept
        if before.head == GENESIS:
            raise VendorRefusedError(
                "audit trail's head",
                "was kept in Vault before, and is not there any more",
                "Find out in Vault's audit file who deleted it, compare the trail with backups of the ledger, then "
                "keep it anew: `keyturn audit verify --anchor`.",
            )
    return before


def _tell(outbox: Outbox, clock: Clock, what: str, facts: Mapping[str, str]) -> None:
    """Tell people, once a day: it stays wrong until somebody sees to it."""
    about = f"audit/{what}/{clock.now().date().isoformat()}"
    outbox.tell(Notice(Event.AUDIT_BROKEN, Severity.CRITICAL, "", about, facts))


def _say(trail: Trail, clock: Clock, event: str, by: Person, detail: Mapping[str, object]) -> None:
    trail.add(AuditEntry(clock.now(), "", None, by.id, by.signed_in, event, "", detail))
