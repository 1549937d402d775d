"""The ledger in PostgreSQL and the one in memory behave alike, so that what is tried on the quick one holds."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from keyturn.domain.attempt import AttemptKind, AttemptState, Execution, Halt, Stage, Terms, Wish
from keyturn.domain.gate import Channel, Gate, GateKind, GateState, Person, Policy
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.trail import sha256_of
from keyturn.errors import (
    DigestChangedError,
    GateClosedError,
    KeyturnError,
    NotPermittedError,
    RefusedError,
    StageFailedError,
    SupersededError,
    UnavailableError,
)
from keyturn.ledger.engine import make_engine
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Deciding, Ledger, Work
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fakes.ledger_candidates import candidate
from tests.fakes.ledger_work import FakeDeciding, FakeWork

KEY = IntegrationKey("acme", "production")
TWO_WEEKS = timedelta(days=14)
ONE = Policy(1, ("approver",))
USUAL = Terms()


@pytest.fixture
def clock() -> FakeClock:
    """This test's time."""
    return FakeClock()


@pytest.fixture(params=["memory", "postgresql"])
def another(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Callable[[], Ledger]]:
    """Make another process's ledger on the same rows."""
    made: list[Ledger] = []
    first = FakeLedger(clock)
    url = "" if request.param == "memory" else request.getfixturevalue("url")

    def make() -> Ledger:
        made.append(PostgresLedger(make_engine(url), clock, 0.05) if url else FakeLedger(clock, first.rows))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ledger(another: Callable[[], Ledger]) -> Ledger:
    """The ledger."""
    return another()


def _sealed(tenant: str = "acme", note: str = "Calls", profile: str = "") -> SealedManifest:
    form = {
        "name": "StackOne",
        "description": note,
        "short_description": "Calls",
        "logo": "logo.png",
        "privacy_policy_url": "https://acme.example/privacy",
        "terms_url": "https://acme.example/terms",
        "help_url": "https://acme.example/help",
        "contact_emails": ["it@acme.example"],
        "domains": ["acme.example"],
    }
    stackone = {"profile_name": profile, "origin_owner": {"id": "acme-1", "name": "Acme"}}
    manifest = {"tenant": tenant, "environment": "production", "gong": form, "stackone": stackone}
    pictures = {"logo_sha256": "0" * 64, "logo_large": "", "logo_small": ""}
    return SealedManifest.model_validate({"manifest": manifest, "scopes": ["api:users:read"], **pictures})


def _person(name: str, *groups: str) -> Person:
    return Person(f"vault:entity/{name}", name, frozenset(groups), "vault token (userpass)")


ALICE, BOB = _person("alice"), _person("bob", "approver")


def _run(ledger: Ledger) -> Execution:
    """The first execution of an onboarding."""
    return ledger.begin_execution(ledger.open_attempt(_sealed(), ALICE).attempt.id, None)


def _turn(ledger: Ledger, terms: Terms = USUAL) -> Execution:
    """The first execution of a rotation after an onboarding."""
    ledger.finish(_run(ledger), AttemptState.COMPLETED, "")
    return ledger.begin_execution(ledger.open_rotation(_sealed(), BOB, terms).attempt.id, None)


def _ask(ledger: Ledger, run: Execution, clock: FakeClock, kind: GateKind, policy: Policy = ONE) -> Gate:
    with ledger.exclusive(run) as work:
        return work.open_gate(kind, policy, {"n": 1}, clock.now() + TWO_WEEKS)


def _say(ledger: Ledger, kind: GateKind, who: Person, digest: str, *, yes: bool = True, **answer: object) -> Gate:
    with ledger.deciding(KEY, kind) as at:
        return at.decide(who, approved=yes, digest=digest, note="so", answer=answer)


def _newest(ledger: Ledger, run: Execution, kind: GateKind) -> Gate:
    with ledger.exclusive(run) as work:
        gate = work.gate(kind)
    assert gate
    return gate


def _events(ledger: Ledger) -> list[tuple[str, str, dict[str, Any]]]:
    """The trail without what is different in every run."""
    told = []
    for entry in ledger.trail(KEY):
        detail = {k: v for k, v in entry.detail.items() if k != "gate"}
        told.append((entry.event, entry.actor, detail))
    return told


@pytest.mark.parametrize(("port", "fake"), [(Ledger, FakeLedger), (Work, FakeWork), (Deciding, FakeDeciding)])
def test_the_fake_has_the_whole_port(port: type, fake: type) -> None:
    """Every method of the port is there under the same parameters."""
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if not name.startswith("_"):
            mine = inspect.signature(getattr(fake, name)).parameters
            assert list(mine) == list(inspect.signature(method).parameters), name


def test_onboardings(ledger: Ledger) -> None:
    """Opening is once; a changed manifest takes over before a secret was handed in, and not afterwards."""
    first, second = ledger.open_attempt(_sealed(), ALICE), ledger.open_attempt(_sealed(), BOB)
    assert (first.created, first.changed, second.created, second.changed) == (True, False, False, False)
    assert second.attempt == first.attempt
    run = ledger.begin_execution(first.attempt.id, None)
    other = ledger.open_attempt(_sealed(note="other"), BOB)
    assert (other.created, other.changed, other.attempt.fence) == (False, True, run.fence + 1)
    assert (other.attempt.requester, other.attempt.digest) == (BOB.id, _sealed(note="other").digest)
    with pytest.raises(SupersededError, match="manifest has changed"), ledger.exclusive(run):
        pytest.fail("an execution for the old digest was let in")
    with ledger.exclusive(ledger.begin_execution(first.attempt.id, None)) as work:
        work.write_receipt(Stage.FETCH_SECRET, {})
    with pytest.raises(RefusedError, match="holds a secret"):
        ledger.open_attempt(_sealed(), ALICE)
    assert ledger.registered(KEY) == _sealed(note="other")


def test_changing_back_brings_nothing_back(ledger: Ledger, clock: FakeClock) -> None:
    """Receipts and answers for a manifest are gone when it comes back after another one."""
    run = _run(ledger)
    _ask(ledger, run, clock, GateKind.APPROVE)
    _say(ledger, GateKind.APPROVE, BOB, run.digest)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.APPROVE, {})
    ledger.open_attempt(_sealed(note="other"), ALICE)
    back = ledger.open_attempt(_sealed(), BOB).attempt
    assert (list(ledger.receipts(back.id)), list(ledger.owed_resumes())) == ([], [])
    assert [g.state for g in ledger.gates(only_open=False)] == [GateState.VOID]


def test_rotations_open_once(ledger: Ledger) -> None:
    """A rotation is opened once, with its terms, and neither kind of attempt starts while the other is active."""
    ledger.open_attempt(_sealed(), ALICE)
    with pytest.raises(RefusedError, match="an onboarding is under way"):
        ledger.open_rotation(_sealed(), BOB, USUAL)
    ledger.abandon(ledger.attempts(KEY)[0].id, ALICE, "no")
    first = ledger.open_rotation(_sealed(), BOB, Terms(compromised=True))
    second = ledger.open_rotation(_sealed(), ALICE, USUAL)
    assert (first.created, second.created, second.attempt) == (True, False, first.attempt)
    assert (first.attempt.kind, first.attempt.terms) == (AttemptKind.ROTATION, Terms(compromised=True))
    assert first.attempt.requester == BOB.id
    with pytest.raises(RefusedError, match="a rotation is under way"):
        ledger.open_attempt(_sealed(), ALICE)
    assert list(ledger.active()) == [first.attempt]
    assert [a.kind for a in ledger.attempts(KEY)] == [AttemptKind.ROTATION, AttemptKind.ONBOARDING]


def test_what_the_sweep_finds(ledger: Ledger) -> None:
    """The whole fleet read at once is as each integration read by itself, at every point of its life."""

    def is_as_one_by_one() -> bool:
        return list(ledger.candidates()) == [candidate(ledger, key) for key in ledger.integrations()]

    run = _run(ledger)
    ledger.open_attempt(_sealed("aaa"), None)
    assert is_as_one_by_one()
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.STORE_SECRET, {})
    ledger.finish(run, AttemptState.COMPLETED, "")
    assert is_as_one_by_one()
    turn = ledger.begin_execution(ledger.open_rotation(_sealed(), BOB, USUAL).attempt.id, None)
    with ledger.exclusive(turn) as work:
        work.write_receipt(Stage.PROMOTE, {})
        work.write_receipt(Stage.VERIFY, {})
    assert is_as_one_by_one()
    ledger.halt(turn, Halt.ORPHANED, "stuck")
    assert is_as_one_by_one()
    ledger.abandon(turn.attempt_id, ALICE, "no")
    assert is_as_one_by_one()
    assert [found.failed for found in ledger.candidates()] == [False, True]


def test_manifests(ledger: Ledger) -> None:
    """Manifests come back as they were; a profile's name belongs to one integration."""
    run = _run(ledger)
    assert ledger.manifest(run.digest) == _sealed()
    assert ledger.registered(IntegrationKey("nobody", "x")) is None
    with pytest.raises(RefusedError, match="never registered"):
        ledger.manifest("f" * 64)
    with pytest.raises(RefusedError, match="the profile of acme/production"):
        ledger.open_attempt(_sealed("globex", profile=_sealed().manifest.profile_name), ALICE)
    ledger.open_attempt(_sealed("aaa"), None)
    assert list(ledger.integrations()) == [IntegrationKey("aaa", "production"), KEY]


def test_numbers_fence(ledger: Ledger) -> None:
    """A newer number refuses the older execution everywhere; the run that carries the attempt is remembered."""
    old, carrier = _turn(ledger), uuid4()
    ledger.bind_run(old.attempt_id, carrier)
    new = ledger.begin_execution(old.attempt_id, None)
    assert (new.fence, ledger.attempt(old.attempt_id).flow_run_id) == (old.fence + 1, carrier)
    calls: list[Callable[[], object]] = [
        lambda: ledger.exclusive(old).__enter__(),
        lambda: ledger.finish(old, AttemptState.COMPLETED, ""),
        lambda: ledger.halt(old, Halt.ORPHANED, ""),
    ]
    for call in calls:
        with pytest.raises(SupersededError, match=f"execution {new.fence} has taken over from {old.fence}"):
            call()


def test_restarts(ledger: Ledger, clock: FakeClock) -> None:
    """The watch's restarts are counted until a receipt shows progress; an execution says when it began."""
    run, carrier = _turn(ledger), uuid4()
    assert ledger.attempt(run.attempt_id).begun_at == clock.now()
    clock.move(minutes=1)
    for _ in range(2):
        ledger.restarted(run.attempt_id, carrier)
    again = ledger.attempt(run.attempt_id)
    assert (again.restarts, again.restarted_at, again.flow_run_id) == (2, clock.now(), carrier)
    assert _events(ledger)[-1][2] == {"flow_run_id": str(carrier), "times": 2}
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.PREFLIGHT, {})
        assert work.attempt.restarts == 0
    assert ledger.attempt(run.attempt_id).restarts == 0


def test_what_somebody_holds(ledger: Ledger, another: Callable[[], Ledger], clock: FakeClock) -> None:
    """While a step holds its attempt others can read and find it, and cannot change it."""
    run, other = _turn(ledger), another()
    gate = _ask(ledger, run, clock, GateKind.APPROVE)
    clock.move(days=15)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.PREFLIGHT, {})
        assert list(other.receipts(run.attempt_id)) == []
        assert not other.open_rotation(_sealed(), ALICE, USUAL).created
        assert list(other.rearm(clock.now())) == []
        other.resumed(gate.id)
        calls: list[Callable[[], object]] = [
            lambda: other.begin_execution(run.attempt_id, None),
            lambda: other.wish(run.attempt_id, BOB, Wish.ROLL_BACK, ""),
            lambda: other.abandon(run.attempt_id, BOB, ""),
            lambda: other.bind_run(run.attempt_id, uuid4()),
            lambda: other.deciding(KEY, GateKind.APPROVE).__enter__(),
            lambda: other.exclusive(run).__enter__(),
        ]
        for call in calls:
            with pytest.raises(UnavailableError, match="in the middle of a step"):
                call()
    assert other.begin_execution(run.attempt_id, None).fence == run.fence + 1
    assert [r.stage for r in other.receipts(run.attempt_id)] == [Stage.PREFLIGHT]


def test_all_or_nothing(ledger: Ledger, clock: FakeClock) -> None:
    """When a step fails nothing of it is kept, whatever it was."""
    run = _turn(ledger)
    gate = _ask(ledger, run, clock, GateKind.APPROVE)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.PREFLIGHT, {"n": 1})
    before = (ledger.attempt(run.attempt_id), list(ledger.receipts(run.attempt_id)), _events(ledger))
    with pytest.raises(StageFailedError), ledger.exclusive(run) as work:  # noqa: PT012  the block is the transaction
        work.rewind([Stage.PREFLIGHT, Stage.APPROVE], "no")
        work.write_receipt(Stage.APPLY, {})
        work.open_gate(GateKind.GRACE, ONE, {}, clock.now())
        work.change_terms(Terms(second=True))
        work.audit("x", {})
        raise StageFailedError("acme", "no")
    assert (ledger.attempt(run.attempt_id), list(ledger.receipts(run.attempt_id)), _events(ledger)) == before
    assert list(ledger.gates()) == [gate]
    ledger.begin_execution(run.attempt_id, None)


def test_one_gate(ledger: Ledger, clock: FakeClock) -> None:
    """A gate is found by its id, open or not, with what was decided there; an id that nobody gave out is refused."""
    run = _turn(ledger)
    gate = _ask(ledger, run, clock, GateKind.APPROVE)
    assert ledger.gate(gate.id) == gate
    decided = _say(ledger, GateKind.APPROVE, _person("dan", "approver"), run.digest)
    assert ledger.gate(gate.id) == decided
    assert [d.person_name for d in ledger.gate(gate.id).decisions] == ["dan"]
    with pytest.raises(RefusedError, match="does not exist"):
        ledger.gate(uuid4())


def test_receipts(ledger: Ledger, clock: FakeClock) -> None:
    """The first receipt stands, comes back as plain JSON, and they are listed in the order of the stages."""
    run = _turn(ledger)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.RETIRE, {})
        first = work.write_receipt(Stage.PREFLIGHT, {"kind": Stage.APPLY, "list": (1, None, "ü")})
        clock.move(hours=1)
        assert work.write_receipt(Stage.PREFLIGHT, {"n": 2}) == first
        assert work.receipt(Stage.PREFLIGHT) == first
        assert work.receipt(Stage.APPLY) is None
    assert first.body == {"kind": "apply", "list": [1, None, "ü"]}
    assert type(first.body["kind"]) is str
    assert [r.stage for r in ledger.receipts(run.attempt_id)] == [Stage.PREFLIGHT, Stage.RETIRE]
    assert list(ledger.receipts(uuid4())) == []


BODIES: list[dict[str, object]] = [
    {},
    {"kind": Stage.APPLY, "list": (1, None, "ü"), "b": {"z": True, "a": 0.25}},
    {"large": 1e16, "small": 1e-7, "none": -0.0, "tenth": 0.1, "whole": 3.0, "long": 10**30, "more": 1.5e300},
]


@pytest.mark.parametrize("body", BODIES)
def test_what_a_receipt_said_is_in_the_trail(ledger: Ledger, body: dict[str, object]) -> None:
    """As the hash of its body, which is the same for what was written and for what is read from any table."""
    run = _turn(ledger)
    with ledger.exclusive(run) as work:
        written = work.write_receipt(Stage.APPLY, body)
    (read,) = ledger.receipts(run.attempt_id)
    detail = _events(ledger)[-1][2]
    assert detail == {"fence": run.fence, "stage": "apply", "sha256": sha256_of(body)}
    assert sha256_of(written.body) == sha256_of(read.body) == detail["sha256"]


def test_asking_and_answering(ledger: Ledger, clock: FakeClock) -> None:
    """A gate keeps what was asked and who answered; two answers close it, and then a resume is owed once."""
    run = _turn(ledger)
    gate = _ask(ledger, run, clock, GateKind.APPROVE, Policy(2, ("approver", "lead")))
    assert gate == _ask(ledger, run, clock, GateKind.APPROVE)
    assert (gate.requester, gate.needed, gate.groups) == (BOB.id, 2, ("approver", "lead"))
    assert (gate.question, gate.opened_at, gate.rearm_at) == ({"n": 1}, clock.now(), clock.now() + TWO_WEEKS)
    carol, dan = _person("carol", "lead"), _person("dan", "approver")
    refused: list[tuple[Person, str, type[KeyturnError]]] = [
        (BOB, run.digest, NotPermittedError),
        (_person("eve"), run.digest, NotPermittedError),
        (carol, "0" * 64, DigestChangedError),
    ]
    for who, digest, error in refused:
        with pytest.raises(error):
            _say(ledger, GateKind.APPROVE, who, digest)
    assert list(ledger.gates()) == [gate]
    assert _say(ledger, GateKind.APPROVE, carol, run.digest, a=1).state is GateState.OPEN
    with pytest.raises(NotPermittedError, match="decided here already"):
        _say(ledger, GateKind.APPROVE, carol, run.digest)
    clock.move(hours=1)
    closed = _say(ledger, GateKind.APPROVE, dan, run.digest, b=2)
    assert (closed.state, closed.decided_at, closed.answer) == (GateState.APPROVED, clock.now(), {"a": 1, "b": 2})
    assert [d.person_name for d in closed.decisions] == ["carol", "dan"]
    assert list(ledger.owed_resumes()) == [closed]
    ledger.resumed(gate.id)
    clock.move(hours=1)
    ledger.resumed(gate.id)
    assert list(ledger.owed_resumes()) == []
    assert ledger.gates(key=KEY, only_open=False)[-1].resumed_at == clock.now() - timedelta(hours=1)
    with pytest.raises(GateClosedError, match="approved already"):
        _say(ledger, GateKind.APPROVE, _person("frank", "lead"), run.digest)
    with pytest.raises(GateClosedError, match="not being asked"):
        _say(ledger, GateKind.PROOF, carol, run.digest)


def test_rejecting(ledger: Ledger, clock: FakeClock) -> None:
    """One no closes the gate with its reason; it is owed until the attempt has ended."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.GONG_ROTATION, Policy(2, ("approver",)))
    gate = _say(ledger, GateKind.GONG_ROTATION, BOB, run.digest, yes=False)
    assert (gate.state, gate.reason) == (GateState.REJECTED, "so")
    assert list(ledger.owed_resumes()) == [gate]
    ledger.finish(run, AttemptState.REJECTED, "so")
    assert list(ledger.owed_resumes()) == []


def test_questions_grow_old(ledger: Ledger, clock: FakeClock) -> None:
    """After its time a question is asked afresh, by a round or by a late answer; Prefect's forms are left alone."""
    run = _turn(ledger)
    old = _ask(ledger, run, clock, GateKind.APPROVE, Policy(2, ("approver",)))
    _ask(ledger, run, clock, GateKind.PROOF, Policy(1, ("approver",), Channel.PREFECT))
    _say(ledger, GateKind.APPROVE, _person("dan", "approver"), run.digest)
    assert list(ledger.rearm(clock.now() + TWO_WEEKS - timedelta(seconds=1))) == []
    clock.move(days=14)
    with pytest.raises(GateClosedError, match="asked afresh"):
        _say(ledger, GateKind.APPROVE, _person("eve", "approver"), run.digest)
    fresh = _newest(ledger, run, GateKind.APPROVE)
    assert (fresh.state, fresh.decisions, fresh.answer, fresh.needed) == (GateState.OPEN, (), {}, 2)
    assert (fresh.opened_at, fresh.rearm_at) == (clock.now(), clock.now() + TWO_WEEKS)
    clock.move(days=15)
    (newest,) = ledger.rearm(clock.now())
    assert (newest.rearm_at, newest.question) == (clock.now() + TWO_WEEKS, old.question)
    states = [g.state for g in ledger.gates(only_open=False) if g.kind is GateKind.APPROVE]
    assert states == [GateState.EXPIRED, GateState.EXPIRED, GateState.OPEN]


def test_amending_and_closing(ledger: Ledger, clock: FakeClock) -> None:
    """An open gate can be amended and closed by what was seen; a closed one cannot."""
    run = _turn(ledger)
    gate = _ask(ledger, run, clock, GateKind.PROOF)
    with ledger.deciding(KEY, GateKind.PROOF) as at:
        assert at.amend({"by": "person"}) == at.gate
    with ledger.exclusive(run) as work:
        assert work.amend_gate(gate.id, {"n": 2}).question == {"n": 2}
        closed = work.close_gate(gate.id, GateState.APPROVED, "seen", {"k": Stage.APPLY})
        assert (closed.answer, closed.reason, closed.decided_at) == ({"k": "apply"}, "seen", clock.now())
        for call in (lambda: work.amend_gate(gate.id, {}), lambda: work.close_gate(uuid4(), GateState.VOID, "", {})):
            with pytest.raises(GateClosedError, match="is not open"):
                call()
        again = work.open_gate(GateKind.PROOF, ONE, {}, clock.now())
    assert again.id != gate.id
    assert list(ledger.owed_resumes()) == []


def test_taking_back(ledger: Ledger, clock: FakeClock) -> None:
    """Withdrawing asks afresh with what is new; rewinding makes void what was asked or answered, and asks nothing."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.GONG_ROTATION)
    _say(ledger, GateKind.GONG_ROTATION, BOB, run.digest, version=1)
    clock.move(hours=1)
    with ledger.exclusive(run) as work:
        for stage in (Stage.GONG_ROTATION, Stage.STAGE_SECRET, Stage.APPLY):
            work.write_receipt(stage, {})
        work.withdraw(Stage.GONG_ROTATION, "wrong", {"refused": "hmac"})
        work.withdraw(Stage.STAGE_SECRET, "wrong", {})
        fresh = work.gate(GateKind.GONG_ROTATION)
        assert fresh
        assert (fresh.question, fresh.answer, fresh.decisions) == ({"n": 1, "refused": "hmac"}, {}, ())
        assert fresh.rearm_at == clock.now() + TWO_WEEKS
        work.rewind([Stage.GONG_ROTATION, Stage.APPLY, Stage.VERIFY], "back")
        assert work.gate(GateKind.GONG_ROTATION).state is GateState.VOID
    assert list(ledger.receipts(run.attempt_id)) == []
    assert [g.state for g in ledger.gates(only_open=False)] == [GateState.VOID, GateState.VOID]
    assert list(ledger.owed_resumes()) == []


def test_terms_and_wishes(ledger: Ledger) -> None:
    """A wish is noted once, not two different ones; other terms fulfil it."""
    run = _turn(ledger)
    assert ledger.wish(run.attempt_id, BOB, Wish.LOST_SECRET, "oops").wish is Wish.LOST_SECRET
    assert ledger.wish(run.attempt_id, BOB, Wish.LOST_SECRET, "oops").wish is Wish.LOST_SECRET
    with pytest.raises(RefusedError, match="something else: lost_secret"):
        ledger.wish(run.attempt_id, BOB, Wish.ROLL_BACK, "")
    with ledger.exclusive(run) as work:
        assert work.attempt.wish is Wish.LOST_SECRET
        work.change_terms(Terms(second=True))
        assert (work.attempt.terms, work.attempt.wish) == (Terms(second=True), Wish.NONE)
    assert ledger.attempt(run.attempt_id).terms == Terms(second=True)


def test_halting(ledger: Ledger, clock: FakeClock) -> None:
    """A halted attempt is active and moves by nothing but a person's resume, which raises its number."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.PROOF)
    with ledger.exclusive(run) as work:
        for stage in (Stage.APPLY, Stage.ROLL_BACK):
            work.write_receipt(stage, {})
    with pytest.raises(RefusedError, match="not halted"):
        ledger.unhalt(run.attempt_id, BOB, "")
    ledger.wish(run.attempt_id, BOB, Wish.ROLL_BACK, "")
    ledger.halt(run, Halt.ROLLED_BACK, "failed")
    ledger.halt(run, Halt.ROLLED_BACK, "failed")
    halted = ledger.attempt(run.attempt_id)
    assert (halted.state, halted.halt, halted.wish, halted.reason) == (
        AttemptState.ACTIVE, Halt.ROLLED_BACK, Wish.NONE, "failed",
    )  # fmt: skip
    assert [g.state for g in ledger.gates(only_open=False)] == [GateState.VOID]
    with pytest.raises(SupersededError, match="is halted: rolled_back"), ledger.exclusive(run):
        pytest.fail("a halted attempt was let in")
    with pytest.raises(SupersededError):
        ledger.halt(run, Halt.ORPHANED, "")
    for call in (
        lambda: ledger.begin_execution(run.attempt_id, None),
        lambda: ledger.wish(run.attempt_id, BOB, Wish.ROLL_BACK, ""),
    ):
        with pytest.raises(RefusedError, match="halted"):
            call()
    assert not ledger.open_rotation(_sealed(), BOB, USUAL).created
    resumed = ledger.unhalt(run.attempt_id, BOB, "again")
    assert (resumed.halt, resumed.reason, resumed.fence) == (Halt.NONE, "", run.fence + 1)
    assert [r.stage for r in ledger.receipts(run.attempt_id)] == [Stage.APPLY]


def test_going_on(ledger: Ledger, clock: FakeClock) -> None:
    """A resume asks what was rejected anew, and forms and proofs in any case; a lost secret stays lost."""
    run = _turn(ledger)
    kinds = (GateKind.APPROVE, GateKind.STACKONE_FORM, GateKind.PROOF, GateKind.GONG_ROTATION)
    for kind in kinds:
        _ask(ledger, run, clock, kind)
        _say(ledger, kind, _person("dan", "approver"), run.digest, yes=kind is not GateKind.GONG_ROTATION)
    ledger.wish(run.attempt_id, BOB, Wish.LOST_SECRET, "")
    ledger.halt(run, Halt.ORPHANED, "")
    assert ledger.unhalt(run.attempt_id, BOB, "again").wish is Wish.LOST_SECRET
    states = {g.kind: g.state for g in ledger.gates(only_open=False)}
    assert states == dict.fromkeys(kinds, GateState.VOID) | {GateKind.APPROVE: GateState.APPROVED}


def test_ending(ledger: Ledger, clock: FakeClock) -> None:
    """Ending makes open gates void; finishing may be said twice, abandoning only once."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.GRACE)
    ledger.finish(run, AttemptState.COMPLETED, "well")
    ledger.finish(run, AttemptState.COMPLETED, "well")
    ended = ledger.attempt(run.attempt_id)
    assert (ended.state, ended.reason, ended.ended_at, ended.fence) == (
        AttemptState.COMPLETED, "well", clock.now(), run.fence,
    )  # fmt: skip
    assert [g.state for g in ledger.gates(only_open=False)] == [GateState.VOID]
    with pytest.raises(SupersededError, match="ended as completed"), ledger.exclusive(run):
        pytest.fail("an ended attempt was let in")
    again = ledger.begin_execution(ledger.open_rotation(_sealed(), None, USUAL).attempt.id, None)
    assert ledger.abandon(again.attempt_id, ALICE, "no").fence == again.fence + 1
    for call in (
        lambda: ledger.abandon(again.attempt_id, ALICE, "no"),
        lambda: ledger.begin_execution(again.attempt_id, None),
        lambda: ledger.unhalt(again.attempt_id, ALICE, "no"),
        lambda: ledger.attempt(uuid4()),
        lambda: ledger.bind_run(uuid4(), uuid4()),
    ):
        with pytest.raises(RefusedError):
            call()


def test_unknown_requesters_need_one_more(ledger: Ledger, clock: FakeClock) -> None:
    """Where nobody signed in, an approval needs one person more; other gates do not."""
    run = ledger.begin_execution(ledger.open_attempt(_sealed(), None).attempt.id, None)
    assert _ask(ledger, run, clock, GateKind.APPROVE).needed == 2
    assert _ask(ledger, run, clock, GateKind.CONSENT).needed == 1


def test_signs_of_life(ledger: Ledger, another: Callable[[], Ledger]) -> None:
    """An execution is alive from its first sign until its process ends, for everybody to see."""
    run, other = _turn(ledger), another()
    assert not other.is_held(run.attempt_id, run.fence)
    ledger.hold(run)
    assert other.is_held(run.attempt_id, run.fence)
    assert not other.is_held(run.attempt_id, run.fence + 1)
    other.hold(run)
    other.close()
    assert ledger.is_held(run.attempt_id, run.fence)
    ledger.close()
    assert not other.is_held(run.attempt_id, run.fence)


def test_a_note_is_kept(ledger: Ledger, clock: FakeClock) -> None:
    """What a person's note says is in the trail at once, although the decision is taken back."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.GONG_ROTATION)
    with pytest.raises(RefusedError), ledger.deciding(KEY, GateKind.GONG_ROTATION) as at:  # noqa: PT012  as above
        at.decide(BOB, approved=True, digest=run.digest, note="", answer={})
        at.audit(BOB, "intake.refused", {"by": "probe"})
        assert _events(ledger)[-1][:2] == ("intake.refused", BOB.id)
        raise RefusedError("acme", "no")
    noted = {"name": "bob", "kind": "gong_rotation", "by": "probe"}
    assert _events(ledger)[-1] == ("intake.refused", BOB.id, noted)
    assert next(iter(ledger.gates())).decisions == ()


def test_the_trail(ledger: Ledger, clock: FakeClock) -> None:
    """Every change leaves one entry, in order, with who did it."""
    run = _turn(ledger)
    _ask(ledger, run, clock, GateKind.APPROVE)
    _say(ledger, GateKind.APPROVE, _person("dan", "approver"), run.digest)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.APPROVE, {})
        gate = work.open_gate(GateKind.PROOF, ONE, {}, clock.now() + TWO_WEEKS)
        work.amend_gate(gate.id, {"n": 2})
        work.close_gate(gate.id, GateState.APPROVED, "seen", {})
        work.withdraw(Stage.APPROVE, "no", {})
        work.rewind([Stage.APPROVE], "back")
        work.want(Wish.ROLL_BACK, "failed")
        work.change_terms(Terms(second=True))
    ledger.wish(run.attempt_id, BOB, Wish.ROLL_BACK, "please")
    ledger.halt(run, Halt.ORPHANED, "lost")
    ledger.unhalt(run.attempt_id, BOB, "found")
    ledger.abandon(run.attempt_id, BOB, "enough")
    system, n = "system", {"fence": run.fence}
    proof, approve = {"kind": "proof"}, {"kind": "approve"}
    asked = {"needed": 1, "groups": ["approver"]}
    said = {"approved": True, "note": "so", "groups": ["approver"], "state": "approved"}
    assert _events(ledger)[3:] == [
        ("attempt.opened", BOB.id, {"name": "bob", "kind": "rotation"}),
        ("execution.begun", system, {"fence": 1, "flow_run_id": None}),
        ("gate.opened", system, approve | asked),
        ("gate.decided", "vault:entity/dan", {"name": "dan"} | approve | said),
        ("receipt.written", system, n | {"stage": "approve", "sha256": hashlib.sha256(b"{}").hexdigest()}),
        ("gate.opened", system, proof | asked),
        ("gate.amended", system, proof),
        ("gate.closed", system, proof | {"state": "approved", "reason": "seen"}),
        ("receipt.withdrawn", system, n | {"stage": "approve", "reason": "no"}),
        ("gate.void", system, approve | {"reason": "no"}),
        ("gate.opened", system, approve | asked),
        ("gate.void", system, approve | {"reason": "back"}),
        ("rotation.wished", system, n | {"wish": "roll_back", "reason": "failed"}),
        ("rotation.terms_changed", system, n | {"compromised": False, "ignore_window": False, "second": True}),
        ("rotation.wished", BOB.id, {"name": "bob", "wish": "roll_back", "reason": "please"}),
        ("rotation.orphaned", system, {"reason": "lost"}),
        ("gate.void", system, proof | {"reason": "the rotation goes on"}),
        ("rotation.resumed", BOB.id, {"name": "bob", "was": "orphaned", "reason": "found"}),
        ("attempt.abandoned", BOB.id, {"name": "bob", "reason": "enough"}),
    ]
    assert {e.digest for e in ledger.trail()} == {run.digest}
    assert ledger.trail()[-1].at == clock.now()
    assert list(ledger.trail(IntegrationKey("globex", "x"))) == []
