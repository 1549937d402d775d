"""Gates: what is asked of people, and which answers count. Rules only; the ledger keeps the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from keyturn.domain.integration import IntegrationKey
from keyturn.errors import DigestChangedError, GateClosedError, NotPermittedError


class GateKind(StrEnum):
    """What a person is asked to do."""

    APPROVE = "approve"
    GONG_ADMIN = "gong_admin"
    STACKONE_FORM = "stackone_form"
    CONSENT = "consent"
    GONG_ROTATION = "gong_rotation"
    PROOF = "proof"
    GRACE = "grace"  # nobody is asked: it waits for a moment in time


class GateState(StrEnum):
    """OPEN until enough people decided, the manifest changed, or what was waited for came about by itself."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    VOID = "void"
    EXPIRED = "expired"


class Channel(StrEnum):
    """Where a decision counts: our own ledger (four eyes), or Prefect's form (a single operator)."""

    KEYTURN = "keyturn"
    PREFECT = "prefect"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody a trusted server vouches for.

    Attributes:
        id: stable identity, e.g. `vault:entity/5c1e…`.
        name: for people to read, e.g. `userpass-alice`.
        groups: names without the `keyturn-` prefix, e.g. `{"approver"}`.
        signed_in: how, e.g. `vault token (userpass)`.
    """

    id: str
    name: str
    groups: frozenset[str]
    signed_in: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How many people of which groups must say yes, and when they are reminded.

    Attributes:
        approvals: how many different people.
        groups: being in one of them is enough.
    """

    approvals: int
    groups: tuple[str, ...]
    channel: Channel = Channel.KEYTURN


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said at a gate."""

    person_id: str
    person_name: str
    signed_in: str
    approved: bool
    digest: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Gate:
    """A question to people, as the ledger holds it.

    Attributes:
        needed: how many approvals; one more than the policy when the requester is unknown.
        rearm_at: when the question is asked afresh if nobody answered; it never fails the run.
        question: what the person is told about this very gate, as plain JSON.
        answer: what was handed in with the deciding answer (references only).
        resumed_at: when Prefect took the resume that the decision calls for; `None` while it is owed.
    """

    id: UUID
    attempt_id: UUID
    key: IntegrationKey
    kind: GateKind
    digest: str
    requester: str | None
    needed: int
    groups: tuple[str, ...]
    channel: Channel
    state: GateState
    opened_at: datetime
    rearm_at: datetime
    decided_at: datetime | None = None
    resumed_at: datetime | None = None
    reason: str = ""
    decisions: tuple[Decision, ...] = ()
    question: Mapping[str, object] = field(default_factory=dict)
    answer: Mapping[str, object] = field(default_factory=dict)

    @property
    def approvals(self) -> int:
        """How many different people said yes to this digest."""
        return len({d.person_id for d in self.decisions if d.approved and d.digest == self.digest})


def admit(gate: Gate, person: Person, digest: str) -> None:
    """Check that this person's decision may count at this gate.

    Raises:
        GateClosedError: it is no longer open.
        DigestChangedError: the person saw another manifest.
        NotPermittedError: own request, wrong group, decided already, or decided in Prefect's form only.
    """
    subject = f"{gate.key} {gate.kind}"
    if gate.state is not GateState.OPEN:
        raise GateClosedError(subject, f"this gate is {gate.state}", "Look at `keyturn gates` for what is open.")
    if gate.channel is Channel.PREFECT:
        raise NotPermittedError(
            subject,
            "by its manifest, this gate is answered in Prefect's form",
            "Open the run in Prefect and resume it.",
        )
    if digest != gate.digest:
        raise DigestChangedError(
            subject,
            f"digest {digest[:12]} is not the gate's {gate.digest[:12]}",
            "The manifest has changed: read the new kit with `keyturn plan`, then decide again.",
        )
    alone = gate.kind is GateKind.GONG_ROTATION and bool(gate.question.get("compromised"))  # nobody has approved it
    if (gate.kind is GateKind.APPROVE or alone) and person.id == gate.requester:
        raise NotPermittedError(
            subject,
            f"{person.name} started this attempt and cannot {'finish' if alone else 'approve'} it",
            f"Ask somebody else of: {', '.join(gate.groups)}.",
        )
    if not person.groups & set(gate.groups):
        raise NotPermittedError(
            subject,
            f"{person.name} is in none of the groups {', '.join(gate.groups)}",
            "Ask a member of one of them, or have Vault give you a policy keyturn-<group>.",
        )
    if any(d.person_id == person.id for d in gate.decisions):
        raise NotPermittedError(
            subject,
            f"{person.name} has decided here already",
            "One decision a person; somebody else must give the next.",
        )


def outcome(gate: Gate) -> GateState:
    """What the decisions so far amount to: one rejection rejects, enough approvals approve."""
    if any(not d.approved for d in gate.decisions):
        return GateState.REJECTED
    return GateState.APPROVED if gate.approvals >= gate.needed else gate.state
