"""What can happen to a rotation, as rules from which hypothesis makes its examples."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from keyturn.domain.attempt import Terms
from keyturn.domain.gate import GateKind, Person
from keyturn.services.intake import Told
from tests.fakes.crashing import When
from tests.services.rotation.machine_people import People
from tests.services.rotation.machine_run import Process
from tests.services.rotation.machine_truth import Truth
from tests.services.rotation.machine_world import ALICE, BOB, GRACE, OLGA, PEOPLE, World

EFFECTS = (
    "ledger.begin_execution",
    "ledger.exclusive",
    "ledger.deciding",
    "ledger.finish",
    "ledger.halt",
    "ledger.hold",
    "ledger.bind_run",
    "ledger.restarted",
    "ledger.open_rotation",
    "ledger.wish",
    "ledger.unhalt",
    "ledger.manifest",
    "ledger.receipts",
    "secrets.pointer",
    "secrets.write_pointer",
    "secrets.read",
    "hub.profiles",
    "hub.account",
    "hub.list_users",
    "hub.session",
    "hub.create_session",
    "writers.choose",
    "writer.update",
    "outbox.tell",
    "runs.start",
    "runs.resume",
    "runs.state",
)
_JUMPS = (
    timedelta(minutes=5),
    timedelta(hours=3),
    timedelta(days=1, hours=3),
    timedelta(days=4),
    timedelta(days=7, hours=1),
    timedelta(days=21),
)
_DIE = ("crash", "lose", "outage", "overtaken", "frozen")


class Events(RuleBasedStateMachine):
    """One integration, and everything that happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[Process] = []

    @initialize(
        by_hand=st.booleans(),
        tells=st.sampled_from((True, True, True, False)),
        rounds=st.sampled_from((0, 1, 1, 2, 2, 3, 3, 5)),
        asked=st.booleans(),
    )
    def onboarded(self, *, by_hand: bool, tells: bool, rounds: int, asked: bool) -> None:
        """StackOne can be written by API or not, Gong tells a wrong pair or not, and a rotation is somewhere."""
        self.world = World(by_hand=by_hand, tells=tells)
        self.people, self.truth = People(self.world), Truth(self.world)
        self.people.start(ALICE, Terms())
        self._helped(rounds, asked=asked)

    # --- the machine's own doing

    @rule(
        times=st.integers(1, 2), what=st.sampled_from(_DIE), call=st.sampled_from(EFFECTS), when=st.sampled_from(When)
    )
    def trouble(self, times: int, what: str, call: str, when: When) -> None:
        """While everybody does what is asked something dies, gets lost, or is overtaken."""
        self._plan(what, call, when)
        self._helped(times)
        self.world.troubles.clear()

    @precondition(lambda self: self.people.waiting())
    @rule(steps=st.integers(1, 8))
    def run_a_little(self, steps: int) -> None:
        """A process stands still after a few steps; it goes on later, perhaps too late."""
        for process in self.people.taken_up():
            if all(process.step() for _ in range(steps)):
                self.left.append(process)

    @precondition(lambda self: self.left)
    @rule(which=st.integers(0, 3), steps=st.integers(1, 8))
    def go_on(self, which: int, steps: int) -> None:
        """One of them goes on, whatever others have done meanwhile."""
        process = self.left[which % len(self.left)]
        if not all(process.step() for _ in range(steps)):
            self.left.remove(process)

    @rule(jump=st.sampled_from(_JUMPS), busy=st.booleans())
    def time_passes(self, jump: timedelta, *, busy: bool) -> None:
        """Minutes or weeks, with customers calling or not."""
        self.world.pass_time(jump, busy=busy)

    # --- what people do as they are asked

    @rule(times=st.integers(0, 2), asked=st.booleans())
    def everybody_helps(self, times: int, *, asked: bool) -> None:
        """The rotation makes progress, as on most days; with `asked`, up to the next question."""
        self._helped(times, asked=asked)

    @precondition(lambda self: self.people.attempt() is None)
    @rule(who=st.sampled_from((ALICE, BOB, OLGA)), terms=st.sampled_from((Terms(), Terms(), Terms(compromised=True))))
    def start(self, who: Person, terms: Terms) -> None:
        """Somebody starts a rotation, or tries to."""
        self.people.start(who, terms)

    @precondition(lambda self: self.people.gate(GateKind.APPROVE))
    @rule(who=st.sampled_from(PEOPLE), digest=st.sampled_from(("seen", "seen", "seen", "other")), yes=st.booleans())
    def decide(self, who: Person, digest: str, *, yes: bool) -> None:
        """Somebody approves or rejects: the requester too, twice too, on another digest too."""
        seen = self.people.gate(GateKind.APPROVE).digest if digest == "seen" else "0" * 64
        self.people.decide(who, seen, approved=yes)

    @precondition(lambda self: self.people.gate(GateKind.PROOF))
    @rule()
    def link(self) -> None:
        """Gong's admin makes a link and consents."""
        self.people.link()

    @precondition(lambda self: self.people.gate(GateKind.STACKONE_FORM))
    @rule()
    def fill_in_form(self) -> None:
        """Somebody fills in StackOne's form as asked."""
        self.people.fill_in_form()

    # --- what people do otherwise

    @rule(grace_hours=st.sampled_from((168, 168, 26, 1, 0)))
    def click(self, grace_hours: int) -> None:
        """Somebody clicks in Gong: early, late, twice, or with another grace."""
        asked = self.people.gate(GateKind.GONG_ROTATION)
        since = [c for c in self.world.clipboard if asked and c.at >= asked.opened_at]
        wanted = asked is not None and not since and "refused_because" not in asked.question
        self.world.tampered |= not wanted
        self.world.click(grace_hours)

    @precondition(lambda self: self.people.gate(GateKind.GONG_ROTATION))
    @rule(
        which=st.sampled_from(("newest", "newest", "newest", "older", "in use", "wrong", "garbled", "other id")),
        tells=st.booleans(),
    )
    def hand_in(self, which: str, *, tells: bool) -> None:
        """Something is handed in as the new secret."""
        if which == "newest" and not self.world.clipboard:
            self.click(168)
        clicks, told = self.world.clipboard, Told()
        if which in ("newest", "older") and clicks:
            self.people.hand_in_click(clicks[-1 if which == "newest" else 0], tells=tells)
        elif which == "in use":
            self.people.hand_in(self.world.secret(self.world.pointer.current), told)
        elif which == "garbled" and clicks:
            self.people.hand_in(f" {clicks[-1].secret}\n", told)
        elif which == "other id" and clicks:
            self.people.hand_in(clicks[-1].secret, told, client_id="client-of-globex")
        else:
            self.people.hand_in("not-a-secret-of-gong-at-all", told)

    @precondition(lambda self: self.people.gate(GateKind.GONG_ROTATION))
    @rule(forgets=st.booleans())
    def lost(self, *, forgets: bool) -> None:
        """Gong's admin says that the new secret is lost; mostly it is."""
        if forgets:
            self.world.clipboard.clear()
        self.people.say(self.people.rotating.lost, GRACE)

    @precondition(lambda self: self.people.moves())
    @rule(who=st.sampled_from((OLGA, OLGA, BOB)))
    def roll_back(self, who: Person) -> None:
        """Somebody wants the older secret back."""
        self.people.say(self.people.rotating.roll_back, who)

    @precondition(lambda self: self.people.attempt() and not self.people.moves())
    @rule()
    def resume(self) -> None:
        """An operator lets a halted rotation go on."""
        self.people.say(self.people.rotating.resume, OLGA)

    @precondition(lambda self: self.people.attempt())
    @rule(again=st.sampled_from((True, True, False)))
    def abandon(self, *, again: bool) -> None:
        """An operator gives up, and mostly somebody begins anew."""
        self.people.say(self.people.rotating.abandon, OLGA)
        if again:
            self.people.start(ALICE, Terms())

    @rule(how=st.sampled_from(("reset", "current", "oldest", "oldest", "garbage")))
    def tamper(self, how: str) -> None:
        """Somebody resets the secret in Gong, which kills every other at once, or changes the profile, unasked."""
        world = self.world
        world.tampered = True
        if how == "reset":
            world.click(0)
            return
        # Whatever is put in while a person is asked to put something in counts as done: StackOne never shows a secret.
        world.misled |= self.people.gate(GateKind.STACKONE_FORM) is not None
        secret = {"current": world.held(), "oldest": world.gong.values[0], "garbage": "put-in-by-hand"}[how]
        world.clock.move(seconds=1)
        world.stackone.edit_profile(world.profile_id, world.pair(secret))

    def _helped(self, times: int, *, asked: bool = False) -> None:
        for _ in range(times):
            self._moved()
            self.people.cooperate()
        if asked:
            self._moved()

    def _moved(self) -> None:
        self.people.watch()
        for process in self.people.taken_up():
            process.finish()

    def _plan(self, what: str, call: str, when: When) -> None:
        troubles = self.world.troubles
        match what:
            case "crash":
                troubles.crash(call, when)
            case "lose":
                troubles.lose(call, when)
            case "outage":
                for _ in range(8):
                    troubles.lose(call, when)
            case "overtaken":
                troubles.meanwhile(call, when, self._overtake)
            case _:
                troubles.meanwhile(call, when, self._freeze)

    def _overtake(self) -> None:
        """Another execution of the attempt begins and goes on as far as it can."""
        attempt = self.people.attempt()
        if attempt is not None and attempt.moves:
            Process(self.world, self.world.runs.start(attempt)).finish()

    def _freeze(self) -> None:
        """The process stands still until PostgreSQL takes the attempt from it, and another one goes on."""
        self.world.rows.cut()
        self._overtake()
