"""What nobody is there for: gates that close themselves, resumes that Prefect did not take, questions grown old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.manifest import CONNECTOR
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, ConnectorHub, Ledger, Runs, RunState
from keyturn.services.link import look
from keyturn.services.listed_once import ListedOnce
from keyturn.services.rotation.proof import is_due


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
        listed = ListedOnce(self.hub)  # the list of all profiles, for all who wait for one of them
        for gate in [*self.ledger.owed_resumes(), *self.ledger.gates()]:
            try:
                if self._due(gate, listed) and self._wake(gate):
                    woken.append(gate.id)
            except KeyturnError as error:
                problems.append(str(error))
        rearmed = self.ledger.rearm(self.clock.now())
        return Tick(tuple(woken), tuple(g.id for g in rearmed), tuple(problems))

    def _due(self, gate: Gate, listed: ListedOnce) -> bool:
        if gate.decided_at is not None:
            return True
        if gate.kind is GateKind.CONSENT:
            return look(self.hub, gate).account is not None
        if gate.kind is GateKind.GRACE:
            return self.clock.now() >= datetime.fromisoformat(str(gate.question["until"]))
        if gate.kind is GateKind.PROOF:
            return is_due(self.hub, gate, self.clock.now())
        return gate.kind is GateKind.STACKONE_FORM and _profile_changed(gate, listed)

    def _wake(self, gate: Gate) -> bool:
        attempt = self.ledger.attempt(gate.attempt_id)
        if not attempt.moves:  # whoever lets it go on starts a run, and that finds the decision
            return False
        run = attempt.flow_run_id
        taken = run is not None and self.runs.resume(run)
        if gate.decided_at is None:
            return taken
        if taken or self._carried_by_another(attempt):
            self.ledger.resumed(gate.id)
            return True
        return False

    def _carried_by_another(self, attempt: Attempt) -> bool:
        """Start a run if the last one is over: somebody answered a question that it left behind.

        Only for a decision, and so once for each: a run that fails again is not started again.
        """
        run = attempt.flow_run_id
        if run is not None and self.runs.state(run) not in (RunState.ENDED, RunState.UNKNOWN):
            return False
        self.ledger.bind_run(attempt.id, self.runs.start(attempt))
        return True


def _profile_changed(gate: Gate, listed: ListedOnce) -> bool:
    baseline = gate.question.get("baseline", {})
    known = baseline if isinstance(baseline, dict) else {}
    named = [p for p in listed.profiles(CONNECTOR) if p.name == gate.question.get("profile_name")]
    return any(known.get(p.id) != p.updated_at for p in named)
