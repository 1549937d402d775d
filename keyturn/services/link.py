"""Stage `link_account`: a person gives consent by an auth link, and StackOne shows an active account.

An auth link is a bearer token in a URL, so it is made when a person asks for it (`keyturn link`), shown once and kept
nowhere; the gate remembers the sessions' ids, and those are polled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from keyturn.domain.attempt import Execution, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState, Person, Policy, admit
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR, SealedManifest
from keyturn.domain.profile import Account, AccountSpec, ConnectSession, Link, LinkStatus
from keyturn.errors import VendorRefusedError
from keyturn.ports import Clock, ConnectorHub, Ledger, Work
from keyturn.services.asking import end_if_rejected, standing_gate
from keyturn.services.decide import refuse_other
from keyturn.services.stage import receipt_of


def account_spec(sealed: SealedManifest) -> AccountSpec:
    """The account that a manifest asks for."""
    owner = sealed.manifest.stackone.origin_owner
    return AccountSpec(owner.id, owner.name, owner.username, sealed.manifest.stackone.label)


def canary_spec(sealed: SealedManifest) -> AccountSpec:
    """The account whose link proves a rotated secret: nobody's data, so that nobody's account is disturbed."""
    owner = sealed.manifest.rotation.proof_owner
    return AccountSpec(owner.id, owner.name, owner.username, "")


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a gate's links: the account, if StackOne shows one as active, and a few words for people.

    Attributes:
        session_id: the link that these words are about.
    """

    account: Account | None
    says: str
    session_id: str = ""

    @property
    def refused(self) -> bool:
        """Whether Gong refused the profile's pair (RFC 6749 5.2)."""
        return self.account is None and "invalid_client" in self.says


def look(hub: ConnectorHub, gate: Gate) -> Seen:
    """Look at every link of a gate, newest first; if none led to an active account, the newest one's end is told."""
    newest = Seen(None, "")
    for session_id in reversed(_sessions(gate)):
        seen = replace(_led_to(hub, hub.session(session_id)), session_id=session_id)
        if seen.account is not None:
            return seen
        newest = newest if newest.says else seen
    return newest


@dataclass(frozen=True, slots=True)
class Linking:
    """Waits for the consent, and makes the links for it."""

    ledger: Ledger
    hub: ConnectorHub
    clock: Clock

    def link(self, execution: Execution) -> Receipt | Gate:
        """Look whether somebody has given consent.

        Returns:
            The receipt once an account is active, or the open gate; a link that failed, was cancelled or expired is
            noted there, and a fresh one can be made.

        Raises:
            StageFailedError: a person declined.
        """
        sealed = self.ledger.manifest(execution.digest)
        with self.ledger.exclusive(execution) as work:
            if receipt := work.receipt(Stage.LINK_ACCOUNT):
                return receipt
            result = self._advance(work, execution, sealed)
        return end_if_rejected(self.ledger, execution, result) if isinstance(result, Gate) else result

    def fresh_link(self, person: Person, key: IntegrationKey, expires_in_s: int, gate_id: UUID | None = None) -> Link:
        """Make an auth link for the account that the run waits for.

        Raises:
            GateClosedError: no run waits for a consent, or not at the gate that was seen.
            NotPermittedError: this person may not.
            AmbiguousError: StackOne did not answer; an unused session expires by itself, so ask again.
        """
        with self.ledger.deciding(key, self._asked(key)) as at:
            refuse_other(at.gate, gate_id)
            admit(at.gate, person, at.gate.digest)
            sealed = self.ledger.manifest(at.gate.digest)
            spec = account_spec(sealed) if at.gate.kind is GateKind.CONSENT else canary_spec(sealed)
            session = self.hub.create_session(str(at.gate.question["profile_id"]), spec, expires_in_s)
            at.amend(dict(at.gate.question) | {"sessions": [*_sessions(at.gate), session.id], "last": "pending"})
            at.audit(person, "link.made", {"session": session.id})
        return Link(session.id, session.auth_link, self.clock.now() + timedelta(seconds=expires_in_s))

    def _asked(self, key: IntegrationKey) -> GateKind:
        proof = any(g.kind is GateKind.PROOF for g in self.ledger.gates(key=key))
        return GateKind.PROOF if proof else GateKind.CONSENT

    def _advance(self, work: Work, execution: Execution, sealed: SealedManifest) -> Receipt | Gate:
        profile_id = str(receipt_of(work, Stage.CREATE_PROFILE, execution).body["profile_id"])
        question = {"profile_id": profile_id, "sessions": [], "last": ""}
        policy = Policy(1, sealed.manifest.admins.gong)
        gate = standing_gate(work, self.clock, sealed, GateKind.CONSENT, policy, question)
        if gate.state is GateState.REJECTED:
            return gate
        if gate.state is GateState.OPEN and gate.question["profile_id"] != profile_id:
            gate = work.amend_gate(gate.id, question)  # asked again, and the profile was made anew in the meantime
        seen = look(self.hub, gate)
        if seen.account is None:
            return _noted(work, gate, seen.says)
        if gate.state is GateState.OPEN:
            work.close_gate(gate.id, GateState.APPROVED, "consent was given", {"account_id": seen.account.id})
        return work.write_receipt(Stage.LINK_ACCOUNT, {"account_id": seen.account.id, "profile_id": profile_id})


def _led_to(hub: ConnectorHub, session: ConnectSession) -> Seen:
    if session.status is not LinkStatus.AUTHENTICATED:
        return Seen(None, f"{session.status}: {session.error}" if session.error else session.status.value)
    try:
        account = hub.account(session.account_id)
    except VendorRefusedError as error:
        # The session was read with the same key a moment ago, so this is about the account: somebody removed it.
        return Seen(None, f"{session.status}, but account {session.account_id} cannot be read: {error.problem}")
    if account.provider != CONNECTOR:
        return Seen(None, f"{session.status}, but account {account.id} is one of {account.provider}")
    if account.status != "active":
        reasons = "; ".join(account.reasons) or "StackOne gives no reason"
        return Seen(None, f"{session.status}, but account {account.id} is {account.status}: {reasons}")
    return Seen(account, session.status.value)


def _sessions(gate: Gate) -> list[str]:
    sessions = gate.question.get("sessions", [])
    return [str(s) for s in sessions] if isinstance(sessions, list) else []


def _noted(work: Work, gate: Gate, says: str) -> Gate:
    """Keep what became of the newest link, for the person who looks at the gate."""
    if not says or gate.question.get("last") == says:
        return gate
    return work.amend_gate(gate.id, dict(gate.question) | {"last": says})
