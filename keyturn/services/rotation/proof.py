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
from keyturn.domain.profile import LiveCall
from keyturn.domain.rotation import ACCESS_TOKEN_LIFE
from keyturn.errors import RollBackWantedError, StageFailedError, VendorRefusedError
from keyturn.ports import Clock, ConnectorHub, Ledger, Work
from keyturn.services.asking import standing_gate
from keyturn.services.link import Seen, look
from keyturn.services.stage import receipt_of

_SURE_AFTER = 2  # failures in a row, of two links or of two calls apart; one may be a hiccup of the vendor's own
_APART = timedelta(minutes=5)
_SELDOM = timedelta(hours=1)  # where a failure would say nothing: Gong's budget is a company's, 10,000 calls a day
_LOOK_EARLY = timedelta(minutes=2)  # after the write: a profile that does not work at all shows it by then
_MARGIN = timedelta(minutes=30)


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
        seen, call = look(self.hub, gate), self._call(gate, applied)
        body = self._proof(seen, call, gate, applied)
        if body is not None:
            if gate.state is GateState.OPEN:
                work.close_gate(gate.id, GateState.APPROVED, "it was seen to work", {})
            return work.write_receipt(Stage.VERIFY, body), ""
        gate, why = self._judged(work, gate, seen, call)
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

    def _call(self, gate: Gate, applied: Receipt) -> LiveCall | None:
        """A live call through the account, if one may tell something by now."""
        account_id, now = str(gate.question.get("account_id") or ""), self.clock.now()
        if gate.state is not GateState.OPEN or not account_id or now < next_call_at(gate):
            return None
        early = applied.at + _LOOK_EARLY
        if early <= now < proves_from(applied) and not _has_failed(self.hub, gate):
            return None
        return self.hub.list_users(account_id)

    def _proof(self, seen: Seen, call: LiveCall | None, gate: Gate, applied: Receipt) -> dict[str, object] | None:
        """What proves it, or nothing."""
        if seen.account is not None:
            return {"by": "link", "account_id": seen.account.id}
        if call is None or not call.ok or self.clock.now() < proves_from(applied):
            return None
        hours = round((self.clock.now() - applied.at) / timedelta(hours=1), 1)
        account_id = gate.question["account_id"]
        return {"by": "refresh", "account_id": account_id, "request_id": call.request_id, "hours_after": hours}

    def _judged(self, work: Work, gate: Gate, seen: Seen, call: LiveCall | None) -> tuple[Gate, str]:
        """Count failures in a row; says why it is disproven, or nothing while it is only not proven."""
        if gate.state is GateState.REJECTED:
            return gate, "whoever was asked for a proof says that it does not work"
        if gate.state is not GateState.OPEN:
            return gate, ""
        question, failures = dict(gate.question), int(str(gate.question["failures"]))
        if seen.refused and seen.session_id != question.get("refused_session"):
            failures += 1
            question |= {"refused_session": seen.session_id, "last": f"the newest link ended with {seen.says}"}
        if call is not None:
            says = "" if call.ok or not question.get("worked_before") else self._words_of(gate, call)
            failures = 0 if call.ok else failures + bool(says)  # a call that tells nothing leaves the count as it is
            question |= {"called_at": self.clock.now().isoformat(), "last": says or question["last"]}
        question["failures"] = failures
        if question != gate.question:
            gate = work.amend_gate(gate.id, question)
        return gate, str(question["last"]) if failures >= _SURE_AFTER else ""

    def _words_of(self, gate: Gate, call: LiveCall) -> str:
        """What failed, as a clause. Whoever removed the account said nothing about the secret: then it is empty."""
        account_id = str(gate.question["account_id"])
        try:
            account = self.hub.account(account_id)
        except VendorRefusedError:
            return ""
        reasons = "; ".join(account.reasons) or "no reason given"
        return f"account {account_id} is {account.status} ({reasons}), and a live call answered HTTP {call.status}"


def is_disproof(gate: Gate) -> bool:
    """Whether what was waited for at this gate was seen not to work."""
    if gate.kind is not GateKind.PROOF:
        return False
    said_no = any(not decision.approved for decision in gate.decisions)
    return said_no or int(str(gate.question.get("failures", 0))) >= _SURE_AFTER


def proves_from(applied: Receipt) -> datetime:
    """From when on a live call proves a refresh."""
    return applied.at + ACCESS_TOKEN_LIFE + _MARGIN


def next_call_at(gate: Gate) -> datetime:
    """From when on another live call is worth its budget: two looks at one hiccup would be one."""
    last = gate.question.get("called_at")
    if not last:
        return gate.opened_at
    pause = _APART if gate.question.get("worked_before") else _SELDOM
    return datetime.fromisoformat(str(last)) + pause


def is_due(hub: ConnectorHub, gate: Gate, now: datetime) -> bool:
    """Whether looking at the gate of a proof is worth waking its run: for the watch."""
    seen = look(hub, gate)
    if seen.account or (seen.refused and seen.session_id != gate.question.get("refused_session")):
        return True
    if not gate.question.get("account_id") or now < next_call_at(gate):
        return False
    return now >= datetime.fromisoformat(str(gate.question["proves_from"])) or _has_failed(hub, gate)


def _has_failed(hub: ConnectorHub, gate: Gate) -> bool:
    """Whether an account that worked before the rotation does not, says StackOne."""
    if not gate.question.get("worked_before"):
        return False  # what failed before the rotation says nothing about it
    try:
        return hub.account(str(gate.question["account_id"])).status != "active"
    except VendorRefusedError:
        return False  # it is gone: only a new link can prove anything now
