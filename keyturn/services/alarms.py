"""What people are told because time has passed: gates nobody answers, and graces that run out unverified."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from keyturn.domain.attempt import Attempt, AttemptKind, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.rotation import alarms_due
from keyturn.domain.schedule import remind_at
from keyturn.ports import Clock, Ledger, Outbox
from keyturn.services.rotation.terms import grace_of

_URGENCY = {0.5: Severity.WARNING, 0.75: Severity.ERROR, 0.9: Severity.CRITICAL}


def remind(ledger: Ledger, outbox: Outbox, clock: Clock) -> int:
    """Tell of open gates that have waited for 1, 3 and 5 working days, or as their manifests say.

    Returns:
        How many notices are new; what was told is not told again.
    """
    now, manifests = clock.now(), dict[str, SealedManifest]()
    told = 0
    for gate in ledger.gates():
        if gate.kind is not GateKind.GRACE:
            sealed = manifests.get(gate.digest) or manifests.setdefault(gate.digest, ledger.manifest(gate.digest))
            told += sum(outbox.tell(notice) for notice in _reminders(gate, sealed, now))
    return told


def alarm(ledger: Ledger, outbox: Outbox, clock: Clock) -> int:
    """Tell of rotations that are not verified when 50, 75 and 90 % of the older secret's grace are over.

    Returns:
        How many notices are new.
    """
    rotations = [a for a in ledger.active() if a.kind is AttemptKind.ROTATION]
    return sum(outbox.tell(notice) for a in rotations for notice in _unverified(ledger, a, clock.now()))


def _reminders(gate: Gate, sealed: SealedManifest, now: datetime) -> Iterator[Notice]:
    due = remind_at(gate.opened_at, sealed.manifest.notification)
    facts = {"kind": gate.kind.value, "groups": ", ".join(gate.groups), "since": f"{gate.opened_at:%Y-%m-%d %H:%M} UTC"}
    for number, moment in enumerate(due.remind, 1):
        if now >= moment:
            about = f"gate/{gate.id}/remind/{number}"
            yield Notice(Event.GATE_REMINDER, Severity.WARNING, str(gate.key), about, facts)
    if now >= due.escalate:
        yield Notice(Event.GATE_ESCALATED, Severity.ERROR, str(gate.key), f"gate/{gate.id}/escalate", facts)


def _unverified(ledger: Ledger, attempt: Attempt, now: datetime) -> Iterator[Notice]:
    receipts = {r.stage: r for r in ledger.receipts(attempt.id)}
    turned = receipts.get(Stage.GONG_ROTATION)
    if turned is None or Stage.VERIFY in receipts:
        return
    grace = grace_of(turned)
    facts = {"ends": f"{grace.earliest_end:%Y-%m-%d %H:%M} UTC", "halt": attempt.halt.value}
    for share in alarms_due(grace, now):
        about = f"rotation/{attempt.id}/{turned.at.isoformat()}/{share}"
        said = facts | {"share": f"{share:.0%}"}
        yield Notice(Event.ROTATION_UNVERIFIED, _URGENCY[share], str(attempt.key), about, said)
