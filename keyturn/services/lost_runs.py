"""Attempts whose Prefect run is gone, crashed, or says that it is running while its process is dead.

Prefect resumes nothing by itself, and a run that was killed together with its worker says Running for ever. So what
counts is the ledger: an attempt that should move, and nobody alive who moves it. It is started again from its
receipts, a few times with growing pauses; then a person is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, Execution, Stage, Wish
from keyturn.domain.gate import GateKind
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.errors import KeyturnError
from keyturn.ports import Clock, Ledger, Outbox, Runs, RunState
from keyturn.services.alarms import page
from keyturn.services.rotation.orphan import orphan
from keyturn.services.rotation.terms import grace_of

MOST_RESTARTS = 6
_FIRST_PAUSE = timedelta(minutes=1)
_TO_SHOW_ITSELF = timedelta(minutes=1)  # what a process may take from its start to its first sign of life
_TO_BE_TAKEN_UP = timedelta(minutes=15)  # a worker may have died with it; if it comes late after all, it does no harm


@dataclass(frozen=True, slots=True)
class Found:
    """What one round did: attempts started again, woken for a wish, given up, and what could not be looked at."""

    restarted: tuple[UUID, ...]
    stuck: tuple[UUID, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LostRuns:
    """Looks for them."""

    ledger: Ledger
    runs: Runs
    outbox: Outbox
    clock: Clock

    def find(self) -> Found:
        """One round over all attempts that should move."""
        restarted: list[UUID] = []
        stuck: list[UUID] = []
        problems: list[str] = []
        asked = {gate.attempt_id for gate in self.ledger.gates()}  # once for all: a fleet has many that are suspended
        moving = [attempt for attempt in self.ledger.active() if attempt.moves]
        states: Mapping[UUID, RunState] = {}
        try:  # of all at once: a fleet has thousands that are suspended
            states = self.runs.states_of([a.flow_run_id for a in moving if a.flow_run_id is not None])
        except KeyturnError as error:
            problems.append(str(error))
            moving = [attempt for attempt in moving if attempt.flow_run_id is None]
        for attempt in moving:
            try:
                if not self._is_lost(attempt, states, asked):
                    continue
                if attempt.restarts >= MOST_RESTARTS:
                    self._give_up(attempt)
                    stuck.append(attempt.id)
                elif self._restarted(attempt):
                    restarted.append(attempt.id)
            except KeyturnError as error:
                problems.append(str(error))
        return Found(tuple(restarted), tuple(stuck), tuple(problems))

    def _is_lost(self, attempt: Attempt, states: Mapping[UUID, RunState], asked: Collection[UUID]) -> bool:
        """Whether nobody carries it. A suspended run that a person wants something of is woken instead.

        How long a run has been in its state counts from that state's beginning: one that was woken a moment ago has
        an execution of long ago.
        """
        run = attempt.flow_run_id
        if run is None:
            return self.clock.now() >= attempt.started_at + _TO_SHOW_ITSELF
        match states.get(run, RunState.UNKNOWN):
            case RunState.SUSPENDED:
                if self._is_not_heeded(attempt) or self._waits_for_nothing(attempt, run, asked):
                    self.runs.resume(run)
                return False
            case RunState.RUNNING:
                return self._for(run, _TO_SHOW_ITSELF) and not self.ledger.is_held(attempt.id, attempt.fence)
            case RunState.MOVING:
                return self._for(run, _TO_BE_TAKEN_UP)
            case _:
                return True

    def _waits_for_nothing(self, attempt: Attempt, run: UUID, asked: Collection[UUID]) -> bool:
        """Whether it has been suspended for a while, and the ledger asks nothing.

        A Prefect that was restored has forgotten that the run was resumed, and nobody owes it a resume any more.
        """
        if attempt.id in asked or not self._for(run, _TO_SHOW_ITSELF):
            return False
        return not any(g.attempt_id == attempt.id for g in self.ledger.gates(key=attempt.key))

    def _is_not_heeded(self, attempt: Attempt) -> bool:
        """Whether a person wants what the suspended run does not know of: it waits for something else."""
        if attempt.wish is Wish.NONE:
            return False
        mine = [g for g in self.ledger.gates(key=attempt.key) if g.attempt_id == attempt.id]
        if attempt.wish is Wish.LOST_SECRET:
            return not any(g.kind is GateKind.APPROVE for g in mine)
        asked_back = any(g.question.get("stage") == Stage.ROLL_BACK.value for g in mine)
        return not asked_back or self._is_too_late(attempt)

    def _is_too_late(self, attempt: Attempt) -> bool:
        """Whether the older secret, which a person is asked to put back, may be dead by now."""
        turned = next((r for r in self.ledger.receipts(attempt.id) if r.stage is Stage.GONG_ROTATION), None)
        return turned is not None and self.clock.now() >= grace_of(turned).earliest_end

    def _for(self, run: UUID, at_least: timedelta) -> bool:
        return self.runs.state_for_s(run) >= at_least.total_seconds()

    def _restarted(self, attempt: Attempt) -> bool:
        """Start another run, if it is time for that."""
        if attempt.restarted_at is not None and self.clock.now() < attempt.restarted_at + _pause(attempt.restarts):
            return False
        self.ledger.restarted(attempt.id, self.runs.start(attempt))
        return True

    def _give_up(self, attempt: Attempt) -> None:
        about = f"attempt/{attempt.id}/stuck/{_day(self.clock.now())}"
        facts = {"kind": attempt.kind.value, "restarts": str(attempt.restarts), **page(attempt)}
        self.outbox.tell(Notice(Event.ATTEMPT_STUCK, Severity.ERROR, str(attempt.key), about, facts))
        if attempt.kind is AttemptKind.ROTATION:
            execution = Execution(attempt.id, attempt.key, attempt.digest, attempt.fence)
            orphan(self.ledger, execution, f"started {attempt.restarts} times in vain")


def _pause(restarts: int) -> timedelta:
    """1, 2, 4, 8, 16, 32 minutes; none before the first."""
    return _FIRST_PAUSE * 2 ** (restarts - 1) if restarts else timedelta(0)


def _day(now: datetime) -> str:
    return now.date().isoformat()
