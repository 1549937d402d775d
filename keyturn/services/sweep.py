"""One sweep: what is due by the manifests, and the rotations that are started for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Halt, Receipt, Stage, Terms
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.sweep import Active, Candidate, Entry, What, plan
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, Ledger, Outbox, Runs
from keyturn.services.rotation.asking import Rotating

SWEEPER = Person("system:sweep", "sweep", frozenset({"requester"}), "schedule")
_TURNED = (Stage.PROMOTE, Stage.STORE_SECRET)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep came to: its plan, the rotations it started, and what could not be started."""

    entries: Sequence[Entry]
    started: tuple[IntegrationKey, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Plans and starts."""

    ledger: Ledger
    runs: Runs
    outbox: Outbox
    clock: Clock

    def plan(self, at_once: int) -> list[Entry]:
        """What a sweep would do now. Changes nothing."""
        candidates = [c for key in self.ledger.integrations() if (c := self._candidate(key)) is not None]
        return plan(candidates, self.clock.now(), at_once)

    def run(self, at_once: int) -> Swept:
        """Start what is due. Two sweeps at once start the same attempts: the ledger lets one in at a time."""
        entries = self.plan(at_once)
        started: list[IntegrationKey] = []
        problems: list[str] = []
        rotating = Rotating(self.ledger, self.runs, self.clock)
        for entry in entries:
            try:
                if entry.what is What.START and rotating.start(entry.key, SWEEPER, Terms()).opened.created:
                    started.append(entry.key)
            except KeyturnError as error:
                problems.append(str(error))
        self._tell_if_stopped(entries)
        return Swept(entries, tuple(started), tuple(problems))

    def _candidate(self, key: IntegrationKey) -> Candidate | None:
        attempts = self.ledger.attempts(key)
        sealed = self._applied(key, attempts)
        if sealed is None:
            return None
        active = next((a for a in attempts if a.state is AttemptState.ACTIVE), None)
        rotations = [a for a in attempts if a.kind is AttemptKind.ROTATION and a.state is not AttemptState.ACTIVE]
        last = rotations[0] if rotations else None
        telling = next((a for a in rotations if a.state is AttemptState.COMPLETED or a.halt is not Halt.NONE), None)
        return Candidate(
            key,
            sealed.manifest.rotation,
            next((r.at for a in attempts for r in self._turned(a)), None),
            self._active(active) if active else None,
            failed=telling is not None and telling.state is not AttemptState.COMPLETED,
            declined=last is not None and last.state is AttemptState.REJECTED,
            refused_at=last.ended_at if last is not None and last.state is AttemptState.REFUSED else None,
        )

    def _applied(self, key: IntegrationKey, attempts: Sequence[Attempt]) -> SealedManifest | None:
        """The manifest that people approved and that was applied: one that is only registered changes no schedule."""
        onboarded = (a for a in attempts if a.kind is AttemptKind.ONBOARDING and a.state is AttemptState.COMPLETED)
        applied = next(onboarded, None)
        return self.ledger.manifest(applied.digest) if applied else self.ledger.registered(key)

    def _turned(self, attempt: Attempt) -> list[Receipt]:
        """The receipt that says when this attempt's secret came into use, if it did.

        A promotion counts whatever became of its rotation: one that was rolled back has no receipt any more.
        """
        counts = _TURNED if attempt.state is AttemptState.COMPLETED else (Stage.PROMOTE,)
        return [r for r in self.ledger.receipts(attempt.id) if r.stage in counts]

    def _active(self, attempt: Attempt) -> Active:
        verified = any(r.stage is Stage.VERIFY for r in self.ledger.receipts(attempt.id))
        return Active(attempt.kind, attempt.halt, verified)

    def _tell_if_stopped(self, entries: Sequence[Entry]) -> None:
        stopped = [e for e in entries if e.what is What.STOPPED]
        if stopped:
            today = self.clock.now().date().isoformat()
            facts = {"why": stopped[0].why, "waiting": str(len(stopped))}
            self.outbox.tell(Notice(Event.SWEEP_STOPPED, Severity.ERROR, "", f"sweep/stopped/{today}", facts))
