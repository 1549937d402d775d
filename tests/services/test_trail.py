from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from keyturn.domain.trail import GENESIS, AuditEntry, FaultKind
from keyturn.errors import UnavailableError, VendorRefusedError
from keyturn.ledger.engine import make_engine
from keyturn.ledger.trail import PostgresTrail, append
from keyturn.services.trail import anchor, verify
from tests.fakes.anchor import FakeAnchor
from tests.fakes.clock import FakeClock

Write = Callable[[int], None]


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
