"""What the page of an integration shows, gathered: from the ledger, and from Vault as far as that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyturn.console.pages.offers import Now, Offer, now_of, offers
from keyturn.console.pages.outside import Seen, seen
from keyturn.console.pages.trail_words import Told, told
from keyturn.console.words import awaited, said
from keyturn.domain.attempt import Attempt, AttemptState, Halt, Receipt, Stage
from keyturn.domain.credential import CredentialRef, Pointer
from keyturn.domain.fleet import FleetState, Waiting
from keyturn.domain.gate import Gate, GateKind, Person
from keyturn.domain.health import Condition, Health, Observation, severity_of
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Severity
from keyturn.domain.schedule import due_at
from keyturn.errors import KeyturnError
from keyturn.services.journey import Journey, StepState, journey, stage_of
from keyturn.services.rotation.terms import grace_of
from keyturn.services.standing import standing_in_ledger
from keyturn.wiring import Ports

TRAIL_ROWS = 50
_ATTEMPTS, _CHANGES = 20, 20


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the credential: what it is to the integration, and a fingerprint to recognise it by."""

    role: str
    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RunningGrace:
    """A grace that runs.

    Attributes:
        ends_at: until then the older secret certainly works.
        then: what its end means, a sentence.
    """

    ends_at: datetime
    then: str
    at_risk: bool


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page."""

    key: IntegrationKey
    person: Person
    now: Now
    journey: Journey
    registered: SealedManifest | None
    health: Health
    changes: Sequence[Observation]
    pointer: Seen[Pointer]
    attempts: Sequence[Attempt]
    trail: Sequence[Told]
    offers: Sequence[Offer]

    @property
    def state(self) -> FleetState | None:
        """Where it stands, in one word; `None` when it was never onboarded."""
        active = self.now.active
        if active is None:
            if self.now.standing is not None:
                return FleetState.LIVE
            return FleetState.ENDED if self.now.attempt else None
        if active.halt is not Halt.NONE:
            return FleetState.HALTED
        asks = any(gate.groups for gate in self.now.gates)  # a grace asks nobody
        return FleetState.WAITING if asks else FleetState.MOVING

    @property
    def why(self) -> str:
        """Why it stands there, a clause."""
        attempt = self.now.attempt
        if attempt is None:
            return "there is a manifest of it, and it was never onboarded"
        if self.now.gates:
            return f"waits for {'; '.join(_waited_for(gate) for gate in self.now.gates)}"
        if attempt.state is AttemptState.ACTIVE and attempt.halt is Halt.NONE:
            at = next((s.stage for s in self.journey.steps if s.state is StepState.NEXT), None)
            return f"is at {said(at)}, and asks nobody" if at else "is about to end"
        return attempt.reason or "nothing is under way"

    @property
    def asked(self) -> Mapping[Stage, Gate]:
        """The open gates by the stages that wait at them."""
        attempt = self.now.attempt
        return {stage_of(gate, attempt): gate for gate in self.now.gates} if attempt else {}

    @property
    def link_gate(self) -> Gate | None:
        """The gate at which this person can make a new auth link."""
        gate = self.now.gate(GateKind.CONSENT, GateKind.PROOF)
        return gate if gate and self.person.groups & set(gate.groups) else None

    @property
    def receipts(self) -> Sequence[Receipt]:
        """The receipts of the newest attempt, in the order of time."""
        return sorted(self.now.receipts.values(), key=lambda receipt: receipt.at)

    @property
    def raised(self) -> Sequence[Condition]:
        """What is raised, the most severe first."""
        ranks = list(Severity)
        return sorted(self.health.raised, key=lambda c: ranks.index(severity_of(c.cause)), reverse=True)

    @property
    def versions(self) -> Sequence[Version]:
        """What the pointer in Vault names; empty when that is not known."""
        pointer = self.pointer.found or Pointer()
        roles = (("current", pointer.current), ("pending", pointer.pending))
        older = (("previous", pointer.previous), ("retired", pointer.retired))
        return [Version(role, ref.version, short(ref)) for role, ref in (*roles, *older) if ref]

    @property
    def due_at(self) -> datetime | None:
        """When the next rotation is due."""
        stands = self.now.standing
        if stands is None or stands.turned_at is None:
            return None
        return due_at(self.key, stands.sealed.manifest.rotation, stands.turned_at)

    @property
    def age_days(self) -> int | None:
        """How old the secret in use is."""
        stands = self.now.standing
        return (self.now.at - stands.turned_at).days if stands and stands.turned_at else None

    @property
    def grace(self) -> RunningGrace | None:
        """The grace of the rotation under way."""
        turned = self.now.receipts.get(Stage.GONG_ROTATION)
        if self.now.rotation is None or turned is None or Stage.RETIRE in self.now.receipts:
            return None
        proven = Stage.VERIFY in self.now.receipts
        then = (
            "At its end that one is marked dead, and cannot be rolled back to any more."
            if proven
            else "At its end that one dies, and the connection breaks unless the new one is proven by then."
        )
        return RunningGrace(grace_of(turned).earliest_end, then, at_risk=not proven)

    @property
    def grace_of_click(self) -> datetime | None:
        """When the grace of the last click in Gong is certainly over, as Vault's pointer has it."""
        ends = self.pointer.found.grace_ends_at if self.pointer.found else ""
        return datetime.fromisoformat(ends) if ends else None

    @property
    def health_words(self) -> str:
        """The health in a few words."""
        if self.health.raised:
            return ", ".join(said(condition.cause) for condition in self.raised)
        return {"ok": "healthy", "unknown": "health unknown"}.get(self.health.words, self.health.words)

    @property
    def health_tone(self) -> str:
        """How the health is coloured: only what was seen to be well is green."""
        if self.health.raised:
            urgent = any(severity_of(c.cause).reaches(Severity.ERROR) for c in self.health.raised)
            return "bad" if urgent else "warn"
        return "good" if self.health.words == "ok" else "plain"


def gather(ports: Ports, key: IntegrationKey, person: Person, before_seq: int | None) -> View:
    """Look everything up. Only Vault is asked besides the ledger, and it may be away; vendors are not asked at all."""
    attempts = ports.ledger.attempts(key)
    now = now_of(
        ports.ledger, attempts[0] if attempts else None, standing_in_ledger(ports.ledger, key), ports.clock.now()
    )
    return View(
        key,
        person,
        now,
        journey(ports.ledger, key),
        ports.ledger.registered(key),
        ports.observatory.health(key),
        ports.observatory.history(key, _CHANGES),
        seen(lambda: ports.secrets.pointer(key)),
        attempts[:_ATTEMPTS],
        told(ports.trail.latest(key, TRAIL_ROWS, before_seq=before_seq)),
        offers(now, person),
    )


def run_url(ports: Ports, attempt: Attempt | None) -> str:
    """The page of the run that carries an attempt, or Prefect's own; empty when neither is known."""
    base = str(ports.settings.console.prefect_url or "").rstrip("/")
    if attempt is None or attempt.flow_run_id is None:
        return base
    if base:
        return f"{base}/runs/flow-run/{attempt.flow_run_id}"
    try:
        return ports.runs.url(attempt.flow_run_id)
    except KeyturnError:
        return ""


def _waited_for(gate: Gate) -> str:
    return awaited(Waiting(gate.id, gate.kind, gate.groups, gate.opened_at))


def short(ref: CredentialRef) -> str:
    """Enough of a fingerprint to tell versions apart by."""
    return ref.fingerprint.rpartition(":")[2][:12]
