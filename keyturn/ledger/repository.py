"""`keyturn.ports.Ledger` on PostgreSQL: every method one transaction, in the words of `attempts` and `gates`."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, func, select, update

from keyturn.domain.attempt import Attempt, AttemptState, Execution, Halt, Receipt, Stage, Terms, Wish
from keyturn.domain.gate import Gate, GateKind, GateState, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Notification, SealedManifest
from keyturn.domain.sweep import Candidate
from keyturn.errors import GateClosedError, RefusedError
from keyturn.ledger import attempts as verbs
from keyturn.ledger import candidates, halts, listening, telling
from keyturn.ledger import gates as asking
from keyturn.ledger.held import HeldGate, HeldWork, Note
from keyturn.ledger.life import SignsOfLife
from keyturn.ledger.rows import attempt_of, entry_of, receipt_of
from keyturn.ledger.tables import attempts, audit, decisions, gates, integrations, manifests, receipts
from keyturn.ledger.unit import Unit, transaction
from keyturn.ports import AuditEntry, Clock, Deciding, Ledger, Opened, Work


class PostgresLedger(Ledger):
    """The ledger in PostgreSQL.

    Besides what the port names, every method may raise `UnavailableError` (no connection, or another execution holds
    the attempt), `AmbiguousError` (connection lost while committing) and `ConfigurationError` (sign-in, old tables).

    Args:
        engine: from `keyturn.ledger.engine.make_engine`.
        lock_timeout_s: seconds to wait for another execution of the same attempt to finish its step.
    """

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s
        self._signs_of_life = SignsOfLife(engine)

    def close(self) -> None:
        """Close every connection to the database."""
        self._signs_of_life.end()
        self._engine.dispose()

    def open_attempt(self, sealed: SealedManifest, requester: Person | None) -> Opened:
        """Start an attempt or return the active one; one caller at a time for each integration."""
        with self._transaction(sealed.key) as unit:
            return verbs.open_one(unit, sealed, requester)

    def open_rotation(self, sealed: SealedManifest, requester: Person | None, terms: Terms) -> Opened:
        """Start a rotation or return the active one; one caller at a time for each integration."""
        with self._transaction(sealed.key) as unit:
            return verbs.open_rotation(unit, sealed, requester, terms)

    def active(self) -> Sequence[Attempt]:
        """All active attempts, oldest first."""
        asked = select(attempts).where(attempts.c.state == AttemptState.ACTIVE).order_by(attempts.c.seq)
        with self._transaction("attempts") as unit:
            return [attempt_of(row) for row in unit.connection.execute(asked)]

    def halt(self, execution: Execution, halt: Halt, reason: str) -> None:
        """Halt the attempt. The same execution may say so twice, as it must after a lost answer."""
        with self._transaction(execution.key) as unit:
            before = verbs.lock(unit, execution.attempt_id)
            if (before.halt, before.fence) != (halt, execution.fence):
                halts.halt(unit, verbs.lock_for(unit, execution), halt, reason)

    def unhalt(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """Let a halted attempt go on."""
        with self._transaction(attempt_id) as unit:
            return halts.unhalt(unit, verbs.lock(unit, attempt_id), person, reason)

    def wish(self, attempt_id: UUID, person: Person, wish: Wish, reason: str) -> Attempt:
        """Note what a person wants of the next execution."""
        with self._transaction(attempt_id) as unit:
            return halts.wish(unit, verbs.lock(unit, attempt_id), person, wish, reason)

    def restarted(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Bind the run that the watch started, and count."""
        with self._transaction(attempt_id) as unit:
            halts.restarted(unit, verbs.lock(unit, attempt_id), flow_run_id)

    def hold(self, execution: Execution) -> None:
        """Be known as alive, by a lock that PostgreSQL takes back when this process is gone."""
        self._signs_of_life.hold(execution)

    def is_held(self, attempt_id: UUID, fence: int) -> bool:
        """Whether the process that executes that number is alive."""
        return self._signs_of_life.held(attempt_id, fence)

    def registered(self, key: IntegrationKey) -> SealedManifest | None:
        """The manifest registered last."""
        asked = select(manifests.c.body).join(integrations).where(integrations.c.key == str(key))
        with self._transaction(key) as unit:
            body = unit.connection.execute(asked).scalar_one_or_none()
        return SealedManifest.model_validate(body) if body is not None else None

    def manifest(self, digest: str) -> SealedManifest:
        """The manifest with that digest.

        Raises:
            RefusedError: none was registered.
        """
        subject = f"manifest {digest[:12]}"
        with self._transaction(subject) as unit:
            body = unit.connection.execute(select(manifests.c.body).where(manifests.c.digest == digest)).scalar()
        if body is None:
            raise RefusedError(subject, "was never registered", "Register it with `keyturn onboard`.")
        return SealedManifest.model_validate(body)

    def integrations(self) -> Sequence[IntegrationKey]:
        """All integrations, sorted by tenant, then environment."""
        with self._transaction("integrations") as unit:
            keys = unit.connection.execute(select(integrations.c.key)).scalars().all()
        return sorted(map(IntegrationKey.parse, keys))

    def candidates(self) -> Sequence[Candidate]:
        """All integrations as the sweep finds them."""
        with self._transaction("integrations") as unit:
            return candidates.candidates(unit.connection)

    def notifications(self, digests: Collection[str]) -> Mapping[str, Notification]:
        """When people are reminded, by manifest."""
        with self._transaction("manifests") as unit:
            return candidates.notifications(unit.connection, sorted(digests))

    def attempt(self, attempt_id: UUID) -> Attempt:
        """One attempt.

        Raises:
            RefusedError: there is none with that id.
        """
        with self._transaction(attempt_id) as unit:
            row = unit.connection.execute(select(attempts).where(attempts.c.id == attempt_id)).one_or_none()
        if row is None:
            raise verbs.unknown(attempt_id)
        return attempt_of(row)

    def attempts(self, key: IntegrationKey) -> Sequence[Attempt]:
        """All attempts, newest first."""
        asked = select(attempts).where(attempts.c.key == str(key)).order_by(attempts.c.seq.desc())
        with self._transaction(key) as unit:
            return [attempt_of(row) for row in unit.connection.execute(asked)]

    def receipts(self, attempt_id: UUID) -> Sequence[Receipt]:
        """The receipts for the attempt's present digest, in stage order."""
        present = receipts.c.digest == attempts.c.digest
        asked = select(receipts).join(attempts).where(attempts.c.id == attempt_id, present)
        with self._transaction(attempt_id) as unit:
            found = [receipt_of(row) for row in unit.connection.execute(asked)]
        return sorted(found, key=lambda receipt: list(Stage).index(receipt.stage))

    def gates(self, *, key: IntegrationKey | None = None, only_open: bool = True) -> Sequence[Gate]:
        """Gates, oldest first."""
        where: list[ColumnElement[bool]] = [gates.c.state == GateState.OPEN] if only_open else []
        if key is not None:
            where.append(gates.c.key == str(key))
        with self._transaction(key or "gates") as unit:
            return asking.find(unit.connection, *where)

    def gate(self, gate_id: UUID) -> Gate:
        """One gate.

        Raises:
            RefusedError: there is none with that id.
        """
        with self._transaction(f"gate {gate_id}") as unit:
            found = asking.find(unit.connection, gates.c.id == gate_id)
        if not found:
            raise RefusedError(f"gate {gate_id}", "does not exist", "Look at `keyturn gates` for what is open.")
        return found[0]

    def begin_execution(self, attempt_id: UUID, flow_run_id: UUID | None) -> Execution:
        """Take the attempt's next number; without a flow run the one known so far stays."""
        with self._transaction(attempt_id) as unit:
            return verbs.begin(unit, attempt_id, flow_run_id)

    def exclusive(self, execution: Execution) -> AbstractContextManager[Work]:
        """Hold the attempt. Inside the block call nothing else of the ledger that changes the same attempt."""
        return self._exclusive(execution)

    def finish(self, execution: Execution, state: AttemptState, reason: str) -> None:
        """End the attempt. The same execution may say so twice, as it must after a lost answer."""
        with self._transaction(execution.key) as unit:
            before = verbs.lock(unit, execution.attempt_id)
            if (before.state, before.fence, before.digest) != (state, execution.fence, execution.digest):
                verbs.end(unit, verbs.lock_for(unit, execution), state, reason)

    def abandon(self, attempt_id: UUID, person: Person, reason: str) -> Attempt:
        """End an active attempt by a person's wish.

        Raises:
            RefusedError: it has ended already.
        """
        with self._transaction(attempt_id) as unit:
            attempt = verbs.lock(unit, attempt_id)
            verbs.require_active(attempt)
            return verbs.end(unit, attempt, AttemptState.ABANDONED, reason, person)

    def bind_run(self, attempt_id: UUID, flow_run_id: UUID) -> None:
        """Remember the run that carries the attempt."""
        with self._transaction(attempt_id) as unit:
            verbs.alter(unit, verbs.lock(unit, attempt_id), {"flow_run_id": flow_run_id})

    def deciding(self, key: IntegrationKey, kind: GateKind) -> AbstractContextManager[Deciding]:
        """Hold the integration's active attempt for a person at its open gate."""
        return self._deciding(key, kind)

    def owed_resumes(self) -> Sequence[Gate]:
        """Gates of active attempts that people approved or rejected, without `resumed_at`.

        Nothing is owed for a gate that is void or expired, nor for one that the running execution closed itself.
        """
        active = gates.c.attempt_id.in_(select(attempts.c.id).where(attempts.c.state == AttemptState.ACTIVE))
        closed = gates.c.state.in_((GateState.APPROVED, GateState.REJECTED))
        by_people = gates.c.id.in_(select(decisions.c.gate_id))
        with self._transaction("owed resumes") as unit:
            return asking.find(unit.connection, gates.c.resumed_at.is_(None), closed, by_people, active)

    def resumed(self, gate_id: UUID) -> None:
        """Prefect took the resume; the first time counts."""
        first = func.coalesce(gates.c.resumed_at, self._clock.now())
        with self._transaction(f"gate {gate_id}") as unit:
            unit.connection.execute(update(gates).where(gates.c.id == gate_id).values(resumed_at=first))

    def rearm(self, now: datetime) -> Sequence[Gate]:
        """Ask overdue gates afresh, those of attempts held by somebody the next time."""
        with self._transaction("gates") as unit:
            return asking.rearm(unit, now)

    def trail(self, key: IntegrationKey | None = None) -> Sequence[AuditEntry]:
        """The audit trail, oldest first."""
        asked = select(audit).order_by(audit.c.seq)
        if key is not None:
            asked = asked.where(audit.c.key == str(key))
        with self._transaction(key or "audit trail") as unit:
            return [entry_of(row) for row in unit.connection.execute(asked)]

    def changes(self, attempt_id: UUID, timeout_s: float) -> Generator[bool, None, None]:
        """Whether the attempt may have changed: at once, at each change, and every `timeout_s` seconds without one."""
        return listening.changes(self._engine, attempt_id, timeout_s)

    def _transaction(self, subject: object) -> AbstractContextManager[Unit]:
        about = f"attempt {subject}" if isinstance(subject, UUID) else str(subject)
        return transaction(self._engine, self._clock, self._lock_timeout_s, about)

    @contextmanager
    def _exclusive(self, execution: Execution) -> Iterator[Work]:
        with self._transaction(execution.key) as unit:
            yield HeldWork(unit, verbs.lock_for(unit, execution), execution)

    @contextmanager
    def _deciding(self, key: IntegrationKey, kind: GateKind) -> Iterator[Deciding]:
        with self._transaction(key) as unit:
            attempt = verbs.lock_active(unit, key)
            gate = asking.newest(unit.connection, attempt, kind) if attempt else None
            if attempt is None or gate is None or gate.state is not GateState.OPEN:
                raise _not_asked(key, kind, gate)
            if gate.rearm_at > unit.now():
                yield HeldGate(unit, attempt, gate, self._note_about(attempt))
                return
            asking.ask_afresh(unit, attempt, gate, unit.now())
        # After the commit: the fresh question stays although this answer came too late.
        raise _too_late(gate)

    def _note_about(self, attempt: Attempt) -> Note:
        def note(person: Person, event: str, detail: Mapping[str, object]) -> None:
            with self._transaction(attempt.key) as unit:
                unit.audit(event, attempt, detail, person)
                telling.of_alert(unit, attempt, event, detail)

        return note


def _not_asked(key: IntegrationKey, kind: GateKind, last: Gate | None) -> GateClosedError:
    problem = f"this gate is {last.state} already" if last else "this is not being asked"
    return GateClosedError(f"{key} {kind}", problem, "Look at `keyturn gates` for what is open.")


def _too_late(gate: Gate) -> GateClosedError:
    return GateClosedError(
        f"{gate.key} {gate.kind}",
        f"the question of {gate.opened_at:%Y-%m-%d} has expired and is asked afresh",
        "Nothing was recorded: read it again with `keyturn gates`, then decide.",
    )
