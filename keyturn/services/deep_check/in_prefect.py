"""The ledger against Prefect: who carries the attempts, and which runs carry none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState
from keyturn.domain.gate import GateState
from keyturn.ports import LivingRun, Runs, RunState
from keyturn.services.deep_check.told import Told

Says = tuple[str, str]
_TO_BEGIN = timedelta(minutes=1)  # between the attempt and its first run


@dataclass(frozen=True, slots=True)
class InPrefect:
    """What the ledger says of an integration, and Prefect beside it.

    Attributes:
        living: the runs that have not ended, of this integration or of all.
    """

    told: Told
    runs: Runs
    living: Sequence[LivingRun]
    now: datetime

    def compare(self) -> list[Says]:
        """What does not belong together: found and remedy.

        Raises:
            TransientError: Prefect did not answer.
        """
        active = self.told.active
        carried = self._carried(active) if active is not None and active.moves else []
        return [*carried, *self._strays(active)]

    def _carried(self, active: Attempt) -> Iterator[Says]:
        anew = "The watch starts another run within minutes; at once: " + _restart(active)
        if active.flow_run_id is None:
            if self.now >= active.started_at + _TO_BEGIN:
                yield "the attempt under way has no run", anew
            return
        run, state = str(active.flow_run_id), self._state(active, active.flow_run_id)
        if state is RunState.UNKNOWN:
            yield f"Prefect does not know run {run}, which carries the attempt: it is older than the ledger", anew
        elif state is RunState.ENDED:
            yield f"run {run} has ended, and the attempt that it carries has not", anew
        elif state is RunState.SUSPENDED and not self._asks(active):
            wake = "The watch wakes it within minutes; at once: press Resume on the run's page in Prefect."
            yield f"run {run} is suspended, and the ledger asks nothing: Prefect is older than the ledger", wake

    def _state(self, active: Attempt, run: UUID) -> RunState:
        """As it was listed, if that is as it must be: a fleet has thousands, and only the odd one is asked for."""
        listed = next((r.state for r in self.living if r.id == run), RunState.UNKNOWN)
        fine = listed in (RunState.RUNNING, RunState.MOVING) or (listed is RunState.SUSPENDED and self._asks(active))
        return listed if fine else self.runs.state(run)

    def _asks(self, active: Attempt) -> bool:
        return any(g.attempt_id == active.id and g.state is GateState.OPEN for g in self.told.gates)

    def _strays(self, active: Attempt | None) -> Iterator[Says]:
        known = {str(a.id): a for a in self.told.attempts}
        for run in self.living:
            if run.key != str(self.told.key) or (active and active.flow_run_id == run.id):
                continue
            cancel = f"It does nothing; remove it: `prefect flow-run cancel {run.id}`."
            attempt = known.get(run.attempt)
            if run.attempt and attempt is None:
                yield f"run {run.id} is for attempt {run.attempt}, which the ledger does not know", cancel
            elif attempt is not None and attempt.state is not AttemptState.ACTIVE:
                yield f"run {run.id} has not ended, and its attempt ended as {attempt.state}", cancel
            elif attempt is not None:
                carrier = attempt.flow_run_id
                yield f"two runs are for attempt {attempt.id}: {run.id}, and {carrier}, which the ledger names", cancel


def schedules(found: Mapping[str, int]) -> list[Says]:
    """What does not belong together of what Prefect runs by itself."""
    wrong = [(name, count) for name, count in found.items() if count != 1]
    return [
        (
            f"{name} has {count or 'no'} active schedule{'' if count == 1 else 's'}, and not one",
            "Run `prefect deploy --all` in keyturn's folder, and remove what is doubled on the deployment's page.",
        )
        for name, count in wrong
    ]


def _restart(active: Attempt) -> str:
    if active.kind is AttemptKind.ONBOARDING:
        return f"`keyturn onboard {active.key} --restart`."
    return f"`keyturn rotate {active.key}`."
