from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.trail import GENESIS, AuditEntry, Chained, FaultKind, Head, chain, follow, seal, sha256_of, text_of
from keyturn.errors import RefusedError

LENGTH = 8
Rows = list[Chained]


def entry(number: int) -> AuditEntry:
    """An entry that differs from others by its number."""
    return AuditEntry(
        at=datetime(2026, 3, 2, 9, number, tzinfo=UTC),
        key="acme/production",
        attempt_id=UUID(int=number),
        actor="vault:entity/alice",
        signed_in="vault token (userpass)",
        event="gate.decided",
        digest="d" * 64,
        detail={"number": number, "note": "naïve ✓", "deep": {"b": [1, 2.5, None], "a": True}},
    )


def trail(length: int = LENGTH) -> Rows:
    """A trail as it is written."""
    return chain(GENESIS, map(entry, range(length)))


def renumbered(rows: Rows) -> Rows:
    """Rows whose numbers have no gap any more, and nothing else is changed."""
    return [replace(row, seq=seq) for seq, row in enumerate(rows, 1)]


def fault_of(rows: Rows, known: Head = GENESIS) -> tuple[FaultKind, int] | None:
    """Kind and row of the first fault."""
    fault = follow(rows, known=known).fault
    assert fault is None or fault.says
    return (fault.kind, fault.seq) if fault else None


def test_a_trail_as_it_was_written_has_no_fault() -> None:
    """Its head is its last row, and the head of an empty one is where all begin."""
    rows = trail()
    assert follow(rows).head == Head(LENGTH, rows[-1].hash)
    assert (follow(rows).rows, fault_of(rows)) == (LENGTH, None)
    assert (follow([]).head, fault_of([])) == (GENESIS, None)


def test_a_row_gives_back_what_was_said() -> None:
    """The entry of a row is the one it was made from."""
    assert [row.entry for row in trail(3)] == [entry(number) for number in range(3)]
    nobody = replace(entry(1), attempt_id=None)
    assert chain(GENESIS, [nobody])[0].entry == nobody


@given(row=st.integers(0, LENGTH - 1), name=st.sampled_from(["prev", "hash", "text"]), data=st.data())
def test_any_changed_character_is_found(row: int, name: str, data: st.DataObject) -> None:
    """Wherever one character of a row is changed, that row is named."""
    rows = trail()
    before = getattr(rows[row], name)
    place = data.draw(st.integers(0, len(before) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != before[place]))
    rows[row] = replace(rows[row], **{name: before[:place] + other + before[place + 1 :]})
    assert fault_of(rows) == (FaultKind.CHANGED, row + 1)


@pytest.mark.parametrize("row", range(LENGTH - 1))
def test_a_changed_row_with_a_hash_to_match_is_found(row: int) -> None:
    """Its successor was written after another one."""
    rows = trail()
    rows[row] = seal(Head(row, rows[row].prev), rows[row].text.replace("alice", "mallory"))
    assert fault_of(rows) == (FaultKind.CHANGED, row + 1)


@pytest.mark.parametrize("row", range(1, LENGTH))
def test_a_missing_row_is_named(row: int) -> None:
    """With a gap left behind, and with the numbers closed up over it."""
    rows = trail()
    del rows[row - 1]
    assert fault_of(rows) == (FaultKind.MISSING, row)
    assert fault_of(renumbered(rows)) == (FaultKind.MISSING, row)


def test_several_missing_rows_are_named_by_the_first() -> None:
    """And the sentence says up to which one."""
    fault = follow([*trail()[:2], *trail()[5:]]).fault
    assert fault
    assert (fault.kind, fault.seq, fault.says) == (FaultKind.MISSING, 3, "rows 3 to 5 are missing")


@pytest.mark.parametrize("row", range(1, LENGTH + 1))
@pytest.mark.parametrize("forged", [True, False], ids=["sealed like ours", "with any hash"])
def test_an_inserted_row_is_named(row: int, *, forged: bool) -> None:
    """The rows behind it were written under lower numbers, and their hashes tell."""
    rows = trail()
    prev = rows[row - 2].hash if row > 1 else GENESIS.hash
    one_more = seal(Head(row - 1, prev), rows[0].text.replace("alice", "mallory"))
    rows.insert(row - 1, one_more if forged else replace(one_more, hash="f" * 64))
    assert fault_of(renumbered(rows)) == (FaultKind.INSERTED, row)


@pytest.mark.parametrize("row", range(1, LENGTH + 2))
@pytest.mark.parametrize("copied", [0, 3, LENGTH - 1])
def test_an_inserted_copy_is_named(row: int, copied: int) -> None:
    """A row from further up or down, hash and all, or one more of the same; also behind the last one."""
    rows = trail()
    rows.insert(row - 1, rows[copied])
    kind, first = fault_of(renumbered(rows)) or (None, 0)
    # Before or behind itself a row and its copy are the same, and the later one is the copy.
    assert (kind, first) == (FaultKind.INSERTED, row + (row == copied + 1))


def test_a_row_replaced_by_a_copy_is_a_changed_row() -> None:
    """Its neighbours are where they were."""
    rows = trail()
    rows[5] = rows[2]
    assert fault_of(renumbered(rows)) == (FaultKind.CHANGED, 6)


@pytest.mark.parametrize("number", [0, -3, 1])
def test_a_number_too_many_is_an_insertion(number: int) -> None:
    """Before the first row, or under a number that there is already."""
    rows = sorted([*trail(), replace(trail()[2], seq=number)], key=lambda row: row.seq)
    assert fault_of(rows) == (FaultKind.INSERTED, number)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 7), (1, LENGTH)])
def test_swapped_rows_are_found(one: int, other: int) -> None:
    """The earlier place is named: the row that belongs there is missing, or what stands there was changed."""
    rows = trail()
    rows[one - 1], rows[other - 1] = rows[other - 1], rows[one - 1]
    assert fault_of(renumbered(rows)) == (FaultKind.MISSING, one)
    swapped = trail()
    swapped[one - 1] = replace(swapped[one - 1], text=trail()[other - 1].text)
    swapped[other - 1] = replace(swapped[other - 1], text=trail()[one - 1].text)
    assert fault_of(swapped) == (FaultKind.CHANGED, one)


def test_a_cut_off_end_shows_by_the_head_kept_elsewhere_alone() -> None:
    """Without it the shorter trail is as good as the whole one."""
    rows = trail()
    head = Head(LENGTH, rows[-1].hash)
    assert fault_of(rows[:5]) is None
    assert fault_of(rows[:5], head) == (FaultKind.MISSING, 6)
    assert fault_of([], head) == (FaultKind.MISSING, 1)


def test_a_trail_written_anew_shows_by_the_head_kept_elsewhere_alone() -> None:
    """A consistent trail with another history is not the one whose head was kept."""
    rows = trail()
    anew = chain(GENESIS, [replace(entry(0), actor="vault:entity/mallory"), *map(entry, range(1, LENGTH))])
    assert fault_of(anew) is None
    assert fault_of(anew, Head(6, rows[5].hash)) == (FaultKind.REWRITTEN, 6)


def test_a_trail_may_be_followed_from_a_known_head() -> None:
    """What came before is not looked at; the known row must be there, as it was, and the rest must follow it."""
    rows = trail()
    known, start = Head(5, rows[4].hash), Head(4, "")
    assert follow(rows[4:], start, known).head == Head(LENGTH, rows[-1].hash)
    gone, changed = follow(rows[5:], start, known).fault, follow(chain(Head(4, ""), [entry(1)]), start, known).fault
    assert gone
    assert changed
    assert (gone.kind, gone.seq) == (FaultKind.MISSING, 5)
    assert (changed.kind, changed.seq) == (FaultKind.REWRITTEN, 5)
    cut = follow([], start, known).fault
    assert cut
    assert (cut.kind, cut.seq) == (FaultKind.MISSING, 5)


def test_a_moment_is_the_same_in_every_zone() -> None:
    """The database gives moments back in UTC, wherever they were made."""
    berlin = replace(entry(1), at=entry(1).at.astimezone(timezone(timedelta(hours=2))))
    assert chain(GENESIS, [berlin]) == chain(GENESIS, [entry(1)])


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("1.0", "1.00"), ("9007199254740993", "9007199254740992"), ("0.1", '"0.1"')]
)
def test_different_spellings_of_a_number_are_different_rows(one: str, other: str) -> None:
    """A changed byte is a change, even if some readers would take both for the same number."""
    texts = {text_of("", {}, f'{{"n": {number}}}') for number in (one, other)}
    assert len(texts) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"at": None},
        lambda said: said | {"at": "soon"},
        lambda said: said | {"attempt_id": "first"},
        lambda said: said | {"more": 1},
    ],
)
def test_what_keyturn_never_writes_is_no_entry(change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    """A row that somebody forged with values of another kind is refused in words, not by a crash."""
    row = trail(1)[0]
    forged = replace(row, text=json.dumps(change(json.loads(row.text))))
    with pytest.raises(RefusedError, match="never writes"):
        _ = forged.entry


def test_detail_nested_without_end_is_no_crash() -> None:
    """It gets a spelling that no hash of ours is about."""
    deep = "[" * 100_000 + "]" * 100_000
    assert text_of("", {}, f'{{"n": {deep}}}') != text_of("", {}, f'{{"n": {deep[1:-1]}}}')


def test_a_body_is_hashed_as_any_program_would() -> None:
    """JSON with sorted names and no spaces; whoever has an evidence file needs no keyturn to compare."""
    body = {"b": [1, 2.5, None, "naïve ✓"], "a": {"z": True, "y": 0.25}}
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert sha256_of(body) == hashlib.sha256(plain.encode()).hexdigest()
    assert sha256_of({"a": body["a"], "b": tuple(body["b"])}) == sha256_of(body)
    assert sha256_of({"n": 1}) != sha256_of({"n": 1.0}) != sha256_of({"n": "1.0"})


def test_a_row_names_its_event_whatever_else_it_says() -> None:
    """Also when it is none that keyturn would write."""
    row = trail(1)[0]
    assert row.event == replace(row, text=row.text.replace("2026", "soon")).event == "gate.decided"
