"""A Prefect run without Prefect: what a run of `flows.onboarding.onboard` does, up to where that suspends."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from keyturn.domain.attempt import STAGES, Attempt, Execution, Receipt, Stage
from keyturn.domain.credential import Pointer
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.verdict import Verdict
from keyturn.errors import KeyturnError
from keyturn.ports import AuditEntry, RunState
from keyturn.services import asking, execution, register
from keyturn.services.link import Linking
from keyturn.services.provision import Provisioning
from keyturn.services.store import Safekeeping
from keyturn.services.verify import Examination
from keyturn.services.watch import Tick, Watch
from keyturn.wiring import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.runs import FakeRuns

Outcome = Receipt | Gate | Verdict


@dataclass(kw_only=True)
class Played:
    """The runs of one integration, and what can be seen of them.

    Attributes:
        heard: everything that was ever said in an error.
        last: the execution that began last.
    """

    ports: Ports
    runs: FakeRuns
    clock: FakeClock
    key: IntegrationKey
    heard: list[str] = field(default_factory=list)
    last: Execution = field(init=False)
    _at: Stage = STAGES[0]

    @property
    def safekeeping(self) -> Safekeeping:
        """Stages `fetch_secret` and `store_secret`."""
        return Safekeeping(self.ports.ledger, self.ports.secrets, self.ports.gong)

    @property
    def provisioning(self) -> Provisioning:
        """Stage `create_profile`."""
        ports = self.ports
        return Provisioning(ports.ledger, ports.secrets, ports.hub, ports.writers, self.clock)

    @property
    def linking(self) -> Linking:
        """Stage `link_account`."""
        return Linking(self.ports.ledger, self.ports.hub, self.clock)

    @property
    def examination(self) -> Examination:
        """Stage `test_connection`."""
        return Examination(self.ports.ledger, self.ports.secrets, self.ports.gong, self.ports.hub)

    def begin(self, attempt: Attempt | None = None) -> Execution:
        """The run that carries the attempt begins, or goes on."""
        attempt = attempt or self.attempt
        self.last = execution.begin(self.ports.ledger, str(self.key), str(attempt.id), attempt.flow_run_id)
        return self.last

    def begin_from_prefect(self) -> Execution:
        """A run that was started from Prefect's own pages begins: it knows no attempt."""
        self.last = execution.begin(self.ports.ledger, str(self.key), None, uuid4())
        return self.last

    def stage(self, stage: Stage, run: Execution) -> Outcome:
        """One stage, once."""
        ledger = self.ports.ledger
        does: dict[Stage, Callable[[], Outcome]] = {
            Stage.REGISTER: lambda: register.register(ledger, run),
            Stage.APPROVE: lambda: asking.ask_approval(ledger, self.clock, run),
            Stage.GONG_ADMIN: lambda: asking.ask_gong_admin(ledger, self.clock, run),
            Stage.FETCH_SECRET: lambda: self.safekeeping.fetch(run),
            Stage.STORE_SECRET: lambda: self.safekeeping.store(run),
            Stage.CREATE_PROFILE: lambda: self.provisioning.create(run),
            Stage.LINK_ACCOUNT: lambda: self.linking.link(run),
            Stage.TEST_CONNECTION: lambda: self.examination.test_connection(run)[0],
        }
        return does[stage]()

    def run(self, last: Stage = STAGES[-1]) -> Outcome:
        """The run goes from the top until it suspends at a gate, fails, or has done the last stage."""
        return self._played(STAGES[: STAGES.index(last) + 1], anew=True)

    def go_on(self, last: Stage = STAGES[-1]) -> Outcome:
        """The same, from where it stopped: like a run that polls instead of suspending, and sooner done."""
        return self._played(STAGES[STAGES.index(self._at) : STAGES.index(last) + 1], anew=False)

    def _played(self, stages: Sequence[Stage], *, anew: bool) -> Outcome:
        attempt, states = self.attempt, self.runs.states
        assert attempt.flow_run_id
        states[attempt.flow_run_id] = RunState.MOVING
        try:
            run = self.begin(attempt) if anew else self.last
            result = self._through(stages, run)
        except BaseException:
            states[attempt.flow_run_id] = RunState.ENDED
            raise
        states[attempt.flow_run_id] = RunState.SUSPENDED if isinstance(result, Gate) else RunState.ENDED
        return result

    def _through(self, stages: Sequence[Stage], run: Execution) -> Outcome:
        for self._at in stages:
            result = self.stage(self._at, run)
            if isinstance(result, Gate):
                return result
        return result

    def tick(self) -> Tick:
        """One round of the watch flow."""
        return Watch(self.ports.ledger, self.runs, self.ports.hub, self.clock).tick()

    # --- what can be seen

    @property
    def profile_name(self) -> str:
        """Name of the profile that the manifest asks for."""
        return f"Gong {self.key}"

    @property
    def attempt(self) -> Attempt:
        """The newest attempt."""
        return self.ports.ledger.attempts(self.key)[0]

    @property
    def pointer(self) -> Pointer:
        """What Vault says is in use."""
        return self.ports.secrets.pointer(self.key)

    @property
    def stages(self) -> list[Stage]:
        """The stages that have a receipt."""
        return [receipt.stage for receipt in self.ports.ledger.receipts(self.attempt.id)]

    @property
    def trail(self) -> list[AuditEntry]:
        """The audit trail."""
        return list(self.ports.ledger.trail(self.key))

    @property
    def events(self) -> list[str]:
        """What the audit trail tells of."""
        return [entry.event for entry in self.trail]

    @property
    def run_id(self) -> UUID:
        """The run that carries the attempt."""
        run = self.attempt.flow_run_id
        assert run
        return run

    @property
    def run_state(self) -> RunState:
        """What Prefect says of that run."""
        return self.runs.state(self.run_id)

    def run_is(self, state: RunState) -> None:
        """Have Prefect say so."""
        self.runs.states[self.run_id] = state

    def receipt(self, stage: Stage) -> Receipt:
        """The receipt of a stage."""
        return next(r for r in self.ports.ledger.receipts(self.attempt.id) if r.stage is stage)

    def gate(self, kind: GateKind) -> Gate:
        """The open gate of that kind."""
        return next(gate for gate in self.ports.ledger.gates(key=self.key) if gate.kind is kind)

    def gates(self, kind: GateKind) -> list[Gate]:
        """All gates of that kind there ever were."""
        return [gate for gate in self.ports.ledger.gates(key=self.key, only_open=False) if gate.kind is kind]

    def owed(self) -> list[Gate]:
        """The decisions that Prefect has not been told of."""
        return [gate for gate in self.ports.ledger.owed_resumes() if gate.key == self.key]

    @contextmanager
    def refused(self, kind: type[KeyturnError], match: str = "") -> Iterator[pytest.ExceptionInfo[KeyturnError]]:
        """Expect an error, and keep every word of it for the search at the end."""
        with pytest.raises(kind, match=match or None) as told:
            yield told
        self.heard += traceback.format_exception(told.value)
        self.heard += [repr(told.value), repr(told.value.args)]
