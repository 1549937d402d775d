"""What every step of a rotation reads off the receipts before it: which secret, which clock, is there a way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from keyturn.domain.attempt import Attempt, Execution, Receipt, Stage, Terms, Wish
from keyturn.domain.credential import Credential, CredentialRef
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.pair import faults_of_pair
from keyturn.domain.rotation import CLICK_SLACK, Grace, hours_told
from keyturn.ports import Ledger, Work
from keyturn.services.stage import as_body, credential_ref, receipt_of

AFTER_APPLY = (Stage.APPLY, Stage.VERIFY, Stage.PROMOTE)
"""What does not hold any more once the older secret is in the profile, or may be."""

_FOR_GOOD = timedelta(days=3650)


def new_ref(work: Work, execution: Execution) -> CredentialRef:
    """The secret that is being turned to."""
    return credential_ref(receipt_of(work, Stage.STAGE_SECRET, execution))


def old_ref(work: Work, execution: Execution) -> CredentialRef:
    """The secret that was in use when the rotation began."""
    old = receipt_of(work, Stage.PREFLIGHT, execution).body["old"]
    if not isinstance(old, dict):
        raise TypeError("the receipt of preflight names no secret")
    return CredentialRef(str(old["path"]), int(str(old["version"])), str(old["fingerprint"]))


def faults_of_turn(new: Credential, before: Credential) -> list[str]:
    """Why a pair cannot be what a rotation of another one gave, each a clause without any secret."""
    faults = faults_of_pair(new)
    if new.client_id != before.client_id:
        faults.append("the Client ID is another one: a rotation keeps it")
    if new.reveal() == before.reveal():
        faults.append("this is the secret that is in use already, not the new one")
    return faults


def ref_as(ref: CredentialRef | None) -> dict[str, object] | None:
    """A reference as plain JSON, or nothing."""
    return as_body(ref) if ref is not None else None


def grace_of(turned: Receipt) -> Grace:
    """The old secret's grace, as the receipt of the click tells it."""
    body = turned.body
    began, earliest, latest = (
        datetime.fromisoformat(str(body[name])) for name in ("grace_began", "grace_ends_earliest", "grace_ends_at")
    )
    return Grace(began, earliest, latest)


def grace_as(grace: Grace) -> dict[str, object]:
    """A grace as plain JSON."""
    return {
        "grace_began": grace.began.isoformat(),
        "grace_ends_earliest": grace.earliest_end.isoformat(),
        "grace_ends_at": grace.latest_end.isoformat(),
    }


def grace_after(gate: Gate, terms: Terms) -> Grace:
    """The older secret's grace after the click that a gate's answer tells of; after a second click it has none."""
    told = str(gate.answer.get("clicked_at") or "")
    handed_in = gate.decided_at or gate.opened_at
    hours = int(str(gate.answer.get("grace_hours", gate.question["grace_hours"])))
    clicked = datetime.fromisoformat(told) if told else None
    grace = Grace.of(hours, gate.opened_at, handed_in, clicked)
    if clicked is None and (since := gate.question.get("clicked_since")):
        began = datetime.fromisoformat(str(since))
        grace = replace(grace, began=began, earliest_end=began + timedelta(hours=hours))
    return grace if terms.can_go_back else replace(grace, earliest_end=grace.began)


def last_turn(ledger: Ledger, execution: Execution) -> Gate | None:
    """The newest click that was answered in a rotation before this one, whatever became of that rotation."""
    gates = ledger.gates(key=execution.key, only_open=False)
    turns = [g for g in gates if g.kind is GateKind.GONG_ROTATION and g.state is GateState.APPROVED]
    return next((g for g in reversed(turns) if g.attempt_id != execution.attempt_id), None)


def clicked(ledger: Ledger, attempt: Attempt) -> bool:
    """Whether *Rotate secret* was pressed for this rotation, as far as is known: then the secret in use will die."""
    if attempt.wish is Wish.LOST_SECRET or attempt.terms.second:
        return True
    if any(r.stage is Stage.GONG_ROTATION for r in ledger.receipts(attempt.id)):
        return True
    gates = ledger.gates(key=attempt.key, only_open=False)
    mine = [g for g in gates if g.attempt_id == attempt.id and g.kind is GateKind.GONG_ROTATION]
    return any(g.state is GateState.APPROVED or "clicked_since" in g.question for g in mine)


def grace_at_stake(ledger: Ledger, attempt: Attempt) -> Grace | None:
    """The grace that may be running although no secret of that click is there; at the worst, since it was asked for."""
    gates = ledger.gates(key=attempt.key, only_open=False)
    asked = [g for g in gates if g.attempt_id == attempt.id and g.kind is GateKind.GONG_ROTATION]
    if not asked or not clicked(ledger, attempt):
        return None
    last = asked[-1]
    began = datetime.fromisoformat(str(last.question.get("clicked_since") or last.opened_at.isoformat()))
    ends = began + timedelta(hours=hours_of(last))
    return Grace(began, ends, ends)


def clicked_after(gate: Gate, began: datetime) -> datetime:
    """Before when the click in Gong certainly was not.

    Args:
        gate: that asks for the new secret.
        began: when its attempt did: before that nobody was to click. Of a click that is known of already, it may have
            been earlier, in a rotation before.
    """
    if "clicked_since" not in gate.question:
        return began
    since = str(gate.question["clicked_since"])  # empty where a keyturn before this one did not keep it
    known = datetime.fromisoformat(since) - CLICK_SLACK if since else began - timedelta(hours=hours_of(gate))
    return min(began, known)


def hours_of(gate: Gate) -> int:
    """The grace of a click that nobody has answered for: as told with a secret that was refused, else as asked for."""
    return hours_told(gate.question)


def certainly_works(work: Work, execution: Execution, now: datetime) -> bool:
    """Whether Gong still takes the old secret, by the clock."""
    turned = receipt_of(work, Stage.GONG_ROTATION, execution)
    return work.attempt.terms.can_go_back and now < grace_of(turned).earliest_end


def never(now: datetime) -> datetime:
    """When a question that nobody has to answer is asked afresh."""
    return now + _FOR_GOOD


def emergency_hours(sealed: SealedManifest) -> int:
    """The grace for a secret that somebody else knows."""
    return sealed.manifest.rotation.emergency_grace_hours
