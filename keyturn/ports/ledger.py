"""The ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keyturn.domain.attempt import (
    Attempt,
    AttemptState,
    Execution,
    Halt,
    Receipt,
    Stage,
    Terms,
    Wish,
)
from keyturn.domain.gate import Gate, GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Notification, SealedManifest
from keyturn.domain.sweep import Candidate
from keyturn.domain.trail import AuditEntry


@dataclass(frozen=True, slots=True)
class Opened:
    """What asking for an attempt gave: `created` anew, or the active one, whose manifest may have `changed`."""

    attempt: Attempt
    created: bool
    changed: bool


class Work(Protocol):
    """What one execution may do while it holds its attempt's row lock. Everything commits together, or not at all."""

    @property
    def attempt(self) -> Attempt:
        """The attempt as it is now."""

    def receipt(self, stage: Stage) -> Receipt | None:
        """The stage's receipt for the execution's digest."""

    def write_receipt(self, stage: Stage, body: Mapping[str, object]) -> Receipt:
        """Prove the stage done. The first one stands: a second write returns it unchanged."""

    def withdraw(self, stage: Stage, reason: str, question: Mapping[str, object]) -> None:
        """Take back the receipt of a stage that rested on a person's answer, and ask that person afresh.

        The closed gate is marked void with the reason, and a new one is opened with `question` added to its own.
        """

    def rewind(self, stages: Sequence[Stage], reason: str) -> None:
        """Take back the receipts of stages that were undone, and make void what was asked for them."""

    def want(self, wish: Wish, reason: str) -> None:
        """Note what the rotation's next execution has to do first, as the system wants it."""

    def change_terms(self, terms: Terms) -> None:
        """Give the rotation other terms; a wish that led to them is fulfilled."""

    def gate(self, kind: GateKind) -> Gate | None:
        """The newest gate of that kind for the execution's digest, whatever its state."""

    def open_gate(self, kind: GateKind, policy: Policy, question: Mapping[str, object], rearm_at: datetime) -> Gate:
        """Ask. The open gate of that kind is returned if there is one."""

    def amend_gate(self, gate_id: UUID, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says about its subject, e.g. why the last link did not work."""

    def close_gate(self, gate_id: UUID, state: GateState, reason: str, answer: Mapping[str, object]) -> Gate:
        """Close it without a person's decision: what was waited for has been seen."""

    def audit(self, event: str, detail: Mapping[str, object]) -> None:
        """Add to the audit trail, as the system."""


class Deciding(Protocol):
    """What a person may do at one gate while its attempt is locked."""

    @property
    def gate(self) -> Gate:
        """The gate as it is now."""

    def decide(self, person: Person, *, approved: bool, digest: str, note: str, answer: Mapping[str, object]) -> Gate:
        """Record the decision under the rules of `keyturn.domain.gate.admit`.

        Raises:
            RefusedError: it does not count, for one of the reasons named there.
        """

    def amend(self, question: Mapping[str, object]) -> Gate:
        """Replace what the gate says about its subject."""

    def audit(self, person: Person, event: str, detail: Mapping[str, object]) -> None:
        """Add to the audit trail, as that person. Kept even when the decision is refused afterwards."""


class Ledger(Protocol):
    """The ledger. Every method is one transaction."""

    def close(self) -> None:
        """Close every connection; the next call opens one again."""

    def open_rotation(self, sealed: SealedManifest, requester: Person | None, terms: Terms) -> Opened:
        """Start a rotation under the manifest that was applied, or return the active one.

        Raises:
            RefusedError: an onboarding is under way.
        """

    def active(self) -> Sequence[Attempt]:
        """All active attempts, oldest first; halted ones too."""

    def halt(self, execution: Execution, halt: Halt, reason: str) -> None:
        """Stop what moves the attempt by itself: its gates become void, and only a person's resume goes on.

        Raises:
            SupersededError: as for `exclusive`.
        """

    def unhalt(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """Let a halted attempt go on from its receipts, under the next number.

        Raises:
            RefusedError: it is not halted.
        """

    def wish(self, attempt_id: UUID, person: Person, wish: Wish, reason: str) -> Attempt:
        """Note what a person wants of the rotation's next execution. To roll an orphaned one back lets it go on.

        Raises:
            RefusedError: it is halted or has ended, or wants another thing already.
        """

    def restarted(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """The watch has started another run for it: bind that run, and count."""

    def hold(self, execution: Execution) -> None:
        """Be known as alive for this execution until the process ends, however it ends."""

    def is_held(self, attempt_id: UUID, fence: int) -> bool:
        """Whether the process that executes that number is alive."""

    def open_attempt(self, sealed: SealedManifest, requester: Person | None) -> Opened:
        """Register the manifest and start an onboarding, or return the active one.

        An active attempt with another digest takes the new manifest and requester over as long as no secret was
        handed in: its open gates become void and its fence rises.

        Raises:
            RefusedError: the active attempt is beyond `fetch_secret` with another digest, or is a rotation.
        """

    def registered(self, key: IntegrationKey) -> SealedManifest | None:
        """The manifest registered last for this integration."""

    def manifest(self, digest: str) -> SealedManifest:
        """The manifest with that digest."""

    def integrations(self) -> Sequence[IntegrationKey]:
        """All integrations, sorted."""

    def candidates(self) -> Sequence[Candidate]:
        """All integrations as the sweep finds them, sorted; in a few statements for a thousand of them."""

    def notifications(self, digests: Collection[str]) -> Mapping[str, Notification]:
        """When people are reminded, by the manifests with these digests, in one statement."""

    def attempt(self, attempt_id: UUID) -> Attempt:
        """One attempt."""

    def attempts(self, key: IntegrationKey) -> Sequence[Attempt]:
        """All attempts of an integration, newest first."""

    def receipts(self, attempt_id: UUID) -> Sequence[Receipt]:
        """The attempt's receipts for its present digest, in stage order."""

    def gates(self, *, key: IntegrationKey | None = None, only_open: bool = True) -> Sequence[Gate]:
        """Gates, oldest first."""

    def gate(self, gate_id: UUID) -> Gate:
        """One gate, whatever its state.

        Raises:
            RefusedError: there is none with that id.
        """

    def begin_execution(self, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
        """Take the attempt's next number.

        Raises:
            RefusedError: the attempt has ended or halted.
        """

    def exclusive(self, execution: Execution) -> AbstractContextManager[Work]:
        """Lock the attempt's row while something is done for it.

        No newer number is handed out in the meantime, so an effect and its receipt belong to one execution.

        Raises:
            SupersededError: a newer execution exists, the digest has changed, or the attempt has ended or halted.
        """

    def finish(self, execution: Execution, state: AttemptState, reason: str) -> None:
        """End the attempt, under the same conditions as `exclusive`."""

    def abandon(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """End an active attempt by a person's wish: gates void, fence raised."""

    def bind_run(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Remember which Prefect run carries the attempt."""

    def deciding(self, key: IntegrationKey, kind: GateKind) -> AbstractContextManager[Deciding]:
        """Lock an integration's open gate of that kind for a person's decision.

        An open gate past its `rearm_at` is marked expired and asked afresh instead.

        Raises:
            GateClosedError: there is no such open gate, or it had expired.
        """

    def owed_resumes(self) -> Sequence[Gate]:
        """Closed gates of active attempts whose resume Prefect has not taken yet (outbox)."""

    def resumed(self, gate_id: UUID) -> None:
        """Prefect took the resume."""

    def rearm(self, now: datetime) -> Sequence[Gate]:
        """Ask every open gate past its `rearm_at` afresh; returns the new gates."""

    def trail(self, key: IntegrationKey | None = None) -> Sequence[AuditEntry]:
        """The audit trail, oldest first."""
