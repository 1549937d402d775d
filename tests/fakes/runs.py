"""Prefect without Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID, uuid4

from keyturn.domain.attempt import Attempt
from keyturn.errors import KeyturnError
from keyturn.ports import LogLine, RunState

RunKey = tuple[UUID, int, UUID | None]


@dataclass
class FakeRuns:
    """Implements `keyturn.ports.Runs` in memory. Runs move only by what a test says of them.

    Attributes:
        states: every run and what has become of it; tests change it.
        resumes: every resume that was asked for, taken or not.
        failures: raised by the next calls, one each.
        for_s: for how many seconds a run has been in its state; tests set it.
        rounds: how often the watch was asked for.
        logs: what runs have logged, the oldest line first; tests set it.
    """

    states: dict[UUID, RunState] = field(default_factory=dict)
    resumes: list[UUID] = field(default_factory=list)
    failures: list[KeyturnError] = field(default_factory=list)
    for_s: dict[UUID, float] = field(default_factory=dict)
    rounds: int = 0
    logs: dict[UUID, list[LogLine]] = field(default_factory=dict)
    _by_key: dict[RunKey, UUID] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def start(self, attempt: Attempt) -> UUID:
        """A new run that moves; the same one for the same attempt, number and run before."""
        with self._lock:
            self._fail_if_told()
            key = (attempt.id, attempt.fence, attempt.flow_run_id)
            run = self._by_key.setdefault(key, uuid4())
            self.states.setdefault(run, RunState.MOVING)
            return run

    def resume(self, flow_run_id: UUID) -> bool:
        """Take it if the run is suspended; it moves then."""
        with self._lock:
            self.resumes.append(flow_run_id)
            self._fail_if_told()
            if self.states.get(flow_run_id) is not RunState.SUSPENDED:
                return False
            self.states[flow_run_id] = RunState.MOVING
            return True

    def state(self, flow_run_id: UUID) -> RunState:
        """What a test, or a resume, has made of it."""
        with self._lock:
            self._fail_if_told()
            return self.states.get(flow_run_id, RunState.UNKNOWN)

    def states_of(self, flow_run_ids: Sequence[UUID]) -> dict[UUID, RunState]:
        """The same of many."""
        with self._lock:
            self._fail_if_told()
            return {run: self.states.get(run, RunState.UNKNOWN) for run in flow_run_ids}

    def ask_for_watch(self) -> None:
        """Nobody watches here, but it is counted."""
        with self._lock:
            self._fail_if_told()
            self.rounds += 1

    def state_for_s(self, flow_run_id: UUID) -> float:
        """What a test says."""
        return self.for_s.get(flow_run_id, 0.0)

    def url(self, flow_run_id: UUID) -> str:
        """A page that nobody serves."""
        return f"http://prefect.invalid/runs/flow-run/{flow_run_id}"

    def log(self, flow_run_id: UUID, limit: int) -> Sequence[LogLine]:
        """What a test has it say."""
        with self._lock:
            self._fail_if_told()
            return self.logs.get(flow_run_id, [])[-limit:]

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
