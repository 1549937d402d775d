"""Everybody who has a hand in a rotation: who starts, approves, clicks, hands in, links, and who looks after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from keyturn.domain.attempt import Attempt, Terms
from keyturn.domain.credential import Credential
from keyturn.domain.gate import Gate, GateKind, Person
from keyturn.errors import KeyturnError
from keyturn.ports import RunState
from keyturn.services import alarms, decide
from keyturn.services.intake import Intake, Told
from keyturn.services.link import Linking
from keyturn.services.lost_runs import LostRuns
from keyturn.services.reveal import reveal
from keyturn.services.rotation.asking import Rotating
from keyturn.services.watch import Watch
from tests.fakes.crashing import Crash
from tests.services.rotation.machine_run import Process
from tests.services.rotation.machine_world import ALICE, CAROL, GRACE, KEY, OLGA, Click, World

_HOUR = timedelta(hours=1)


class People:
    """What anybody does, and that a no is an answer. Whatever else is raised is a fault."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._ports: dict[str, Any] = world.ports(world.ledger)
        p = self._ports
        self.rotating = Rotating(p["ledger"], p["runs"], world.clock)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Take a refusal or a failure as it is told, and one's own death as it comes."""
        try:
            yield
        except KeyturnError as error:
            self.world.heard.append(str(error))
        except Crash:
            pass

    def attempt(self) -> Attempt | None:
        """The active attempt."""
        return next(iter(self.world.ledger.active()), None)

    def last(self) -> Attempt:
        """The newest attempt."""
        return self.world.ledger.attempts(KEY)[0]

    def moves(self) -> bool:
        """Whether there is an attempt that should move."""
        attempt = self.attempt()
        return attempt is not None and attempt.moves

    def waiting(self) -> bool:
        """Whether a run waits for a worker."""
        return RunState.MOVING in self.world.runs.states.values()

    def gate(self, *kinds: GateKind) -> Gate | None:
        """The oldest open gate of these kinds."""
        return next((g for g in self.world.ledger.gates(key=KEY) if g.kind in kinds), None)

    # --- in keyturn

    def start(self, who: Person, terms: Terms) -> None:
        """`keyturn rotate`."""
        with self.heard():
            self.rotating.start(KEY, who, terms)

    def decide(self, who: Person, digest: str, *, approved: bool = True) -> None:
        """`keyturn approve` and `reject`."""
        p = self._ports
        with self.heard():
            if approved:
                decide.approve(p["ledger"], p["runs"], who, KEY, digest, "")
            else:
                decide.reject(p["ledger"], p["runs"], who, KEY, "no")

    def say(self, what: Callable[..., object], who: Person) -> None:
        """`keyturn rotate rollback`, `resume`, `abandon` and `lost`."""
        with self.heard():
            what(KEY, who, "because")

    def hand_in(self, secret: str, told: Told, client_id: str = "") -> None:
        """`keyturn submit`."""
        world, p = self.world, self._ports
        world.given.append(secret)
        intake = Intake(p["ledger"], world.vault_of(GRACE), p["gong"], p["runs"], world.clock)
        with self.heard():
            intake.submit(KEY, Credential(client_id or world.gong.client_id, secret), told)

    def hand_in_click(self, click: Click, *, tells: bool) -> None:
        """Hand in what a click gave, and say when it was, or let keyturn believe that it was just now and as asked."""
        gate, now = self.gate(GateKind.GONG_ROTATION), self.world.clock.now()
        if gate is not None and not tells:
            late = click.at < max(gate.opened_at, now - _HOUR)
            self.world.tampered |= late or click.grace_hours != gate.question["grace_hours"]
        self.hand_in(click.secret, Told(click.at, click.grace_hours) if tells else Told())

    def link(self) -> None:
        """`keyturn link`, and the consent."""
        p = self._ports
        with self.heard():
            made = Linking(p["ledger"], p["hub"], self.world.clock).fresh_link(GRACE, KEY, 1800)
            self.world.stackone.consent(made.session_id)

    def fill_in_form(self) -> None:
        """`keyturn reveal`, and StackOne's form."""
        world = self.world
        with self.heard():
            token = reveal(self._ports["ledger"], world.vault_of(GRACE), KEY).token
            world.stackone.edit_profile(world.profile_id, world.vault_of(GRACE).unwrap(token))

    # --- what nobody is there for

    def watch(self) -> None:
        """One round of the watch."""
        p, clock = self._ports, self.world.clock
        parts: tuple[Callable[[], object], ...] = (
            lambda: Watch(p["ledger"], p["runs"], p["hub"], clock).tick(),
            lambda: LostRuns(p["ledger"], p["runs"], p["outbox"], clock).find(),
            lambda: alarms.remind(p["ledger"], p["outbox"], clock),
            lambda: alarms.alarm(p["ledger"], p["outbox"], clock),
        )
        for part in parts:
            with self.heard():
                part()

    def taken_up(self) -> list[Process]:
        """A worker takes up the runs that wait for one."""
        moving = [run for run, state in self.world.runs.states.items() if state is RunState.MOVING]
        return [Process(self.world, run) for run in moving]

    # --- everybody does what is asked

    def cooperate(self) -> None:
        """Do what the open gate asks for."""
        gate = self.gate(*GateKind)
        if gate is None:
            return
        match gate.kind:
            case GateKind.APPROVE:
                self.decide(CAROL, gate.digest)
            case GateKind.GONG_ROTATION:
                self._turn(gate)
            case GateKind.STACKONE_FORM:
                self.fill_in_form()
            case GateKind.PROOF:
                self.link()
            case _:
                self.world.pass_time(timedelta(days=1), busy=True)

    def _turn(self, gate: Gate) -> None:
        """Click, unless the click was made and only its secret is asked for; then hand it in."""
        known = [c for c in self.world.clipboard if self.world.works(c.secret) and c.at >= gate.opened_at]
        if "refused_because" in gate.question:
            known = [c for c in self.world.clipboard if self.world.works(c.secret)]
        if not known:
            self.world.click(int(str(gate.question["grace_hours"])))
        self.hand_in_click(self.world.clipboard[-1], tells=True)

    def bring_to_an_end(self, rounds: int = 60) -> None:
        """Let everybody do what is asked, and time pass, until the attempt has ended or is halted."""
        for _ in range(rounds):
            attempt = self.attempt()
            if attempt is None or not attempt.moves:
                return
            self.watch()
            for process in self.taken_up():
                process.finish()
            self.cooperate()
            self.world.pass_time(timedelta(hours=3), busy=True)

    def recover(self) -> None:
        """What an operator does about a rotation that is halted: go on, and if that does not help, begin another.

        The grace that may be running is waited for first, as the refusal says.
        """
        for _ in range(2):
            if self.attempt() is None:
                return
            self.say(self.rotating.resume, OLGA)
            self.bring_to_an_end()
        if self.attempt() is not None:
            self.say(self.rotating.abandon, OLGA)
            self.begin_anew()

    def begin_anew(self) -> None:
        """Another rotation, from its start to its end."""
        self.world.pass_time(timedelta(days=8), busy=False)
        self.start(ALICE, Terms())
        self.bring_to_an_end()

    def works_again(self) -> bool:
        """Whether the profile's secret works, at the latest after two more rotations.

        The first may take up a secret that was handed in and has died since, where Gong tells nothing of it.
        """
        for _ in range(2):
            if self.world.works(self.world.held()):
                return True
            if self.attempt() is not None:
                self.recover()
            else:
                self.begin_anew()
        return self.world.works(self.world.held())
