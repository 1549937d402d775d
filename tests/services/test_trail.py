from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from keyturn.domain.gate import Person
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.domain.trail import GENESIS, AuditEntry, FaultKind
from keyturn.errors import NotPermittedError, RefusedError, UnavailableError, VendorRefusedError
from keyturn.ledger.engine import make_engine
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ledger.trail import PostgresTrail, append
from keyturn.ports import Anchored
from keyturn.services.trail import Guarded, anchor, anchor_anew, guard, verify
from tests.fakes.anchor import FakeAnchor
from tests.fakes.clock import FakeClock
from tests.services.told import notices_of

Write = Callable[[int], None]
Round = Callable[[FakeAnchor], Guarded]
ALICE = Person("vault:entity/alice", "alice", frozenset({"operator"}), "vault token (userpass)")
TAKEN_AWAY = VendorRefusedError("audit trail's head", "version 2 was deleted in Vault by hand", "Bring it back.")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A ledger of this test's own."""
    made = make_engine(url)
    yield made
    made.dispose()


@pytest.fixture
def trail(engine: Engine) -> PostgresTrail:
    """Its trail."""
    return PostgresTrail(engine)


@pytest.fixture
def write(engine: Engine, clock: FakeClock) -> Write:
    """Add that many rows to it."""
    numbers = itertools.count(1)

    def add(count: int) -> None:
        said = ({"number": number} for number in itertools.islice(numbers, count))
        entries = [AuditEntry(clock.now(), "acme/production", None, "system", "", "test", "d", s) for s in said]
        with engine.begin() as connection:
            append(connection, entries)

    return add


@pytest.fixture
def watch(trail: PostgresTrail, engine: Engine, clock: FakeClock) -> Round:
    """One round of the watch over the trail."""
    outbox = PostgresOutbox(engine, clock, 20.0)
    return lambda kept: guard(trail, kept, outbox, clock)


def told(engine: Engine) -> list[Notice]:
    """What people are to be told about the trail."""
    return notices_of(engine, None, Event.AUDIT_BROKEN)


def events(trail: PostgresTrail) -> list[str]:
    """What the trail says about itself."""
    return [row.event for row in trail.entries() if row.event.startswith("trail.")]


def by_force(engine: Engine, statement: str) -> None:
    """What the owner of the tables can do."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER tr_audit_append_only"))
        connection.execute(text(statement))
        connection.execute(text("ALTER TABLE audit ENABLE TRIGGER tr_audit_append_only"))


def test_the_head_is_kept_again_and_again(trail: PostgresTrail, write: Write) -> None:
    """The first time from the first row on, then from the head kept before; an empty trail has none to keep."""
    kept = FakeAnchor()
    assert anchor(trail, kept).fault is None
    assert kept.moved == []
    write(3)
    assert anchor(trail, kept).rows == 3
    write(4)
    assert anchor(trail, kept).rows == 5, "the known row and those after it"
    assert anchor(trail, kept).fault is None
    assert [head.seq for head in kept.moved] == [3, 7], "nothing new, nothing kept"
    assert kept.moved[-1] == trail.head()


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("DELETE FROM audit WHERE seq > 4", FaultKind.MISSING),
        ("UPDATE audit SET actor = 'x' WHERE seq = 5", FaultKind.CHANGED),
        ("UPDATE audit SET event = 'x' WHERE seq = 7", FaultKind.CHANGED),
        ("DELETE FROM audit WHERE seq = 6", FaultKind.MISSING),
        ("TRUNCATE audit", FaultKind.MISSING),
    ],
)
def test_the_head_does_not_move_on_from_a_broken_chain(
    trail: PostgresTrail, write: Write, engine: Engine, harm: str, kind: FaultKind
) -> None:
    """Whether the known row is not there as it was, or one after it does not fit: the fault comes back instead."""
    kept = FakeAnchor()
    write(5)
    anchor(trail, kept)
    write(3)
    by_force(engine, harm)
    found = anchor(trail, kept).fault
    assert found
    assert found.kind is kind
    assert [head.seq for head in kept.moved] == [5]
    write(20)
    assert anchor(trail, kept).fault is not None, "also when the trail has grown longer than it was"
    assert [head.seq for head in kept.moved] == [5]


def test_a_slower_watch_keeps_nothing(trail: PostgresTrail, write: Write) -> None:
    """Somebody else has kept a head meanwhile, which is as good."""
    kept = FakeAnchor()
    kept.overtaken = True
    write(2)
    assert anchor(trail, kept).fault is None
    assert kept.moved == []


def test_a_sound_trail_with_its_head_kept(trail: PostgresTrail, write: Write) -> None:
    """All was looked at, and nothing found; rows after the kept head are followed too."""
    kept = FakeAnchor()
    write(3)
    anchor(trail, kept)
    write(2)
    verified = verify(trail, lambda: kept)
    assert (verified.sound, verified.unknown, verified.inspection.rows) == (True, "", 5)
    assert verified.anchored == kept.moved[-1]


def test_a_kept_head_that_cannot_be_read_is_unknown(trail: PostgresTrail, write: Write, engine: Engine) -> None:
    """It is no success; but a fault that shows without it is a fault."""
    kept = FakeAnchor()
    write(3)
    for reason in (UnavailableError("Vault", "is sealed"), VendorRefusedError("Vault", "the token may not read")):
        kept.down = reason
        verified = verify(trail, lambda: kept)
        assert (verified.sound, verified.anchored, reason.problem in verified.unknown) == (None, None, True)
    by_force(engine, "DELETE FROM audit WHERE seq = 2")
    assert verify(trail, lambda: kept).sound is False


def test_a_missing_sign_in_is_unknown_too(trail: PostgresTrail, write: Write) -> None:
    """Even to make the anchor may fail."""

    def no_sign_in() -> FakeAnchor:
        raise VendorRefusedError("you", "are not signed in")

    write(1)
    assert verify(trail, no_sign_in).sound is None


def test_no_head_kept_yet_is_unknown(trail: PostgresTrail, write: Write) -> None:
    """Rows may have been cut off that nobody knows of."""
    write(2)
    verified = verify(trail, FakeAnchor)
    assert (verified.sound, verified.anchored) == (None, None)
    assert "was kept in Vault yet" in verified.unknown
    assert verified.inspection.head != GENESIS


def test_a_sound_trail_is_followed_in_whole_once_a_day(
    trail: PostgresTrail, write: Write, watch: Round, clock: FakeClock, engine: Engine
) -> None:
    """The trail says so itself; all other rounds follow what is new, and nobody is told anything."""
    kept = FakeAnchor()
    write(4)
    assert [watch(kept).rows for _ in range(3)] == [4, 2, 1]
    assert events(trail) == ["trail.verified"]
    clock.move(hours=14, minutes=59)
    watch(kept)
    assert events(trail) == ["trail.verified"], "still the same day"
    clock.move(minutes=1)
    for _ in range(3):
        watch(kept)
    assert events(trail) == ["trail.verified"] * 2
    assert (kept.moved[-1], trail.verify(kept.moved[-1]).fault, told(engine)) == (trail.head(), None, [])


def test_an_empty_trail_is_left_alone(trail: PostgresTrail, watch: Round) -> None:
    """Nothing is kept, and nothing is said."""
    kept = FakeAnchor()
    assert watch(kept) == watch(kept) == Guarded()
    assert (kept.moved, trail.head()) == ([], GENESIS)


def test_an_older_changed_row_is_told_a_day_later(
    trail: PostgresTrail, write: Write, watch: Round, clock: FakeClock, engine: Engine
) -> None:
    """Rounds follow the trail from the kept head on, and would never come by there again; it is told day after day."""
    kept = FakeAnchor()
    write(5)
    watch(kept)
    watch(kept)
    by_force(engine, "UPDATE audit SET actor = 'x' WHERE seq = 2")
    for day in ("2026-03-03", "2026-03-04"):
        clock.move(days=1)
        seen = [watch(kept) for _ in range(2)]
        assert [len(one.problems) for one in seen] == [1, 0]
        assert told(engine)[-1] == Notice(
            Event.AUDIT_BROKEN,
            Severity.CRITICAL,
            "",
            f"audit/broken/{day}",
            {"found": "row 2 was changed after it was written"},
        )
    assert (len(told(engine)), events(trail)) == (2, ["trail.verified"])


def test_one_worker_follows_the_whole_trail(write: Write, watch: Round, clock: FakeClock, engine: Engine) -> None:
    """Of two that see at once that it is due, the one that moves the day on in Vault; the other one goes without."""
    kept = FakeAnchor()
    write(2)
    watch(kept)
    watch(kept)
    by_force(engine, "UPDATE audit SET actor = 'x' WHERE seq = 1")
    clock.move(days=1)
    kept.overtaken = True
    assert watch(kept).problems == ()
    kept.overtaken = False
    assert watch(kept).problems == ("row 1 was changed after it was written",)


def test_a_fault_after_the_head_is_told_once_a_day(
    write: Write, watch: Round, clock: FakeClock, engine: Engine
) -> None:
    """Each round finds it, and the whole trail need not be followed to find it twice."""
    kept = FakeAnchor()
    write(3)
    watch(kept)
    by_force(engine, "DELETE FROM audit WHERE seq > 2")
    for _ in range(2):
        assert len(watch(kept).problems) == 1
    clock.move(days=1)
    watch(kept)
    assert [notice.about for notice in told(engine)] == ["audit/broken/2026-03-02", "audit/broken/2026-03-03"]


def test_a_head_that_was_taken_away_is_told_once_a_day(
    write: Write, watch: Round, clock: FakeClock, engine: Engine
) -> None:
    """It fails no run, for nobody reads those; what to do about it is in the notice."""
    kept = FakeAnchor()
    write(3)
    watch(kept)
    kept.down = TAKEN_AWAY
    for _ in range(2):
        assert watch(kept) == Guarded(0, (str(TAKEN_AWAY),))
    facts = {"found": TAKEN_AWAY.problem, "remedy": TAKEN_AWAY.remedy}
    assert told(engine) == [Notice(Event.AUDIT_BROKEN, Severity.CRITICAL, "", "audit/head/2026-03-02", facts)]
    clock.move(days=1)
    watch(kept)
    assert [notice.about for notice in told(engine)] == ["audit/head/2026-03-02", "audit/head/2026-03-03"]


def test_a_vault_that_does_not_answer_is_asked_again(watch: Round, engine: Engine) -> None:
    """That is no alarm, and the error's type says that trying again helps."""
    kept = FakeAnchor()
    kept.down = UnavailableError("Vault", "is sealed")
    with pytest.raises(UnavailableError):
        watch(kept)
    assert told(engine) == []


def test_a_head_that_vault_has_forgotten_is_told_and_not_made_good(
    trail: PostgresTrail, write: Write, watch: Round, engine: Engine
) -> None:
    """With its metadata deleted all looks like on the first day; but the trail knows that a head was kept before."""
    kept = FakeAnchor()
    write(3)
    watch(kept)
    kept.moved.clear()
    for _ in range(2):
        assert "was kept in Vault before" in watch(kept).problems[0]
    assert kept.moved == []
    assert [notice.about for notice in told(engine)] == ["audit/head/2026-03-02"]
    verified = verify(trail, lambda: kept)
    assert (verified.sound, "was kept in Vault before" in verified.unknown) == (None, True)


def test_two_first_rounds_at_once_are_no_alarm(trail: PostgresTrail, write: Write, watch: Round) -> None:
    """One has read that there is none; before it looks into the trail, the other one keeps the first and says so."""

    class Overtaken(FakeAnchor):
        def read(self) -> Anchored:
            before = super().read()
            if not self.moved:
                watch(kept)
                self.moved = kept.moved
            return before

    kept = FakeAnchor()
    write(3)
    assert watch(Overtaken()).problems == ()
    assert events(trail)[0] == "trail.verified"


def test_an_operator_keeps_the_head_anew(
    trail: PostgresTrail, write: Write, watch: Round, clock: FakeClock, engine: Engine
) -> None:
    """The trail says who answers for it, and rounds go on from there as before."""
    kept = FakeAnchor()
    write(3)
    watch(kept)
    kept.moved.clear()
    head = trail.head()
    verified = anchor_anew(trail, kept, clock, ALICE)
    assert (verified.sound, verified.anchored, kept.moved) == (True, head, [head])
    last = list(trail.entries())[-1].entry
    assert (last.event, last.actor, last.signed_in) == ("trail.anchored", ALICE.id, ALICE.signed_in)
    assert last.detail == {"name": "alice", "seq": head.seq, "hash": head.hash}
    assert watch(kept).problems == ()
    assert told(engine) == []


def test_a_head_that_was_kept_anew_is_missed_as_well(
    trail: PostgresTrail, write: Write, watch: Round, clock: FakeClock
) -> None:
    """When nothing but that tells that there was one."""
    kept = FakeAnchor()
    write(3)
    anchor_anew(trail, kept, clock, ALICE)
    kept.moved.clear()
    assert "was kept in Vault before" in watch(kept).problems[0]


def test_a_head_is_not_kept_anew_without_need_or_right(trail: PostgresTrail, write: Write, clock: FakeClock) -> None:
    """Not by anybody but an operator, not over one that is kept, and there is none of an empty trail."""
    kept, bob = FakeAnchor(), Person("vault:entity/bob", "bob", frozenset({"approver"}), "vault token (userpass)")
    assert anchor_anew(trail, kept, clock, ALICE).sound is None
    write(3)
    with pytest.raises(NotPermittedError, match="bob is no operator"):
        anchor_anew(trail, kept, clock, bob)
    kept.overtaken = True
    with pytest.raises(RefusedError, match="is kept in Vault already"):
        anchor_anew(trail, kept, clock, ALICE)
    kept.overtaken = False
    anchor(trail, kept)
    with pytest.raises(RefusedError, match="is kept in Vault already"):
        anchor_anew(trail, kept, clock, ALICE)
    assert ([head.seq for head in kept.moved], events(trail)) == ([3], [])


def test_no_head_is_kept_of_a_broken_trail(
    trail: PostgresTrail, write: Write, clock: FakeClock, engine: Engine
) -> None:
    """Whoever wants it."""
    kept = FakeAnchor()
    write(3)
    by_force(engine, "UPDATE audit SET actor = 'x' WHERE seq = 2")
    assert anchor_anew(trail, kept, clock, ALICE).sound is False
    assert (kept.moved, events(trail)) == ([], [])
