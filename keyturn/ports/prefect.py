"""Prefect, from outside a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from keyturn.domain.attempt import Attempt


class RunState(StrEnum):
    """What Prefect says about a run, as far as keyturn decides by it."""

    MOVING = "moving"  # scheduled or pending: a worker will take it up
    RUNNING = "running"  # so says Prefect; its process may be dead all the same
    SUSPENDED = "suspended"
    ENDED = "ended"  # completed, failed, crashed or cancelled
    UNKNOWN = "unknown"  # Prefect does not know this run


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log.

    Attributes:
        level: e.g. `INFO`.
    """

    at: datetime
    level: str
    text: str


class Runs(Protocol):
    """Prefect, from outside a run."""

    def start(self, attempt: Attempt) -> UUID:
        """Start a run for the attempt; the same attempt at the same fence gives the same run (idempotency key)."""

    def resume(self, flow_run_id: UUID) -> bool:
        """Ask to resume; `False` when the run is not suspended (it may be about to be)."""

    def state(self, flow_run_id: UUID) -> RunState:
        """What has become of it."""

    def states_of(self, flow_run_ids: Sequence[UUID]) -> Mapping[UUID, RunState]:
        """The same of many, in one call for some hundreds of them."""

    def ask_for_watch(self) -> None:
        """Have the watch make a round now, and not only when its schedule says so."""

    def state_for_s(self, flow_run_id: UUID) -> float:
        """For how many seconds it has been in that state, by Prefect's own time; 0 for a run that is not known."""

    def url(self, flow_run_id: UUID) -> str:
        """The run's page in Prefect's UI, or an empty text when Prefect has none."""

    def log(self, flow_run_id: UUID, limit: int) -> Sequence[LogLine]:
        """The newest lines of a run's log, oldest first; none for a run that is not known.

        Args:
            flow_run_id: which run.
            limit: how many at most, 1 to 200.
        """
