"""One integration's story: what people did, and what a run did then, stage by stage, up to where it waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

from keyturn.domain.attempt import Attempt, AttemptKind, AttemptState, Execution, Halt, Stage, Terms, stages_of
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Gate, GateKind, Person
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import RollBackWantedError, StageFailedError
from keyturn.ports import Ledger
from keyturn.sandbox.fleet_past import NoChannels, NoPrefect, Past
from keyturn.services import asking, decide
from keyturn.services.intake import Intake
from keyturn.services.link import Linking
from keyturn.services.provision import Provisioning
from keyturn.services.register import register
from keyturn.services.rotation import approval
from keyturn.services.rotation.applying import Applying
from keyturn.services.rotation.orphan import rolled_back
from keyturn.services.rotation.preflight import Preflight
from keyturn.services.rotation.promoting import Promoting
from keyturn.services.rotation.proof import Proving
from keyturn.services.rotation.staging import Staging
from keyturn.services.rotation.turn import Turning
from keyturn.services.store import Safekeeping
from keyturn.services.verify import Examination

Does = Callable[[Execution], object]
_LINK_S = 1800
_NO_RUNS = NoPrefect()


@dataclass(slots=True)
class Story:
    """What people do to one integration at the moment where the past stands.

    Attributes:
        sealed: its manifest.
        client_id: of its integration in Gong, once there is one.
        account: that was linked last.
        stops_before: a stage that its run never comes to.
    """

    past: Past
    sealed: SealedManifest
    client_id: str = ""
    account: str = ""
    stops_before: Stage | None = None
    _stages: Sequence[tuple[Stage | None, Does]] = ()
    _done: int = 0

    @property
    def key(self) -> IntegrationKey:
        """The integration."""
        return self.sealed.key

    @property
    def attempt(self) -> Attempt:
        """Its newest attempt."""
        return self._ledger.attempts(self.key)[0]

    # --- people

    def onboard(self) -> None:
        """Alice starts an onboarding; it waits for approval."""
        self._ledger.open_attempt(self.sealed, self._person("alice"))
        self._begin(AttemptKind.ONBOARDING, self._onboarding())

    def rotate(self) -> None:
        """Alice starts a rotation; it waits for approval."""
        self._ledger.open_rotation(self.sealed, self._person("alice"), Terms())
        self._begin(AttemptKind.ROTATION, self._rotation())

    def approve(self, name: str = "bob", note: str = "") -> None:
        """Somebody approves what is asked now."""
        gate = self._gate(GateKind.APPROVE)
        self._answered(decide.approve(self._ledger, _NO_RUNS, self._person(name), self.key, gate.digest, note).gate)

    def reject(self, reason: str, name: str = "bob") -> None:
        """Somebody says no at what is asked now."""
        self._answered(decide.reject(self._ledger, _NO_RUNS, self._person(name), self.key, reason).gate)

    def hand_in_new(self) -> None:
        """Grace creates the integration in Gong, and hands its pair in."""
        pair = self.past.vendors.gong.create_integration(self.sealed)
        self.client_id = pair.client_id
        self._hand_in(pair)

    def click(self) -> None:
        """Grace rotates the secret in Gong, and hands the new one in."""
        hours = int(str(self._gate(GateKind.GONG_ROTATION).question["grace_hours"]))
        self._hand_in(self.past.vendors.gong.rotate(self.client_id, hours))

    def consent(self) -> None:
        """Grace makes an auth link, follows it, and says yes at Gong."""
        stackone = self.past.vendors.stackone
        link = Linking(self._ledger, stackone, self.past.clock).fresh_link(self._person("grace"), self.key, _LINK_S)
        self.account = stackone.consent(link.session_id)
        self.go_on()

    def abandon(self, reason: str) -> None:
        """Alice gives it up."""
        self._ledger.abandon(self.attempt.id, self._person("alice"), reason)

    # --- the run

    def go_on(self) -> None:
        """The run is woken, and goes on until it waits, ends, or is halted."""
        attempt = self.attempt
        if attempt.state is not AttemptState.ACTIVE or attempt.halt is not Halt.NONE:
            return
        run = self._ledger.begin_execution(attempt.id, None)
        try:
            self._through(run)
        except RollBackWantedError:
            self._roll_back(run)
        except StageFailedError:
            return  # it has ended or halted, and the ledger says why

    def _begin(self, kind: AttemptKind, does: Sequence[Does]) -> None:
        self._stages, self._done = list(zip_longest(stages_of(kind), does)), 0
        self.go_on()

    def _through(self, run: Execution) -> None:
        for stage, does in self._stages[self._done :]:
            if stage is self.stops_before is not None or isinstance(does(run), Gate):
                return
            self._done += 1

    def _roll_back(self, run: Execution) -> None:
        self._applying.roll_back(run)
        with suppress(StageFailedError):
            rolled_back(self._ledger, run)

    def _onboarding(self) -> Sequence[Does]:
        past, ledger, clock = self.past, self._ledger, self.past.clock
        gong, stackone = past.vendors.gong, past.vendors.stackone
        safe = Safekeeping(ledger, past.secrets, gong)
        return (
            lambda run: register(ledger, run),
            lambda run: asking.ask_approval(ledger, clock, run),
            lambda run: asking.ask_gong_admin(ledger, clock, run),
            safe.fetch,
            safe.store,
            Provisioning(ledger, past.secrets, stackone, stackone, clock).create,
            Linking(ledger, stackone, clock).link,
            Examination(ledger, past.secrets, gong, stackone).test_connection,
        )

    def _rotation(self) -> Sequence[Does]:
        past, ledger, clock = self.past, self._ledger, self.past.clock
        gong, stackone = past.vendors.gong, past.vendors.stackone
        outside = (past.secrets, gong, stackone, stackone)
        staging = Staging(ledger, past.secrets, gong)
        promoting = Promoting(ledger, past.secrets, gong, clock)
        return (
            Preflight(ledger, *outside, NoChannels(), past.ports.outbox, clock).check,
            lambda run: approval.ask_approval(ledger, clock, run),
            Turning(ledger, past.secrets, clock).ask,
            staging.stage,
            staging.probe,
            self._applying.apply,
            Proving(ledger, stackone, clock).verify,
            promoting.promote,
            promoting.retire,
            promoting.conclude,
        )

    @property
    def _applying(self) -> Applying:
        past, stackone = self.past, self.past.vendors.stackone
        return Applying(self._ledger, past.secrets, past.vendors.gong, stackone, stackone, past.clock)

    # --- in between

    @property
    def _ledger(self) -> Ledger:
        return self.past.ports.ledger

    def _person(self, name: str) -> Person:
        return self.past.people[name]

    def _gate(self, kind: GateKind) -> Gate:
        return next(gate for gate in self._ledger.gates(key=self.key) if gate.kind is kind)

    def _hand_in(self, pair: Credential) -> None:
        past = self.past
        intake = Intake(self._ledger, past.vault("grace"), past.vendors.gong, _NO_RUNS, past.clock)
        self._answered(intake.submit(self.key, pair).gate)

    def _answered(self, gate: Gate) -> None:
        """Once a question is settled, the run goes on; nothing is owed to Prefect, which was never told."""
        if gate.decided_at is not None:
            self._ledger.resumed(gate.id)
            self.go_on()
