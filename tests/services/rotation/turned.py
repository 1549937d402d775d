"""A rotation on real servers: what a run of `flows.rotation.rotate` does until that suspends, and who acts then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from keyturn.domain.attempt import Attempt, AttemptKind, Execution, Halt, Receipt, Stage, Terms
from keyturn.domain.credential import Credential, CredentialRef, ProbeOutcome
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.rotation import RotationState
from keyturn.errors import KeyturnError, RollBackWantedError
from keyturn.ports import RunState
from keyturn.sandbox.people import Pair
from keyturn.services import execution
from keyturn.services.intake import Submitted, Told
from keyturn.services.journey import journey
from keyturn.services.rotation import approval, orphan
from keyturn.services.rotation.applying import Applying
from keyturn.services.rotation.asking import Rotating
from keyturn.services.rotation.preflight import Preflight
from keyturn.services.rotation.promoting import Promoting
from keyturn.services.rotation.proof import Proving
from keyturn.services.rotation.staging import Staging
from keyturn.services.rotation.turn import Turning
from tests.services.world import World

Step = Callable[[Execution], Receipt | Gate]


@dataclass
class Turned:
    """One integration that was onboarded, and the rotation of its secret.

    Attributes:
        pair: what is in use before the rotation.
    """

    world: World
    pair: Pair

    @property
    def asking(self) -> Rotating:
        """Where people say what they want."""
        return Rotating(self.world.ports.ledger, self.world.runs, self.world.clock)

    @property
    def attempt(self) -> Attempt:
        """The newest attempt."""
        return self.world.attempt

    @property
    def state(self) -> RotationState | None:
        """Where it stands, as `keyturn status` says."""
        return journey(self.world.ports.ledger, self.world.key).rotation

    def start(self, name: str = "alice", terms: Terms = Terms()) -> Attempt:  # noqa: B008  immutable
        """`keyturn rotate`."""
        person = self.world.person(name)
        return self.asking.start(self.world.key, replace(person, groups=person.groups | {"requester"}), terms).attempt

    def steps(self) -> dict[Stage, Step]:
        """What the flow does, in its order."""
        w, p = self.world, self.world.ports
        staging = Staging(p.ledger, p.secrets, p.gong)
        promoting = Promoting(p.ledger, p.secrets, p.gong, w.clock)
        ready = Preflight(p.ledger, p.secrets, p.gong, p.hub, p.writers, p.channels, p.outbox, w.clock)
        return {
            Stage.PREFLIGHT: ready.check,
            Stage.APPROVE: lambda run: approval.ask_approval(p.ledger, w.clock, run),
            Stage.GONG_ROTATION: Turning(p.ledger, p.secrets, w.clock).ask,
            Stage.STAGE_SECRET: staging.stage,
            Stage.PROBE_SECRET: staging.probe,
            Stage.APPLY: self.applying.apply,
            Stage.VERIFY: Proving(p.ledger, p.hub, w.clock).verify,
            Stage.PROMOTE: promoting.promote,
            Stage.RETIRE: promoting.retire,
        }

    @property
    def applying(self) -> Applying:
        """Stages `apply` and `roll_back`."""
        p = self.world.ports
        return Applying(p.ledger, p.secrets, p.gong, p.hub, p.writers, self.world.clock)

    def begin(self) -> Execution:
        """The run begins, or goes on."""
        run = self.attempt.flow_run_id
        assert run
        self.world.runs.states[run] = RunState.RUNNING
        ledger, key = self.world.ports.ledger, str(self.world.key)
        return execution.begin(ledger, key, str(self.attempt.id), run, AttemptKind.ROTATION)

    def run(self, last: Stage = Stage.RETIRE) -> Gate | None:
        """The run goes from the top until it waits, and says at which gate; `None` once the last stage is done."""
        run = self.begin()
        flow_run = self.attempt.flow_run_id
        assert flow_run
        try:
            gate = self._paged(run, last)
        except KeyturnError:
            self.world.runs.states[flow_run] = RunState.ENDED
            raise
        self.world.runs.states[flow_run] = RunState.SUSPENDED if gate else RunState.ENDED
        return gate

    def _paged(self, run: Execution, last: Stage) -> Gate | None:
        try:
            return self._turned(run, last)
        except RollBackWantedError:
            return self._rolled_back(run)
        except KeyturnError as error:
            orphan.orphan(self.world.ports.ledger, run, error.problem)
            raise

    def _rolled_back(self, run: Execution) -> Gate | None:
        try:
            result = self.applying.roll_back(run)
            if isinstance(result, Gate):
                return result
            orphan.rolled_back(self.world.ports.ledger, run)
        except KeyturnError as error:
            orphan.orphan(self.world.ports.ledger, run, error.problem)
            if self.attempt.halt is not Halt.ROLLED_BACK:
                raise
            self.world.heard.append(str(error))
        return None

    def _turned(self, run: Execution, last: Stage) -> Gate | None:
        orphan.heed(self.world.ports.ledger, run)
        for stage, does in self.steps().items():
            result = does(run)
            if isinstance(result, Gate):
                return result
            if stage is last:
                break
        if last is Stage.RETIRE:
            Promoting(
                self.world.ports.ledger, self.world.ports.secrets, self.world.ports.gong, self.world.clock
            ).conclude(run)
        return None

    def pass_time(self, **duration: float) -> None:
        """Time goes by, here and at both vendors."""
        self.world.clock.move(**duration)
        self.world.twins.advance(timedelta(**duration).total_seconds())

    def click(self, grace_hours: int = 168) -> Pair:
        """Grace presses *Rotate secret* in Gong."""
        pair = self.world.twins.gong_admin.rotate_secret(self.pair.integration, grace_hours)
        self.world.secrets.append(pair.client_secret)
        return pair

    def submit(self, pair: Pair, told: Told = Told(), name: str = "grace") -> Submitted:  # noqa: B008  immutable
        """`keyturn submit`."""
        credential = Credential(pair.client_id, pair.client_secret)
        return self.world.intake(name).submit(self.world.key, credential, told)

    def abandon(self) -> None:
        """`keyturn rotate abandon`."""
        self.asking.abandon(self.world.key, self.world.person("alice"), "not now")

    # --- what can be seen

    def works(self, pair: Pair) -> bool:
        """Whether Gong takes a pair."""
        probe = self.world.ports.gong.probe(Credential(pair.client_id, pair.client_secret))
        return probe.outcome is ProbeOutcome.VALID

    def secret_of(self, ref: CredentialRef | None) -> str:
        """The secret that a pointer's reference leads to."""
        assert ref
        return self.world.ports.secrets.read(ref).reveal()

    @property
    def account(self) -> str:
        """The customer's account: the one that was linked first."""
        return str(self.world.twins.accounts()[0]["id"])

    def woken(self) -> bool:
        """One round of the watch; whether it woke this rotation's run."""
        mine = {gate.id for gate in self.world.ports.ledger.gates(key=self.world.key, only_open=False)}
        return not mine.isdisjoint(self.world.tick().woken)

    # --- shortcuts

    def at(self, kind: GateKind) -> Gate:
        """Run, and be at a gate of that kind."""
        gate = self.run()
        assert gate
        assert gate.kind is kind
        return gate

    def stackone_is(self, **options: object) -> None:
        """Turn switches of StackOne's twin."""
        self.world.twins.options(self.world.twins.stackone, **options)

    def to_click(self, terms: Terms = Terms()) -> Gate:  # noqa: B008  immutable
        """Up to the question for the click."""
        self.start(terms=terms)
        gate = self.run()
        if not terms.compromised:
            self.world.approve()
            gate = self.run()
        assert gate
        return gate

    def handed_in(self, grace_hours: int = 168) -> Pair:
        """Up to a new secret handed in."""
        self.to_click()
        pair = self.click(grace_hours)
        self.submit(pair)
        return pair

    def to_proof(self) -> Pair:
        """Up to the new secret in the profile, and not proven."""
        pair = self.handed_in()
        gate = self.run()
        assert gate, self.state
        return pair
