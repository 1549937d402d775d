"""Questions to people, and what they answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from keyturn.console.api.shapes.base import Shape
from keyturn.console.api.shapes.kits import Kit, KitScreen
from keyturn.domain import gate as domain
from keyturn.domain.credential import ProbeOutcome
from keyturn.domain.gate import Channel, Decision, GateKind, GateState
from keyturn.services import decide
from keyturn.services.intake import Submitted
from keyturn.services.journey import waits_for


class Question(Shape):
    """A gate: what people are asked."""

    id: UUID
    key: str
    kind: GateKind
    digest: str = Field(description="Of the manifest that it is about.")
    state: GateState
    groups: list[str] = Field(description="Who is asked.")
    needed: int = Field(description="How many approvals.")
    approvals: int = Field(description="How many there are.")
    channel: Channel
    opened_at: datetime
    rearm_at: datetime = Field(description="When it is asked afresh.")
    question: dict[str, Any] = Field(description="What is special about this one.")

    @classmethod
    def of(cls, gate: domain.Gate, **more: Any) -> Self:  # noqa: ANN401  what a class below adds
        """The shape of it."""
        return cls(**_said(gate), **more)


class Asked(Question):
    """A gate, and who has to do what."""

    waits_for: str

    @classmethod
    def of(cls, gate: domain.Gate, **more: Any) -> Self:  # noqa: ANN401  what a class below adds
        """The shape of it."""
        return cls(**_said(gate), waits_for=waits_for(gate, gate.key), **more)


class Said(Shape):
    """What one person decided."""

    person: str = Field(description="Their identity.")
    name: str
    signed_in: str
    approved: bool
    note: str
    at: datetime

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The shape of it."""
        return cls(
            person=decision.person_id,
            name=decision.person_name,
            signed_in=decision.signed_in,
            approved=decision.approved,
            note=decision.note,
            at=decision.at,
        )


class Gate(Asked):
    """A gate with all that a person needs in order to answer it."""

    attempt: UUID
    requester: str | None
    decided_at: datetime | None
    reason: str
    decisions: list[Said]
    kit: Kit | None = Field(description="The form to fill in, or to approve; `null` where there is none.")
    steps: list[str] = Field(description="What a rotation would do, where that is what is to be approved.")


class Decided(Question):
    """A gate after a decision; `resumed` is false while Prefect has not taken notice, which it does by itself."""

    resumed: bool

    @classmethod
    def after(cls, decided: decide.Decided) -> Self:
        """The shape of it."""
        return cls(**_said(decided.gate), resumed=decided.resumed)


class Taken(Shape):
    """A pair that was handed in: the version that Vault gave it, and what Gong said of it."""

    key: str
    version: int
    probe: ProbeOutcome
    explanation: str
    resumed: bool

    @classmethod
    def of(cls, submitted: Submitted) -> Self:
        """The shape of it."""
        gate, probe = submitted.gate, submitted.probe
        return cls(
            key=str(gate.key),
            version=int(str(gate.answer["version"])),
            probe=probe.outcome,
            explanation=probe.explanation,
            resumed=submitted.resumed,
        )


class Revealed(Shape):
    """A wrapping token of Vault's: it opens the pair once. It is shown here once and kept nowhere."""

    token: str = Field(repr=False)
    ttl_s: int = Field(description="Seconds that it lives.")
    form: list[KitScreen] = Field(description="StackOne's form, which the pair is for.")


class AuthLink(Shape):
    """An address for the admin of the Gong account who consents. It is shown here once and kept nowhere."""

    url: str = Field(repr=False)
    expires_at: datetime


def _said(gate: domain.Gate) -> Mapping[str, Any]:
    return {
        "id": gate.id,
        "key": str(gate.key),
        "kind": gate.kind,
        "digest": gate.digest,
        "state": gate.state,
        "groups": list(gate.groups),
        "needed": gate.needed,
        "approvals": gate.approvals,
        "channel": gate.channel,
        "opened_at": gate.opened_at,
        "rearm_at": gate.rearm_at,
        "question": dict(gate.question),
    }
