"""Stage `verify`: has somebody been let in with the new secret since it was applied?

Access tokens live about a day and outlive the secret they were made with. So a live call proves something only when it
goes through later than that after the profile was written: the token in use was then refreshed since. A new link proves
the same at once, for whoever does not want to wait a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyturn.domain.attempt import Execution, Halt, Receipt, Stage, Wish
from keyturn.domain.gate import Gate, GateKind, GateState, Policy
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.rotation import ACCESS_TOKEN_LIFE
from keyturn.errors import RollBackWantedError, StageFailedError, VendorRefusedError
from keyturn.ports import Clock, ConnectorHub, Ledger, Work
from keyturn.services.asking import standing_gate
from keyturn.services.link import look
from keyturn.services.stage import receipt_of

_SURE_AFTER = 2  # failures in a row; one may be a hiccup of the vendor's own
_LOOK_EARLY = timedelta(minutes=2)  # after the write: a profile that does not work at all shows it by then
_MARGIN = timedelta(minutes=30)
_REFUSED = "invalid_client"  # RFC 6749 5.2: how a link ends when Gong refuses the secret


@dataclass(frozen=True, slots=True)
class Proving:
    """Looks for a refresh, or for a new link."""

    ledger: Ledger
    hub: ConnectorHub
    clock: Clock

    def verify(self, execution: Execution) -> Receipt | Gate:
        """Look whether the new secret is proven.

        Returns:
            The receipt, or the open gate: it is not proven, and the gate says what a person can do.

        Raises:
            RollBackWantedError: it is disproven; the ledger knows that the older secret is to be put back.
        """
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.VERIFY):
                return receipt
            applied = receipt_of(work, Stage.APPLY, execution)
            edited = self._edited(applied)
            if edited:
                work.rewind((Stage.APPLY, Stage.VERIFY), edited)
            else:
                result, why = self._looked(work, execution, applied)
        if edited:
            self.ledger.halt(execution, Halt.ORPHANED, edited)
            raise StageFailedError(str(execution.key), edited, "`keyturn rotate resume` puts the new secret in again.")
        if why:
            raise RollBackWantedError(str(execution.key), why, "The older secret is put back while it works.")
        return result

    def _looked(self, work: Work, execution: Execution, applied: Receipt) -> tuple[Receipt | Gate, str]:
        """The receipt or the open gate; and why it is disproven, which is noted as a wish."""
        gate = self._gate(work, execution, self.ledger.manifest(execution.digest), applied)
        body = self._proof(gate, applied)
        if body is not None:
            if gate.state is GateState.OPEN:
                work.close_gate(gate.id, GateState.APPROVED, "it was seen to work", {})
            return work.write_receipt(Stage.VERIFY, body), ""
        gate, why = self._judged(work, gate, applied)
        if why:
            work.want(Wish.ROLL_BACK, why)
        return gate, why

    def _edited(self, applied: Receipt) -> str:
        """How the profile is no longer as it was left, a clause: then nobody knows which secret would be proven."""
        profiles = self.hub.profiles(CONNECTOR)
        found = next((p for p in profiles if p.id == applied.body["profile_id"]), None)
        if found is None:
            return f"the StackOne profile {applied.body['profile_id']} is gone"
        if found.updated_at == applied.body["updated_at"]:
            return ""
        return (
            f"the StackOne profile {found.id} was edited by hand at {found.updated_at}, after the new secret was put in"
        )

    def _gate(self, work: Work, execution: Execution, sealed: SealedManifest, applied: Receipt) -> Gate:
        before = receipt_of(work, Stage.PREFLIGHT, execution).body
        question: Mapping[str, object] = {
            "profile_id": applied.body["profile_id"],
            "account_id": str(before.get("account_id") or ""),
            "worked_before": before.get("call_before") is True,
            "sessions": [],
            "failures": 0,
            "last": "",
            "proves_from": proves_from(applied).isoformat(),
        }
        policy = Policy(1, sealed.manifest.admins.gong)
        return standing_gate(work, self.clock, sealed, GateKind.PROOF, policy, question)

    def _proof(self, gate: Gate, applied: Receipt) -> dict[str, object] | None:
        """What proves it, or nothing."""
        seen = look(self.hub, gate)
        if seen.account is not None:
            return {"by": "link", "account_id": seen.account.id}
        account = str(gate.question.get("account_id") or "")
        if not account or self.clock.now() < proves_from(applied):
            return None
        call = self.hub.list_users(account)
        if not call.ok:
            return None
        hours = (self.clock.now() - applied.at) / timedelta(hours=1)
        return {"by": "refresh", "account_id": account, "request_id": call.request_id, "hours_after": round(hours, 1)}

    def _judged(self, work: Work, gate: Gate, applied: Receipt) -> tuple[Gate, str]:
        """Count failures in a row; says why it is disproven, or nothing while it is only not proven."""
        if gate.state is GateState.REJECTED:
            return gate, "whoever was asked for a proof says that it does not work"
        if gate.state is not GateState.OPEN:
            return gate, ""
        says = self._fails(gate, applied)
        failures = int(str(gate.question["failures"])) + 1 if says else 0
        if (says, failures) != (gate.question["last"], gate.question["failures"]):
            gate = work.amend_gate(gate.id, dict(gate.question) | {"failures": failures, "last": says})
        return gate, says if failures >= _SURE_AFTER else ""

    def _fails(self, gate: Gate, applied: Receipt) -> str:
        """What is wrong with the account or the newest link, as a clause; empty when nothing is known to be."""
        if _REFUSED in (said := look(self.hub, gate).says):
            return f"the newest link ended with {said}"
        account_id = str(gate.question.get("account_id") or "")
        if not account_id or not gate.question.get("worked_before"):
            return ""  # what failed before the rotation says nothing about it
        try:
            account = self.hub.account(account_id)
        except VendorRefusedError:
            return ""  # whoever removed it said nothing about the secret
        if account.status == "active" and not _worth_a_call(self.clock.now(), applied):
            return ""
        call = self.hub.list_users(account_id)  # a status may be of yesterday: StackOne tries again when it is called
        if call.ok:
            return ""
        reasons = "; ".join(account.reasons) or "no reason given"
        return f"account {account_id} is {account.status} ({reasons}), and a live call answered HTTP {call.status}"


def is_disproof(gate: Gate) -> bool:
    """Whether what was waited for at this gate was seen not to work."""
    return gate.kind is GateKind.PROOF and int(str(gate.question.get("failures", 0))) >= _SURE_AFTER


def proves_from(applied: Receipt) -> datetime:
    """From when on a live call proves a refresh."""
    return applied.at + ACCESS_TOKEN_LIFE + _MARGIN


def is_due(hub: ConnectorHub, gate: Gate, now: datetime) -> bool:
    """Whether looking at the gate of a proof is worth waking its run: for the watch."""
    seen = look(hub, gate)
    if now >= datetime.fromisoformat(str(gate.question["proves_from"])) or seen.account or _REFUSED in seen.says:
        return True
    account_id = str(gate.question.get("account_id") or "")
    if not account_id or not gate.question.get("worked_before"):
        return False
    try:
        return hub.account(account_id).status != "active"
    except VendorRefusedError:
        return False  # it is gone: only a new link can prove anything now


def _worth_a_call(now: datetime, applied: Receipt) -> bool:
    """Calls cost budget: right after the write, and again when they prove something."""
    return now < applied.at + _LOOK_EARLY or now >= proves_from(applied)
