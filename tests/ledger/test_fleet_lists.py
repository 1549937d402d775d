"""Lists of the fleet: restricted, sorted, and read page by page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from benchmarks.fleet_seed import seed
from keyturn.domain.attempt import Halt, Stage
from keyturn.domain.fleet import FleetHealth, FleetQuery, FleetRow, FleetSort, FleetState
from keyturn.domain.gate import GateKind, Policy
from keyturn.domain.health import Cause, Outcome
from keyturn.errors import ConfigurationError
from keyturn.ledger.engine import make_engine
from tests.ledger.booked import Booked

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FAR = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def many(new_database: Callable[[str], str], migrated: str) -> Iterator[Booked]:
    """Three hundred integrations in every state, none of which a test changes."""
    url = new_database(migrated)
    seed(url, 300, 2100, NOW)
    engine = make_engine(url)
    yield Booked(engine)
    engine.dispose()


@pytest.fixture
def fleet(engine: Engine) -> Booked:
    """An empty fleet."""
    return Booked(engine)


def _order(sort: FleetSort, row: FleetRow) -> tuple[object, ...]:
    return {
        FleetSort.KEY: (),
        FleetSort.AGE: (row.turned_at or FAR,),
        FleetSort.DUE: (row.due_at or FAR,),
        FleetSort.CHECKED: (row.checked_at is not None, row.checked_at),
    }[sort] + (row.key,)


def test_the_fleet_is_there(many: Booked) -> None:
    """What the pages are tested with is a fleet in every state and of every health."""
    rows = many.pages(FleetQuery(sort=FleetSort.KEY))
    assert {row.state for row in rows} == set(FleetState)
    assert {row.health for row in rows} == set(FleetHealth)
    assert all(row == many.truth(row.key) for row in rows[::23])


@pytest.mark.parametrize("sort", list(FleetSort))
def test_pages(many: Booked, sort: FleetSort) -> None:
    """In every order, page by page, each of 300 integrations comes exactly once, and in the order of one long page."""
    rows = many.pages(FleetQuery(sort=sort, limit=7))
    assert len(rows) == len({row.key for row in rows}) == 300
    assert rows == many.pages(FleetQuery(sort=sort, limit=200))
    if sort is not FleetSort.URGENCY:
        assert rows == sorted(rows, key=lambda row: _order(sort, row))


@pytest.mark.parametrize("sort", list(FleetSort))
@pytest.mark.parametrize(
    "query",
    [
        FleetQuery(states=frozenset({FleetState.LIVE, FleetState.WAITING})),
        FleetQuery(healths=frozenset({FleetHealth.UNKNOWN, FleetHealth.NEVER})),
        FleetQuery(cause=Cause.ROTATION_OVERDUE),
        FleetQuery(group="approver"),
        FleetQuery(text="t-002"),
        FleetQuery(text="7/", states=frozenset({FleetState.MOVING})),
        FleetQuery(text="4"),
    ],
)
def test_pages_of_a_part(many: Booked, query: FleetQuery, sort: FleetSort) -> None:
    """However a list is restricted, its pages hold what fits of the whole list, in the same order."""
    query = replace(query, sort=sort, limit=4)
    fitting = [row for row in many.pages(FleetQuery(sort=sort)) if _fits(row, query)]
    assert fitting
    assert many.pages(query) == fitting


def _fits(row: FleetRow, query: FleetQuery) -> bool:
    groups = {group for waiting in row.waiting for group in waiting.groups}
    return (
        query.text in str(row.key)
        and (not query.states or row.state in query.states)
        and (not query.healths or row.health in query.healths)
        and (query.cause is None or query.cause in row.causes)
        and (not query.group or query.group in groups)
    )


def test_urgency(fleet: Booked) -> None:
    """Halted first, then by the worst cause, then by how long people have been waited for; what is well comes last."""
    keys = {name: fleet.onboarded(name) for name in "abcdefgh"}
    fleet.asked(fleet.turning(keys["e"]), GateKind.APPROVE)
    fleet.clock.move(hours=1)
    fleet.asked(fleet.turning(keys["d"]), GateKind.APPROVE)
    fleet.asked(fleet.turning(keys["c"]), GateKind.APPROVE)
    fleet.raised(keys["c"], Cause.MANIFEST_CHANGED)
    fleet.raised(keys["a"], Cause.MANIFEST_CHANGED)
    fleet.raised(keys["g"], Cause.CONSENT_LOST, Cause.MANIFEST_CHANGED)
    fleet.raised(keys["f"], Cause.SECRET_RESET)
    fleet.ledger.halt(fleet.turning(keys["h"]), Halt.ORPHANED, "lost")
    assert fleet.keys(FleetQuery()) == ["h", "f", "g", "c", "a", "e", "d", "b"]
    assert [row.key.tenant for row in fleet.book.waiting_for(["gong_admin"], 2)] == ["c", "e"]
    assert [row.key.tenant for row in fleet.book.waiting_for(["gong_admin", "x"], 9)] == ["c", "e", "d"]
    assert list(fleet.book.waiting_for([], 9)) == list(fleet.book.waiting_for(["approver"], 9)) == []


def test_a_gate_that_asks_nobody(fleet: Booked) -> None:
    """What only time is waited for waits for no group."""
    run = fleet.turning(fleet.onboarded("acme"))
    fleet.done(run, Stage.PREFLIGHT)
    with fleet.ledger.exclusive(run) as work:
        work.open_gate(GateKind.GRACE, Policy(1, ()), {}, fleet.clock.now())
    assert list(fleet.book.waiting_for([""], 9)) == []
    assert fleet.keys(FleetQuery(states=frozenset({FleetState.MOVING}))) == ["acme"]


def test_longest_unseen_first(fleet: Booked) -> None:
    """What was never looked at comes before what was, also when that changes."""
    keys = {name: fleet.onboarded(name) for name in "cab"}
    assert fleet.keys(FleetQuery(sort=FleetSort.CHECKED)) == ["a", "b", "c"]
    fleet.looked(keys["a"], Outcome.OK)
    assert fleet.keys(FleetQuery(sort=FleetSort.CHECKED)) == ["b", "c", "a"]


@pytest.mark.parametrize("text", ["ACME", " acme\n", "me/pr", "acme/production", "e", "ac"])
def test_part_of_a_key(fleet: Booked, text: str) -> None:
    """A part of the key finds it, in letters of either size."""
    fleet.onboarded("acme")
    fleet.onboarded("x")
    assert "acme" in fleet.keys(FleetQuery(text=text))


@pytest.mark.parametrize("text", ["acmee", "%", "_", "\\", "'", "\0", "\udc80", "ä", "cme/x", "a e", "x" * 5000])
def test_text_that_is_part_of_no_key(fleet: Booked, text: str) -> None:
    """Whatever is typed finds nothing rather than everything, or a fault; as does a group that nobody has."""
    fleet.onboarded("acme")
    assert fleet.book.search(FleetQuery(text=text)).rows == ()
    assert fleet.book.search(FleetQuery(group=text)).rows == ()


@pytest.mark.parametrize(("limit", "rows"), [(-1, 1), (0, 1), (1, 1), (200, 200), (10_000, 200)])
def test_size_of_a_page(many: Booked, limit: int, rows: int) -> None:
    """A page holds 1 to 200 rows, whatever is asked for."""
    assert len(many.book.search(FleetQuery(limit=limit)).rows) == rows


@pytest.mark.parametrize("sort", list(FleetSort))
def test_a_place_in_another_list(many: Booked, sort: FleetSort) -> None:
    """What one order calls the next page means nothing in another one."""
    after = many.book.search(FleetQuery(sort=sort, limit=1)).next
    for other in set(FleetSort) - {sort}:
        with pytest.raises(ConfigurationError, match="no place in a list"):
            many.book.search(FleetQuery(sort=other, after=after))


def _place(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "ä",
        "\0",
        "a" * 5000,
        _place(),
        _place("urgency"),
        _place("urgency", 1, "a/b"),
        _place("urgency", 1, NOW.isoformat(), "a/b", "c"),
        _place("urgency", 1, NOW.isoformat(), 7),
        _place("urgency", 1, NOW.isoformat(), "A B"),
        _place("urgency", 1, "yesterday", "a/b"),
        _place("urgency", 1, "2026-03-02T09:00:00", "a/b"),
        _place("urgency", 1, "0001-01-01T00:00:00+23:00", "a/b"),
        _place("urgency", True, NOW.isoformat(), "a/b"),
        _place("urgency", 10**30, NOW.isoformat(), "a/b"),
        _place("urgency", [], {}, None),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        base64.urlsafe_b64encode(b"5").decode(),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],
)
def test_what_is_no_place(many: Booked, after: str) -> None:
    """Text that is no place in a list is refused, with what to do."""
    with pytest.raises(ConfigurationError, match="Take it from the page before"):
        many.book.search(FleetQuery(after=after))
