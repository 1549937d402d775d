"""One sweep: what is due by the manifests, and the rotations that are started for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyturn.domain.attempt import Terms
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.sweep import Entry, What, plan
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, Ledger, Outbox, Runs
from keyturn.services.rotation.asking import Rotating

SWEEPER = Person("system:sweep", "sweep", frozenset({"requester"}), "schedule")


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
        return plan(self.ledger.candidates(), self.clock.now(), at_once)

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

    def _tell_if_stopped(self, entries: Sequence[Entry]) -> None:
        stopped = [e for e in entries if e.what is What.STOPPED]
        if stopped:
            today = self.clock.now().date().isoformat()
            facts = {"why": stopped[0].why, "waiting": str(len(stopped))}
            self.outbox.tell(Notice(Event.SWEEP_STOPPED, Severity.ERROR, "", f"sweep/stopped/{today}", facts))
