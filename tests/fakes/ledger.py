"""The ledger in memory. `tests/contract` holds it and `PostgresLedger` to the same behaviour."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Execution, Halt, Receipt, Stage, Terms, Wish
from keyturn.domain.gate import Channel, Gate, GateKind, GateState, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Notification, SealedManifest
from keyturn.domain.sweep import Candidate
from keyturn.errors import GateClosedError, RefusedError
from keyturn.ports import AuditEntry, Clock, Opened
from tests.fakes import ledger_attempts as verbs
from tests.fakes import ledger_gates as asking
from tests.fakes.ledger_candidates import candidate
from tests.fakes.ledger_rows import Draft, Rows, held, transaction
from tests.fakes.ledger_work import FakeDeciding, FakeWork

_STAGES = list(Stage)


class FakeLedger:
    """Implements `keyturn.ports.Ledger`, for one thread. What somebody else holds is refused instead of waited for.

    Args:
        rows: a database; every process that a test plays has a ledger of its own on the same rows.
    """

    def __init__(self, clock: Clock, rows: Rows | None = None) -> None:
        self._clock, self.rows = clock, Rows() if rows is None else rows
        self._alive: set[tuple[UUID, int]] = set()

    def close(self) -> None:
        """The process ends: it is not alive for any execution from now on."""
        self.rows.alive -= self._alive
        self._alive.clear()

    # --- attempts

    def open_attempt(self, sealed: SealedManifest, requester: Person | None) -> Opened:
        """Start an onboarding or return the active one."""
        with self._transaction() as draft:
            return verbs.open_one(draft, sealed, requester)

    def open_rotation(self, sealed: SealedManifest, requester: Person | None, terms: Terms) -> Opened:
        """Start a rotation or return the active one."""
        with self._transaction() as draft:
            draft.lock(sealed.key, str(sealed.key))
            active = verbs.active(draft.tables, sealed.key)
            if active is not None:
                verbs.require_kind(active, AttemptKind.ROTATION)
                return Opened(active, created=False, changed=False)
            started = verbs.started(draft, sealed, requester, AttemptKind.ROTATION, terms)
            return Opened(started, created=True, changed=False)

    def active(self) -> Sequence[Attempt]:
        """All active attempts, oldest first."""
        return [a for a in self.rows.tables.attempts.values() if a.state is AttemptState.ACTIVE]

    def candidates(self) -> Sequence[Candidate]:
        """All integrations as the sweep finds them, sorted."""
        found = (candidate(self, key) for key in self.integrations())
        return [one for one in found if one is not None]

    def notifications(self, digests: Collection[str]) -> Mapping[str, Notification]:
        """When people are reminded, by manifest."""
        return {digest: self.manifest(digest).manifest.notification for digest in digests}

    def attempt(self, attempt_id: UUID) -> Attempt:
        """One attempt."""
        found = self.rows.tables.attempts.get(attempt_id)
        if found is None:
            raise verbs.unknown(attempt_id)
        return found

    def attempts(self, key: IntegrationKey) -> Sequence[Attempt]:
        """All attempts, newest first."""
        return [a for a in reversed(self.rows.tables.attempts.values()) if a.key == key]

    def receipts(self, attempt_id: UUID) -> Sequence[Receipt]:
        """The receipts for the attempt's present digest, in stage order."""
        attempt = self.rows.tables.attempts.get(attempt_id)
        mine = (attempt_id, attempt.digest if attempt else "")
        found = [r for (of, _, digest), r in self.rows.tables.receipts.items() if (of, digest) == mine]
        return sorted(found, key=lambda receipt: _STAGES.index(receipt.stage))

    def begin_execution(self, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
        """Take the attempt's next number."""
        with self._transaction() as draft:
            return verbs.begin(draft, attempt_id, flow_run_id)

    def finish(self, execution: Execution, state: AttemptState, reason: str) -> None:
        """End the attempt; the same execution may say so twice."""
        with self._transaction() as draft:
            before = verbs.lock(draft, execution.attempt_id)
            if (before.state, before.fence, before.digest) != (state, execution.fence, execution.digest):
                verbs.end(draft, verbs.lock_for(draft, execution), state, reason)

    def abandon(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """End an active attempt by a person's wish."""
        with self._transaction() as draft:
            attempt = verbs.lock(draft, attempt_id)
            verbs.require_active(attempt)
            return verbs.end(draft, attempt, AttemptState.ABANDONED, reason, person)

    def bind_run(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Remember the run that carries the attempt."""
        with self._transaction() as draft:
            draft.alter(verbs.lock(draft, attempt_id), flow_run_id=flow_run_id)

    def restarted(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Bind the run that the watch started for the attempt, and count it."""
        with self._transaction() as draft:
            verbs.restarted(draft, verbs.lock(draft, attempt_id), flow_run_id)

    # --- halts, wishes, signs of life

    def halt(self, execution: Execution, halt: Halt, reason: str) -> None:
        """Halt the attempt; the same execution may say so twice."""
        with self._transaction() as draft:
            before = verbs.lock(draft, execution.attempt_id)
            if (before.halt, before.fence) != (halt, execution.fence):
                verbs.halt(draft, verbs.lock_for(draft, execution), halt, reason)

    def unhalt(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """Let a halted attempt go on."""
        with self._transaction() as draft:
            return verbs.unhalt(draft, verbs.lock(draft, attempt_id), person, reason)

    def wish(self, attempt_id: UUID, person: Person, wish: Wish, reason: str) -> Attempt:
        """Note what a person wants of the next execution."""
        with self._transaction() as draft:
            return verbs.wish(draft, verbs.lock(draft, attempt_id), person, wish, reason)

    def hold(self, execution: Execution) -> None:
        """Be known as alive for this execution until `close`."""
        mine = (execution.attempt_id, execution.fence)
        if mine not in self.rows.alive:
            self._alive.add(mine)
            self.rows.alive.add(mine)

    def is_held(self, attempt_id: UUID, fence: int) -> bool:
        """Whether the process that executes that number is alive."""
        return (attempt_id, fence) in self.rows.alive

    # --- manifests

    def registered(self, key: IntegrationKey) -> SealedManifest | None:
        """The manifest registered last."""
        digest = self.rows.tables.integrations.get(key)
        return None if digest is None else self.rows.tables.manifests[digest]

    def manifest(self, digest: str) -> SealedManifest:
        """The manifest with that digest."""
        found = self.rows.tables.manifests.get(digest)
        if found is None:
            raise RefusedError(f"manifest {digest[:12]}", "was never registered", "Register it with `keyturn onboard`.")
        return found

    def integrations(self) -> Sequence[IntegrationKey]:
        """All integrations, sorted by tenant, then environment."""
        return sorted(self.rows.tables.integrations)

    # --- gates

    def gates(self, *, key: IntegrationKey | None = None, only_open: bool = True) -> Sequence[Gate]:
        """Gates, oldest first."""
        mine = (g for g in self.rows.tables.gates.values() if key is None or g.key == key)
        return [g for g in mine if g.state is GateState.OPEN or not only_open]

    def gate(self, gate_id: UUID) -> Gate:
        """One gate."""
        found = self.rows.tables.gates.get(gate_id)
        if found is None:
            raise RefusedError(f"gate {gate_id}", "does not exist", "Look at `keyturn gates` for what is open.")
        return found

    def exclusive(self, execution: Execution) -> AbstractContextManager[FakeWork]:
        """Hold the attempt."""
        return self._exclusive(execution)

    def deciding(self, key: IntegrationKey, kind: GateKind) -> AbstractContextManager[FakeDeciding]:
        """Hold the integration's active attempt for a person at its open gate."""
        return self._deciding(key, kind)

    def owed_resumes(self) -> Sequence[Gate]:
        """Gates of active attempts that people approved or rejected, and that nobody resumed."""
        return [g for g in self.rows.tables.gates.values() if self._owed(g)]

    def resumed(self, gate_id: UUID) -> None:
        """Prefect took the resume; the first time counts."""
        if self.rows.uncommitted(gate_id):
            raise held(f"gate {gate_id}")
        with self._transaction() as draft:
            if (gate := draft.tables.gates.get(gate_id)) and gate.resumed_at is None:
                draft.tables.gates[gate_id] = replace(gate, resumed_at=draft.now())

    def rearm(self, now: datetime) -> Sequence[Gate]:
        """Ask overdue gates afresh, those of attempts held by somebody the next time."""
        with self._transaction() as draft:
            due = [g for g in draft.tables.gates.values() if self._due(g, now)]
            return [asking.ask_afresh(draft, draft.tables.attempts[g.attempt_id], g) for g in due]

    def trail(self, key: IntegrationKey | None = None) -> Sequence[AuditEntry]:
        """The audit trail, oldest first."""
        return [e for e in self.rows.trail if key is None or e.key == str(key)]

    # --- privately

    def _transaction(self) -> AbstractContextManager[Draft]:
        return transaction(self.rows, self._clock)

    @contextmanager
    def _exclusive(self, execution: Execution) -> Iterator[FakeWork]:
        with self._transaction() as draft:
            yield FakeWork(draft, verbs.lock_for(draft, execution), execution)

    @contextmanager
    def _deciding(self, key: IntegrationKey, kind: GateKind) -> Iterator[FakeDeciding]:
        with self._transaction() as draft:
            attempt = verbs.lock_active(draft, key)
            gate = asking.newest(draft.tables, attempt, kind) if attempt else None
            if attempt is None or gate is None or gate.state is not GateState.OPEN:
                problem = f"this gate is {gate.state} already" if gate else "this is not being asked"
                raise GateClosedError(f"{key} {kind}", problem, "Look at `keyturn gates` for what is open.")
            if gate.rearm_at > draft.now():
                yield FakeDeciding(draft, attempt, gate, self._note_about(attempt))
                return
            asking.ask_afresh(draft, attempt, gate)
        problem = f"the question of {gate.opened_at:%Y-%m-%d} has expired and is asked afresh"
        raise GateClosedError(f"{key} {kind}", problem, "Nothing was recorded: read it again, then decide.")

    def _note_about(self, attempt: Attempt) -> Callable[[Person, str, Mapping[str, object]], None]:
        def note(person: Person, event: str, detail: Mapping[str, object]) -> None:
            with self._transaction() as draft:
                draft.audit(event, attempt, detail, person)

        return note

    def _owed(self, gate: Gate) -> bool:
        active = self.rows.tables.attempts[gate.attempt_id].state is AttemptState.ACTIVE
        closed = gate.state in (GateState.APPROVED, GateState.REJECTED)
        return active and closed and gate.resumed_at is None and bool(gate.decisions)

    def _due(self, gate: Gate, now: datetime) -> bool:
        overdue = gate.state is GateState.OPEN and gate.rearm_at <= now and gate.channel is not Channel.PREFECT
        active = self.rows.tables.attempts[gate.attempt_id].state is AttemptState.ACTIVE
        return overdue and active and gate.attempt_id not in self.rows.locks
