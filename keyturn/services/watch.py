"""What nobody is there for: gates that close themselves, resumes that Prefect did not take, questions grown old."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import LinkStatus
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, ConnectorHub, Ledger, Runs


@dataclass(frozen=True, slots=True)
class Tick:
    """What one round did: runs woken, questions asked afresh, and what could not be looked at."""

    woken: tuple[UUID, ...]
    rearmed: tuple[UUID, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """One round over the open gates. It changes nothing but clocks: the runs themselves write receipts."""

    ledger: Ledger
    runs: Runs
    hub: ConnectorHub
    clock: Clock

    def tick(self) -> Tick:
        """Wake every run whose gate was decided, or whose gate's subject has come about outside."""
        woken: list[UUID] = []
        problems: list[str] = []
        for gate in [*self.ledger.owed_resumes(), *self.ledger.gates()]:
            try:
                if self._due(gate) and self._wake(gate):
                    woken.append(gate.id)
            except KeyturnError as error:
                problems.append(str(error))
        rearmed = self.ledger.rearm(self.clock.now())
        return Tick(tuple(woken), tuple(g.id for g in rearmed), tuple(problems))

    def _due(self, gate: Gate) -> bool:
        if gate.decided_at is not None:
            return True
        if gate.kind is GateKind.CONSENT:
            return self._consented(gate)
        return gate.kind is GateKind.STACKONE_FORM and self._profile_changed(gate)

    def _consented(self, gate: Gate) -> bool:
        sessions = gate.question.get("sessions", [])
        ids = sessions if isinstance(sessions, list) else []
        return any(self.hub.session(str(s)).status is LinkStatus.AUTHENTICATED for s in ids)

    def _profile_changed(self, gate: Gate) -> bool:
        baseline = gate.question.get("baseline", {})
        known = baseline if isinstance(baseline, dict) else {}
        named = [p for p in self.hub.profiles(CONNECTOR) if p.name == gate.question.get("profile_name")]
        return any(known.get(p.id) != p.updated_at for p in named)

    def _wake(self, gate: Gate) -> bool:
        run = self.ledger.attempt(gate.attempt_id).flow_run_id
        if run is None or not self.runs.resume(run):
            return False
        if gate.decided_at is not None:
            self.ledger.resumed(gate.id)
        return True
