"""What a person asks for and does, in the shapes of the API: behind its routes, and behind commands beside the ledger.

Everything is decided by the services. Nothing is added here but the words' form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from keyturn.console.api import telling
from keyturn.console.api.shapes import attempts, fleet, kits, looks, questions
from keyturn.domain.attempt import Terms
from keyturn.domain.credential import Credential
from keyturn.domain.gate import GateKind, Person
from keyturn.domain.health import Health
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import CONNECTOR
from keyturn.errors import KeyturnError, RefusedError
from keyturn.ports import PersonalVault, RunState
from keyturn.services import check, decide, start
from keyturn.services.check import Checking
from keyturn.services.fleet_files import Meant, of_folder
from keyturn.services.intake import Intake, Told
from keyturn.services.journey import journey
from keyturn.services.link import Linking
from keyturn.services.manifest_folder import Folder
from keyturn.services.manifests import sealed_of
from keyturn.services.reveal import reveal
from keyturn.services.rotation.asking import Rotating
from keyturn.services.sweep import Sweep
from keyturn.services.verify import Examination
from keyturn.wiring import Ports


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a person sits, at the console or at a command line beside the ledger.

    Attributes:
        who: is asked when it matters.
        vault: in that person's hands.
    """

    ports: Ports
    who: Callable[[], Person]
    vault: Callable[[], PersonalVault]

    # --- looking

    def plan(self, key_or_path: str, *, files: bool = False) -> kits.Plan:
        """The plan of an onboarding.

        Raises:
            ManifestError: there is no such manifest, or lint finds errors.
        """
        return telling.plan(self.ports, key_or_path, files=files)

    def rotation_plan(self, key: IntegrationKey, terms: Terms) -> kits.RotationPlan:
        """The plan of a rotation.

        Raises:
            RefusedError: it was never onboarded.
        """
        return telling.rotation_plan(self.ports, key, terms)

    def lines(self) -> list[fleet.Line]:
        """All integrations at a glance, sorted."""
        healths, now = self.ports.observatory.fleet(), self.ports.clock.now()
        members = self.ports.observatory.members()
        return [fleet.Line.of(member, healths.get(member.key, Health()), now) for member in members]

    def progress(self, key: IntegrationKey, *, ask_prefect: bool = False) -> attempts.Progress:
        """How far the newest attempt got."""
        now = journey(self.ports.ledger, key)
        run_id = now.attempt.flow_run_id if now.attempt and ask_prefect else None
        return attempts.Progress.of(now, run=self._run(run_id) if run_id else None)

    def gates(self, key: IntegrationKey | None = None) -> list[questions.Asked]:
        """The open gates, oldest first."""
        return [questions.Asked.of(gate) for gate in self.ports.ledger.gates(key=key)]

    def gate(self, gate_id: UUID) -> questions.Gate:
        """One gate with its kit.

        Raises:
            RefusedError: there is none with that id.
        """
        return telling.gate(self.ports, self.ports.ledger.gate(gate_id))

    def due(self) -> list[looks.Due]:
        """What a sweep would do now."""
        sweep = Sweep(self.ports.ledger, self.ports.runs, self.ports.outbox, self.ports.clock)
        return [looks.Due.of(entry) for entry in sweep.plan(self.ports.settings.rotation.at_once)]

    def verify(self, key: IntegrationKey) -> looks.Verdict:
        """Test a connection now."""
        ports = self.ports
        return looks.Verdict.of(Examination(ports.ledger, ports.secrets, ports.gong, ports.hub).examine_latest(key))

    def integrations(self) -> Sequence[IntegrationKey]:
        """All keys, sorted."""
        return self.ports.ledger.integrations()

    def manifests(self) -> list[Meant]:
        """What the manifests of the settings' folder are about.

        Raises:
            ConfigurationError: there is no such folder, or no manifest in it.
        """
        return of_folder(self.ports.settings.manifests)

    def check(
        self,
        keys: Iterable[IntegrationKey],
        on_done: Callable[[looks.Checked], None] = lambda _checked: None,
        at_once: int | None = None,
    ) -> list[looks.Checked]:
        """Look at integrations as the watch does, and keep it; `on_done` hears of each.

        Raises:
            RefusedError: one of them was never onboarded.
            KeyboardInterrupt: as `keyturn.services.many.each` raises it.
        """
        ports, wanted = self.ports, list(keys)
        if unknown := sorted({*wanted} - {*self.integrations()}):
            remedy = "See `keyturn status --all` for the integrations there are."
            raise RefusedError(str(unknown[0]), "was never onboarded", remedy)
        filed = Folder(ports.settings.manifests)
        checking = Checking(ports.ledger, ports.secrets, ports.gong, ports.hub, ports.observatory, ports.clock, filed)
        threads = at_once or ports.settings.watch.threads
        done: dict[IntegrationKey, looks.Checked] = {}

        def tell(one: check.Checked) -> None:
            done[one.key] = looks.Checked.of(one)
            on_done(done[one.key])

        checking.check_many(wanted, threads, tell)
        return [done[key] for key in wanted]

    # --- starting and ending

    def onboard(self, key_or_path: str, *, restart: bool = False, unless_done: bool = False) -> attempts.Onboarding:
        """Onboard, or go on with the active attempt; with `unless_done` not again what this manifest has come to.

        Raises:
            RefusedError: with `unless_done`, people have said no to this very manifest.
        """
        ports, person = self.ports, self.who()
        sealed = sealed_of(ports.settings.manifests, key_or_path, lambda: ports.hub.actions(CONNECTOR))
        if unless_done and start.is_done(ports.ledger, sealed):
            return attempts.Onboarding.already(journey(ports.ledger, sealed.key))
        started = start.start(ports.ledger, ports.runs, sealed, person, restart=restart)
        return attempts.Onboarding.begun(journey(ports.ledger, sealed.key), started, self._run_url(started))

    def rotate(self, key: IntegrationKey, terms: Terms) -> attempts.Rotation:
        """Begin a rotation, or go on with the one under way."""
        started = self._rotating.start(key, self.who(), terms)
        return attempts.Rotation.begun(started, self._run_url(started))

    def roll_back(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Have the older secret put back."""
        return attempts.Attempt.of(self._rotating.roll_back(key, self.who(), reason))

    def resume(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Let a halted rotation go on."""
        return attempts.Attempt.of(self._rotating.resume(key, self.who(), reason))

    def lost(self, key: IntegrationKey, reason: str) -> attempts.Attempt:
        """Say that the new secret was lost before it was handed in."""
        return attempts.Attempt.of(self._rotating.lost(key, self.who(), reason))

    def abandon(self, key: IntegrationKey, reason: str, *, only_rotation: bool = False) -> attempts.Attempt:
        """End the active attempt, or refuse if it is to be a rotation and is none."""
        if only_rotation:
            return attempts.Attempt.of(self._rotating.abandon(key, self.who(), reason))
        return attempts.Attempt.of(start.abandon(self.ports.ledger, self.ports.runs, self.who(), key, reason))

    # --- answering

    def approve(self, key: IntegrationKey, digest: str, note: str, gate: UUID | None = None) -> questions.Decided:
        """Say yes to what was seen."""
        ports = self.ports
        done = decide.approve(ports.ledger, ports.runs, self.who(), key, digest, note, gate_id=gate)
        return questions.Decided.after(done)

    def reject(self, key: IntegrationKey, reason: str, gate: UUID | None = None) -> questions.Decided:
        """Say no; the attempt ends."""
        ports = self.ports
        return questions.Decided.after(decide.reject(ports.ledger, ports.runs, self.who(), key, reason, gate))

    def require_asked(self, key: IntegrationKey) -> None:
        """Refuse before anybody has typed a secret in vain.

        Raises:
            GateClosedError: nobody asks for a pair now.
            NotPermittedError: this person may not hand it in.
        """
        intake = self._intake()
        intake.check_asked(key, intake.vault.whoami())

    def submit(
        self, key: IntegrationKey, credential: Credential, told: Told, gate: UUID | None = None
    ) -> questions.Taken:
        """Hand a pair in."""
        return questions.Taken.of(self._intake().submit(key, credential, told, gate))

    def submit_wrapped(self, key: IntegrationKey, token: str, told: Told, gate: UUID | None = None) -> questions.Taken:
        """Hand in what a wrapping token opens."""
        return questions.Taken.of(self._intake().submit_wrapped(key, token, told, gate))

    def reveal(self, key: IntegrationKey, gate: UUID | None = None) -> questions.Revealed:
        """Wrap the stored pair for StackOne's form."""
        wrapped = reveal(self.ports.ledger, self.vault(), key, gate)
        asked = [g for g in self.ports.ledger.gates(key=key) if g.kind is GateKind.STACKONE_FORM]
        form = telling.stackone_form(self.ports, asked)
        return questions.Revealed(token=wrapped.token, ttl_s=wrapped.ttl_s, form=form)

    def link(self, key: IntegrationKey, gate: UUID | None = None) -> questions.AuthLink:
        """Make a fresh auth link."""
        ports, person = self.ports, self.who()
        linking = Linking(ports.ledger, ports.hub, ports.clock)
        made = linking.fresh_link(person, key, ports.settings.stackone.link_expires_s, gate)
        return questions.AuthLink(url=made.url, expires_at=made.expires_at)

    @property
    def _rotating(self) -> Rotating:
        return Rotating(self.ports.ledger, self.ports.runs, self.ports.clock)

    def _intake(self) -> Intake:
        ports = self.ports
        return Intake(ports.ledger, self.vault(), ports.gong, ports.runs, ports.clock)

    def _run(self, run_id: UUID) -> RunState | None:
        with suppress(KeyturnError):  # where an integration stands is known without Prefect
            return self.ports.runs.state(run_id)
        return None

    def _run_url(self, started: start.Started) -> str:
        run = started.attempt.flow_run_id
        return self.ports.runs.url(run) if run else ""
