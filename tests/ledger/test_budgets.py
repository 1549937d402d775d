"""Slots for calling vendors are given out in one place, for all processes on all machines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import Engine, event, text

from keyturn.clients.budget import Budget
from keyturn.clients.clock import SystemClock
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.ledger import migrate
from keyturn.ledger.budgets import PostgresSlots
from keyturn.ledger.engine import make_engine
from keyturn.ports import Taken, Window
from tests.fakes.clock import FakeClock

PATIENT_S = 1e6
A_DAY = timedelta(days=1)


@pytest.fixture
def slots(engine: Engine) -> PostgresSlots:
    """Slots as one process takes them."""
    return PostgresSlots(engine)


def take(slots: PostgresSlots, *windows: Window, budget: str = "gong x", patience_s: float = PATIENT_S) -> Taken:
    """One slot."""
    return slots.take(budget, windows, patience_s)


def rows(engine: Engine, table: str) -> int:
    """How many rows a table has."""
    with engine.connect() as connection:
        count: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608  our own names
    return count


def age(engine: Engine, by: timedelta) -> None:
    """Let time pass for everything that is there."""
    later = "last_at = last_at - :by, paused_until = paused_until - :by"
    with engine.begin() as connection:
        connection.execute(text("UPDATE slots SET at = at - :by"), {"by": by})
        connection.execute(text(f"UPDATE budgets SET {later}"), {"by": by})  # noqa: S608  our own words


def fullest(moments: list[datetime], window: Window) -> int:
    """The most of them in any window."""
    span = timedelta(seconds=window.seconds)
    return max(sum(1 for at in moments[i : i + 3000] if at < begin + span) for i, begin in enumerate(moments))


def test_slots_are_free_until_a_window_is_full(slots: PostgresSlots) -> None:
    """As many as the window holds come at once, the next one a window after the first."""
    taken = [take(slots, Window(3, 60)) for _ in range(7)]
    assert [each.wait_s for each in taken[:3]] == [0, 0, 0]
    for earlier, later in zip(taken, taken[3:], strict=False):
        assert later.at - earlier.at == timedelta(seconds=60)
    assert 119 < taken[6].wait_s <= 120


def test_all_windows_hold_at_once(slots: PostgresSlots) -> None:
    """A thousand slots, and nowhere does a second or a minute begin in which there are too many."""
    windows = Window(3, 1), Window(100, 60)
    moments = [take(slots, *windows).at for _ in range(1000)]
    assert [fullest(moments, window) for window in windows] == [3, 100]
    assert moments[-1] - moments[0] < timedelta(seconds=9 * 60 + 34)


def test_processes_and_threads_take_different_slots(engine: Engine, threads: ThreadPoolExecutor) -> None:
    """However many ask at once, no window holds too many, and none is left out."""
    window = Window(20, 5)
    takes = [threads.submit(take, PostgresSlots(engine), window) for _ in range(200)]
    moments = sorted(each.result().at for each in takes)
    assert fullest(moments, window) == 20
    assert moments[-1] - moments[0] < timedelta(seconds=50)


def test_budgets_are_apart(slots: PostgresSlots) -> None:
    """A full one keeps nobody of another one waiting."""
    full, empty = (take(slots, Window(1, 60), budget=name) for name in ("gong x", "gong y"))
    assert (full.wait_s, empty.wait_s) == (0, 0)
    assert take(slots, Window(1, 60)).wait_s > 59


def test_one_too_far_away_is_not_taken(slots: PostgresSlots, engine: Engine) -> None:
    """Whoever will not wait so long leaves the slot to others, and hears how long it would be."""
    take(slots, Window(1, 3600))
    refused = [take(slots, Window(1, 3600), patience_s=60).wait_s for _ in range(3)]
    assert 3590 < min(refused) <= max(refused) <= 3600
    assert rows(engine, "slots") == 1


def test_a_pause_holds_for_all(engine: Engine) -> None:
    """What one process heard from the vendor is heeded by the next one; a shorter pause does not end it."""
    one, other = PostgresSlots(engine), PostgresSlots(engine)
    end = one.pause("gong x", 30)
    one.pause("gong x", 1)
    taken = take(other, Window(3, 1))
    assert taken.at == taken.paused_until == end == other.paused_until("gong x")
    assert 25 < taken.wait_s <= 30
    assert other.paused_until("gong y") is None


def test_a_pause_that_is_over_is_none(slots: PostgresSlots, engine: Engine) -> None:
    """Afterwards slots are free again."""
    slots.pause("gong x", 30)
    age(engine, timedelta(seconds=31))
    assert take(slots, Window(3, 1)).wait_s == 0


def test_the_clocks_of_machines_do_not_matter(engine: Engine) -> None:
    """Two machines whose clocks are a day apart share a window: only the database's clock counts."""
    early, late = FakeClock(), FakeClock()
    late.move(days=1)
    budgets = [Budget("Gong", [Window(2, 30)], clock, PostgresSlots(engine)) for clock in (early, late)]
    for budget in budgets * 2:
        budget.acquire("acme")
    assert [len(early.slept), len(late.slept)] == [1, 1]
    assert all(30 < seconds <= 32 for seconds in (*early.slept, *late.slept))


def test_who_is_killed_takes_nothing_along(url: str, engine: Engine) -> None:
    """A process that is killed with slots in its hand costs those, for one window; nothing stays locked."""
    program = (
        "import os, signal, sys\n"
        "from keyturn.ledger.engine import make_engine\n"
        "from keyturn.ledger.budgets import PostgresSlots\n"
        "from keyturn.ports import Window\n"
        "slots = PostgresSlots(make_engine(sys.argv[1]))\n"
        "for _ in range(3): slots.take('gong x', [Window(3, 60)], 60)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == -9
    slots = PostgresSlots(engine)
    assert 50 < take(slots, Window(3, 60)).wait_s <= 60
    age(engine, timedelta(seconds=120))
    assert take(slots, Window(3, 60)).wait_s == 0


def test_a_slot_is_one_statement(slots: PostgresSlots, engine: Engine) -> None:
    """A call costs the ledger one statement, however long it has to wait."""
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    for _ in range(10):
        take(slots, Window(3, 60))
    assert len(said) == 10


def test_a_slot_ages_while_it_is_asked_for(engine: Engine) -> None:
    """How old the answer is, is told: what the statement took, and not what it took to connect."""
    present = [0.0]

    def pass_by(seconds: float) -> None:
        present[0] += seconds

    event.listen(engine, "connect", lambda *_: pass_by(5.0))
    event.listen(engine, "before_cursor_execute", lambda *_: pass_by(0.25))
    assert take(PostgresSlots(engine, lambda: present[0]), Window(3, 60)).took_s == 0.25
    assert present == [5.25]


def test_threads_ask_one_after_the_other(engine: Engine, threads: ThreadPoolExecutor) -> None:
    """Many threads that begin at once need one connection, and their slots do not age while others connect."""
    opened: list[object] = []
    event.listen(engine, "connect", lambda *_: opened.append(None))
    slots = PostgresSlots(engine)
    takes = [threads.submit(take, slots, Window(1000, 60)) for _ in range(200)]
    assert {each.result().wait_s for each in takes} == {0}
    assert len(opened) == 1


def test_nobody_waits_for_a_thread_that_is_stuck(engine: Engine, threads: ThreadPoolExecutor) -> None:
    """A thread that hears nothing from the ledger does not keep the others from asking."""
    slots, stuck, over = PostgresSlots(engine), Event(), Event()

    def stand(*_: object) -> None:
        if not stuck.is_set():
            stuck.set()
            over.wait()

    event.listen(engine, "before_cursor_execute", stand)
    held = threads.submit(take, slots, Window(3, 60))
    stuck.wait()
    try:
        assert take(slots, Window(3, 60)).wait_s == 0
    finally:
        over.set()
    assert held.result().wait_s == 0


def test_old_slots_do_not_stay(slots: PostgresSlots, engine: Engine) -> None:
    """What no window reaches back to is dropped, two for each that is taken."""
    for _ in range(20):
        take(slots, Window(30, 60))
    age(engine, timedelta(seconds=61))
    for _ in range(10):
        take(slots, Window(30, 60))
    assert rows(engine, "slots") == 10


def test_unused_budgets_do_not_stay(slots: PostgresSlots, engine: Engine) -> None:
    """Whoever comes for the first time forgets those who have not been seen for days; others are left alone."""
    take(slots, Window(3, 1), budget="gong long ago")
    age(engine, 3 * A_DAY)
    take(slots, Window(3, 1), budget="gong lately")
    age(engine, A_DAY)
    take(slots, Window(3, 1), budget="gong new")
    assert (rows(engine, "budgets"), rows(engine, "slots")) == (2, 2)


def test_a_new_budget_may_be_begun_by_many_at_once(engine: Engine, threads: ThreadPoolExecutor) -> None:
    """All of them get a slot of one and the same budget."""
    takes = [threads.submit(take, PostgresSlots(engine), Window(5, 60), budget=f"gong {i // 8}") for i in range(160)]
    assert sum(each.result().wait_s == 0 for each in takes) == 20 * 5
    assert rows(engine, "budgets") == 20


def test_a_raised_limit_counts_at_once(slots: PostgresSlots) -> None:
    """Whoever has bought more calls does not wait for the old window."""
    for _ in range(3):
        take(slots, Window(3, 60))
    assert take(slots, Window(10, 60)).wait_s == 0


def test_a_ledger_that_is_away_gives_none() -> None:
    """Without the ledger no call is made, and trying again later is worth it."""
    away = make_engine("postgresql://nobody@127.0.0.1:1/keyturn?connect_timeout=1")
    budget = Budget("Gong", [Window(3, 1)], SystemClock(), PostgresSlots(away))
    with pytest.raises(UnavailableError):
        budget.acquire()
    away.dispose()


def test_an_older_ledger_is_brought_up_to_date(new_database: Callable[[str], str]) -> None:
    """Before the migration the command is named that helps; after it slots are there; going back drops them all."""
    url = new_database("template0")
    migrate.upgrade(url, "0006")
    engine = make_engine(url)
    slots = PostgresSlots(engine)
    with pytest.raises(ConfigurationError, match="keyturn db upgrade"):
        take(slots, Window(3, 1))
    migrate.upgrade(url)
    assert take(slots, Window(3, 1)).at > datetime.now(UTC) - A_DAY
    migrate.downgrade(url, "0006")
    with pytest.raises(ConfigurationError, match="keyturn db upgrade"):
        take(slots, Window(3, 1))
    engine.dispose()
