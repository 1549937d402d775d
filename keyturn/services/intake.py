"""The hand-over of a client secret: from a person's hands into Vault, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from keyturn.domain.credential import Credential, Probe, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind, GateState, Person, admit
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.pair import faults_of_pair
from keyturn.errors import CredentialRefusedError, GateClosedError, RefusedError, WrappingTokenUsedError
from keyturn.ports import Clock, Deciding, Ledger, PersonalVault, Runs, TokenEndpoint
from keyturn.services.decide import pass_on, refuse_other
from keyturn.services.rotation.terms import clicked_after, hours_of
from keyturn.services.stage import as_body

Obtain = Callable[[], Credential]

ASKS_FOR_PAIR = frozenset({GateKind.GONG_ADMIN, GateKind.GONG_ROTATION})
MAX_GRACE_HOURS = 168
_TURNED_UP = "If it has turned up, have that rejected; then `keyturn rotate resume` asks for the secret again"
_CLOCKS_DIFFER = timedelta(minutes=5)  # between a person's machine and this one


@dataclass(frozen=True, slots=True)
class Submitted:
    """A pair was taken: the gate it closed, what Gong's token endpoint said of it, and whether the run goes on."""

    gate: Gate
    probe: Probe
    resumed: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of their click in Gong, at the hand-in of a rotated secret.

    Attributes:
        clicked_at: when it was; not told, it counts as having been within the hour.
        grace_hours: what they chose; not told, what they were asked to choose.
    """

    clicked_at: datetime | None = None
    grace_hours: int | None = None

    def refuse_if_impossible(self, gate: Gate, began: datetime, now: datetime) -> None:
        """Check that it fits the gate, and that the click has been, but not before anybody was to click.

        Args:
            gate: that asks for the secret.
            began: when its attempt did.
            now: the present.

        Raises:
            RefusedError: it does not.
        """
        if gate.kind is not GateKind.GONG_ROTATION:
            if self != Told():
                raise RefusedError(
                    str(gate.key), "no rotation is asked for", "Leave out --clicked-at and --grace-hours."
                )
            return
        if self.grace_hours is not None and not 0 <= self.grace_hours <= MAX_GRACE_HOURS:
            raise RefusedError(str(gate.key), f"Gong offers a grace of 0 to {MAX_GRACE_HOURS} hours", "Look again.")
        if self.clicked_at is not None and (why := _why_impossible(self.clicked_at, clicked_after(gate, began), now)):
            raise RefusedError(
                str(gate.key),
                f"the click is said to have been at {self.clicked_at.isoformat()}, {why}",
                "Give --clicked-at as your own clock showed it; nothing was kept of what you entered.",
            )

    def as_answer(self, gate: Gate) -> dict[str, object]:
        """As the gate's answer keeps it."""
        if gate.kind is not GateKind.GONG_ROTATION:
            return {}
        hours = hours_of(gate) if self.grace_hours is None else self.grace_hours
        return {"grace_hours": hours, "clicked_at": self.clicked_at.isoformat() if self.clicked_at else ""}


def _why_impossible(clicked_at: datetime, earliest: datetime, now: datetime) -> str:
    """Nobody's clock shows that: a year that is typed wrong would have the grace end before it began."""
    if clicked_at > now + _CLOCKS_DIFFER:
        return "which is still to come"
    if clicked_at < earliest - _CLOCKS_DIFFER:
        return f"which is before {earliest:%Y-%m-%d %H:%M} UTC, and nobody was to click by then"
    return ""


@dataclass(frozen=True, slots=True)
class Intake:
    """Where a secret is handed in, with the authority of the person who does it."""

    ledger: Ledger
    vault: PersonalVault
    gong: TokenEndpoint
    runs: Runs
    clock: Clock

    def submit(
        self, key: IntegrationKey, credential: Credential, told: Told = Told(), gate_id: UUID | None = None
    ) -> Submitted:
        """Check a pair, keep it in Vault as a new version, and close the gate with a reference to it.

        Nothing is kept before the gate admits the person, lint passes, and Gong has not called the pair wrong.

        Raises:
            GateClosedError: nobody asks for a secret now, or not by the gate that was seen.
            NotPermittedError: this person may not hand it in.
            CredentialRefusedError: lint or Gong says that the pair is wrong.
        """
        return self._submit(key, self.vault.whoami(), lambda: credential, told, gate_id)

    def submit_wrapped(
        self, key: IntegrationKey, wrapping_token: str, told: Told = Told(), gate_id: UUID | None = None
    ) -> Submitted:
        """The same, with Vault's single-use wrapping token instead of the pair.

        The token is opened only after the gate has admitted the person, so a refusal does not use it up.

        Raises:
            WrappingTokenUsedError: somebody opened it before; recorded in the audit trail as an alert.
        """
        return self._submit(key, self.vault.whoami(), lambda: self.vault.unwrap(wrapping_token), told, gate_id)

    def check_asked(self, key: IntegrationKey, person: Person) -> None:
        """Refuse before anybody has typed a secret in vain.

        Raises:
            GateClosedError: nobody asks for a secret now, and why.
            NotPermittedError: this person may not hand it in.
        """
        self._explain_if_not_asked(key)
        for gate in self.ledger.gates(key=key):
            if gate.kind in ASKS_FOR_PAIR:
                admit(gate, person, gate.digest)

    def _submit(
        self, key: IntegrationKey, person: Person, obtain: Obtain, told: Told, gate_id: UUID | None
    ) -> Submitted:
        kind = self._explain_if_not_asked(key)
        with self.ledger.deciding(key, kind) as at:
            refuse_other(at.gate, gate_id)
            admit(at.gate, person, at.gate.digest)
            told.refuse_if_impossible(at.gate, self.ledger.attempt(at.gate.attempt_id).started_at, self.clock.now())
            credential = self._obtained(at, person, obtain)
            probe = self._checked(at, person, credential)
            ref = self.vault.deposit(key, credential)
            answer = as_body(ref) | {
                "probe": probe.outcome.value,
                "probe_status": probe.status,
                "probe_code": probe.code,
                **told.as_answer(at.gate),
            }
            gate = at.decide(person, approved=True, digest=at.gate.digest, note="", answer=answer)
        return Submitted(gate, probe, pass_on(self.ledger, self.runs, gate))

    def _obtained(self, at: Deciding, person: Person, obtain: Obtain) -> Credential:
        try:
            return obtain()
        except WrappingTokenUsedError as error:
            at.audit(person, "alert.wrapping_token_used", {"problem": error.problem})
            raise

    def _checked(self, at: Deciding, person: Person, credential: Credential) -> Probe:
        refused = str(at.gate.question.get("refused_fingerprint", ""))
        faults = faults_of_pair(credential)
        in_use = str(at.gate.question.get("in_use", ""))
        if refused and self.vault.fingerprint(credential) == refused:
            faults.append("this is the pair that Gong refused before")
        if in_use and self.vault.fingerprint(credential) == in_use:
            faults.append("this is the secret that is in use already, not the new one")
        if faults:
            at.audit(person, "intake.refused", {"by": "lint", "faults": faults})
            raise CredentialRefusedError(
                str(at.gate.key),
                "; ".join(faults),
                "Copy Client ID and Client Secret again from Gong's table of integrations.",
            )
        probe = self.gong.probe(credential)
        if probe.outcome is ProbeOutcome.WRONG_PAIR:
            at.audit(person, "intake.refused", {"by": "probe", "status": probe.status, "code": probe.code})
            raise CredentialRefusedError(str(at.gate.key), "Gong does not accept this pair", probe.explanation)
        return probe

    def _explain_if_not_asked(self, key: IntegrationKey) -> GateKind:
        """The kind of gate that asks for a pair; or say why there is none, in words that fit the moment."""
        asked = {g.kind for g in self.ledger.gates(key=key)}
        if kinds := asked & ASKS_FOR_PAIR:
            return kinds.pop()
        problem, remedy = self._why_not_asked(key, asked)
        raise GateClosedError(str(key), problem, f"{remedy}; nothing was kept of what you entered.")

    def _why_not_asked(self, key: IntegrationKey, asked: Collection[GateKind]) -> tuple[str, str]:
        active = next((a for a in self.ledger.attempts(key) if a.ended_at is None), None)
        if active is None:
            return "no run is asking for a secret", "Start one with `keyturn onboard`"
        if any(g.question.get("second") for g in self.ledger.gates(key=key)):
            return "the new secret was said to be lost, and a second rotation waits for approval", _TURNED_UP
        if GateKind.APPROVE in asked:
            return "the kit is not approved yet, so no secret is asked for", "Wait for `keyturn approve`"
        gates = self.ledger.gates(key=key, only_open=False)
        mine = [g for g in gates if g.kind in ASKS_FOR_PAIR and g.attempt_id == active.id]
        if mine and mine[-1].state is GateState.APPROVED:
            return "a secret was handed in already, and the run goes on with it", "See `keyturn status`"
        return "the run has not come to that yet", "Wait until `keyturn status` shows the question"
