"""What people are told because time has passed: gates nobody answers, and graces that run out unverified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain

from keyturn.domain.attempt import Attempt, AttemptKind, Halt, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.manifest import Notification
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.rotation import alarms_due
from keyturn.domain.schedule import remind_at
from keyturn.ports import Clock, Ledger, Outbox
from keyturn.services.rotation.terms import grace_at_stake, grace_of

_URGENCY = {0.5: Severity.WARNING, 0.75: Severity.ERROR, 0.9: Severity.CRITICAL}


def remind(ledger: Ledger, outbox: Outbox, clock: Clock) -> int:
    """Tell of open gates that have waited for 1, 3 and 5 working days, or as their manifests say.

    Returns:
        How many notices are new; what was told is not told again.
    """
    now, pages = clock.now(), {attempt.id: page(attempt) for attempt in ledger.active()}
    asked = [gate for gate in ledger.gates() if gate.kind is not GateKind.GRACE]
    # Neither a manifest nor a notice is asked for by itself: most questions have been told of, and are old.
    wishes = ledger.notifications({gate.digest for gate in asked})
    found = (_reminders(gate, wishes[gate.digest], now, pages.get(gate.attempt_id, {})) for gate in asked)
    return outbox.tell_all(list(chain.from_iterable(found)))


def alarm(ledger: Ledger, outbox: Outbox, clock: Clock) -> int:
    """Tell of rotations that are not verified when 50, 75 and 90 % of the older secret's grace are over.

    Returns:
        How many notices are new.
    """
    rotations = [a for a in ledger.active() if a.kind is AttemptKind.ROTATION]
    return sum(outbox.tell(notice) for a in rotations for notice in _unverified(ledger, a, clock.now()))


def page(attempt: Attempt) -> dict[str, str]:
    """What leads from a notice to the page of its attempt."""
    return {"attempt": str(attempt.id), "run": str(attempt.flow_run_id or "")}


def _way_out(attempt: Attempt, receipts: Mapping[Stage, Receipt]) -> str:
    """What can be done about a rotation that is not verified, as far as it has come."""
    key = attempt.key
    if attempt.halt is not Halt.NONE:
        return f"`keyturn status {key}` says why it is halted; then `keyturn rotate resume {key}`."
    if Stage.GONG_ROTATION not in receipts:
        return f"hand the new secret in: `keyturn submit {key}`; if it is gone, `keyturn rotate lost {key}`."
    if Stage.APPLY not in receipts:
        return f"`keyturn status {key}` says what keeps the new secret from being put into the profile."
    back = f", or go back: `keyturn rotate rollback {key}`" if attempt.terms.can_go_back else ""
    return f"prove it with a new link: `keyturn link {key}`{back}."


def _reminders(gate: Gate, wishes: Notification, now: datetime, page: Mapping[str, str]) -> Iterator[Notice]:
    due = remind_at(gate.opened_at, wishes)
    since = f"{gate.opened_at:%Y-%m-%d %H:%M} UTC"
    facts = {"kind": gate.kind.value, "groups": ", ".join(gate.groups), "since": since, **page}
    for number, moment in enumerate(due.remind, 1):
        if now >= moment:
            about = f"gate/{gate.id}/remind/{number}"
            yield Notice(Event.GATE_REMINDER, Severity.WARNING, str(gate.key), about, facts)
    if now >= due.escalate:
        yield Notice(Event.GATE_ESCALATED, Severity.ERROR, str(gate.key), f"gate/{gate.id}/escalate", facts)


def _unverified(ledger: Ledger, attempt: Attempt, now: datetime) -> Iterator[Notice]:
    receipts = {r.stage: r for r in ledger.receipts(attempt.id)}
    turned = receipts.get(Stage.GONG_ROTATION)
    grace = grace_of(turned) if turned else grace_at_stake(ledger, attempt)
    if grace is None or Stage.VERIFY in receipts:
        return
    remedy = _way_out(attempt, receipts)
    ends = f"{grace.earliest_end:%Y-%m-%d %H:%M} UTC"
    facts = {"ends": ends, "halt": attempt.halt.value, "remedy": remedy, **page(attempt)}
    for share in alarms_due(grace, now)[-1:]:  # after a pause, or with hardly any grace, only the most urgent is news
        about = f"rotation/{attempt.id}/{(turned.at if turned else grace.began).isoformat()}/{share}"
        said = facts | {"share": f"{share:.0%}"}
        yield Notice(Event.ROTATION_UNVERIFIED, _URGENCY[share], str(attempt.key), about, said)
