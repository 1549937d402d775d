from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from keyturn.clients.budget import GIVE, PATIENCE_S, Budget
from keyturn.clients.clock import SystemClock
from keyturn.errors import RateLimitedError, UnavailableError
from keyturn.ports import Taken, Window
from keyturn.settings import GongSettings, StackOneSettings
from tests.fakes.clock import FakeClock
from tests.fakes.slots import FakeSlots

SECOND, DAY = Window(3, 1), Window(10_000, 86_400)


class RecordingClock(SystemClock):
    """The system's clock, remembering what was slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        self.slept.append(seconds)
        super().sleep(seconds)


class FarSlots(FakeSlots):
    """Slots that take longer to be had than they are fresh.

    Args:
        clock: by which it takes a tenth of a second.
        took_s: how much of that the slot is old.
    """

    def __init__(self, clock: FakeClock, took_s: float) -> None:
        super().__init__(clock)
        self._present, self._took_s = clock, took_s

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot, in a while."""
        taken = super().take(budget, windows, patience_s)
        self._present.present += timedelta(seconds=0.1)
        return replace(taken, took_s=self._took_s)


@pytest.fixture
def shared(clock: FakeClock) -> FakeSlots:
    """Where the processes of a test take their slots."""
    return FakeSlots(clock)


# --- windows ----------------------------------------------------------------------------------------------------------


def test_calls_within_the_budget_do_not_wait(clock: Any) -> None:
    """A budget that is not used up costs no time."""
    budget = Budget.gong(GongSettings(), clock)
    for _ in range(3):
        budget.acquire()
    assert clock.slept == []


def test_the_call_too_many_waits_for_its_window() -> None:
    """The fourth call within a second waits until the first is a second old, and the give."""
    clock = RecordingClock()
    budget = Budget.gong(GongSettings(), clock)
    began = time.monotonic()
    for _ in range(4):
        budget.acquire()
    assert clock.slept
    assert 1 + GIVE - 0.01 < time.monotonic() - began < 5


def test_threads_share_one_budget() -> None:
    """However many threads ask, no more calls than the window allows are taken without waiting."""
    clock = RecordingClock()
    budget = Budget("a vendor", [Window(5, 2)], clock)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: budget.acquire(), range(10)))
    assert time.monotonic() - began > 2


def test_each_window_holds_wherever_it_begins(clock: FakeClock) -> None:
    """Of a thousand calls in a row no window begins anywhere in which there are too many, and it is nearly full."""
    budget, taken = Budget("a vendor", [SECOND, Window(100, 60)], clock), []
    for _ in range(1000):
        budget.acquire()
        taken.append(clock.now())
    for window in (SECOND, Window(100, 60)):
        spans = [b - a for a, b in zip(taken, taken[window.calls :], strict=False)]
        assert min(spans) > timedelta(seconds=window.seconds)
    nine_minutes_and_the_last_hundred_s = (9 * 60 + 99 / 3) * 1.05
    assert (taken[-1] - taken[0]).total_seconds() < nine_minutes_and_the_last_hundred_s


def test_a_spent_daily_budget_is_said_and_not_slept(clock: Any) -> None:
    """When the day's calls are used up the caller learns how long that lasts."""
    budget = Budget("a vendor", [replace(DAY, calls=2)], clock)
    budget.acquire()
    budget.acquire()
    with pytest.raises(RateLimitedError) as caught:
        budget.acquire()
    assert 86_400 < caught.value.retry_after_s <= 86_400 * (1 + GIVE)
    assert clock.slept == []


def test_a_ledger_far_away_slows_calls_down_and_does_not_stop_them(clock: FakeClock) -> None:
    """After a few slots that were over before they were heard of, a call leaves late, and needs no other slot."""
    far = FarSlots(clock, took_s=0.1)
    budget = Budget("a vendor", [SECOND, DAY], clock, far, now=lambda: clock.now().timestamp())
    leave_by = budget.acquire()
    budget.confirm(leave_by)
    assert list(far.counts().values()) == [4]


def test_the_way_to_the_ledger_makes_no_slot_old(clock: FakeClock) -> None:
    """What it took to get a connection does not count: the slot was given out afterwards, and one is enough."""
    slots = FarSlots(clock, took_s=0.0)
    budget = Budget("a vendor", [SECOND, DAY], clock, slots, now=lambda: clock.now().timestamp())
    budget.confirm(budget.acquire())
    assert list(slots.counts().values()) == [1]


def test_a_refused_call_takes_nothing(clock: Any, shared: FakeSlots) -> None:
    """Whoever is not willing to wait for a slot leaves it to others."""
    budget = Budget("a vendor", [Window(1, 100)], clock, shared)
    budget.acquire()
    for _ in range(3):
        with pytest.raises(RateLimitedError):
            budget.acquire()
    clock.present += timedelta(seconds=100 * (1 + GIVE))
    budget.acquire()
    assert clock.slept == []


def test_the_vendors_limits_are_those_they_publish(clock: Any) -> None:
    """Gong: 3 a second and 10,000 a day. StackOne: 1000 a minute. A slot is kept for a little longer than that."""
    gong, stackone = Budget.gong(GongSettings(), clock), Budget.stackone(StackOneSettings(), clock)
    kept = [(w.calls, w.seconds / (1 + GIVE)) for budget in (gong, stackone) for w in budget._windows]
    assert kept == [(3, 1), (10_000, 86_400), (1000, 60)]
    assert 1 / (1 + GIVE) > 0.95


def test_a_bought_limit_is_kept(clock: Any) -> None:
    """Whoever has bought more says so in the settings."""
    bought = Budget.stackone(StackOneSettings(calls_per_minute=3000), clock)
    gong = Budget.gong(GongSettings(calls_per_second=10, calls_per_day=50_000), clock)
    assert [w.calls for budget in (bought, gong) for w in budget._windows] == [3000, 10, 50_000]


# --- who shares it ----------------------------------------------------------------------------------------------------


def test_a_key_has_one_budget_wherever_it_is_used(clock: FakeClock, shared: FakeSlots) -> None:
    """Two processes with one key share its budget; another key has its own; none of them is in the budget's name."""
    keys = ["v1.eu1.canary-of-one", "v1.eu1.canary-of-one", "v1.eu1.canary-of-two"]
    settings = [StackOneSettings(api_key=SecretStr(key)) for key in keys]
    for each in settings:
        Budget.stackone(each, clock, shared).acquire()
    assert sorted(shared.counts().values()) == [1, 2]
    assert "canary" not in str(shared.counts())


def test_each_company_has_a_budget_of_its_own(clock: FakeClock, shared: FakeSlots) -> None:
    """One company's calls never wait for another's."""
    budget = Budget.gong(GongSettings(), clock, shared)
    for company in ("acme", "globex") * 3:
        budget.acquire(company)
    assert clock.slept == []
    assert sorted(shared.counts().values()) == [3, 3]
    assert "acme" not in str(shared.counts())


def test_without_slots_no_call_is_made(clock: FakeClock, shared: FakeSlots) -> None:
    """Whoever cannot ask does not call: another machine may be using the budget up."""
    budget = Budget.stackone(StackOneSettings(), clock, shared)
    shared.away = True
    with pytest.raises(UnavailableError):
        budget.acquire()


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_a_pause_makes_the_next_call_wait(clock: Any) -> None:
    """Retry-After is heeded by whoever calls next."""
    budget = Budget.stackone(StackOneSettings(), clock)
    budget.pause(7)
    budget.acquire()
    budget.acquire()
    assert clock.slept == [7]


def test_a_shorter_pause_does_not_end_a_longer_one(clock: Any) -> None:
    """The longest of several pauses counts."""
    budget = Budget.stackone(StackOneSettings(), clock)
    budget.pause(30)
    budget.pause(1)
    budget.acquire()
    assert clock.slept == [30]


def test_a_pause_longer_than_patience_is_said_and_not_slept(clock: Any) -> None:
    """No worker sleeps for an hour because a vendor said so."""
    budget = Budget.stackone(StackOneSettings(), clock)
    budget.pause(PATIENCE_S + 1)
    with pytest.raises(RateLimitedError) as caught:
        budget.acquire()
    assert caught.value.retry_after_s == PATIENCE_S + 1


class PausedMeanwhile(FakeClock):
    """A clock by which another process hears a pause while one sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.other: Budget | None = None

    def sleep(self, seconds: float) -> None:
        """Move on; the pause comes at the end of the first sleep."""
        super().sleep(seconds)
        other, self.other = self.other, None
        if other:
            other.pause(20)


def test_who_waits_already_heeds_a_pause_that_another_one_hears() -> None:
    """A slot that was taken before the pause was known is not used inside of it."""
    clock = PausedMeanwhile()
    shared = FakeSlots(clock)

    def now() -> float:
        return clock.time.timestamp()

    one, other = (Budget("a vendor", [Window(1, 5)], clock, shared, now=now) for _ in range(2))
    one.acquire()
    clock.other = other
    one.acquire()
    assert clock.slept == [pytest.approx(5 * (1 + GIVE)), pytest.approx(20)]


def test_a_pause_that_cannot_be_told_is_kept_by_who_heard_it(clock: FakeClock, shared: FakeSlots) -> None:
    """The vendor's answer is not lost because the ledger is away."""
    budget = Budget.stackone(StackOneSettings(), clock, shared)
    shared.away = True
    budget.pause(30)
    shared.away = False
    budget.acquire()
    assert clock.slept == [pytest.approx(30, abs=5)]


# --- slots are worth something only while they are fresh --------------------------------------------------------------


def test_who_was_held_up_takes_another_slot(clock: FakeClock, shared: FakeSlots) -> None:
    """A process that stood still after it got its slot does not call in it: the vendor would see two slots as one."""
    present = [0.0]
    budget = Budget("a vendor", [Window(3, 10)], clock, shared, now=lambda: present[0])
    leave_by = budget.acquire()
    budget.confirm(leave_by)
    assert sum(shared.counts().values()) == 1
    present[0] += 1.0
    budget.confirm(leave_by)
    assert sum(shared.counts().values()) == 2


def test_a_slot_is_worth_a_call_for_half_of_the_give(clock: FakeClock, shared: FakeSlots) -> None:
    """Up to then a call leaves in it, however late it was handed out, and after that in another one."""
    present = [0.0]
    budget = Budget("a vendor", [Window(3, 10)], clock, shared, now=lambda: present[0])
    fresh_s = 10 * GIVE / 2
    leave_by = budget.acquire()
    assert leave_by == fresh_s
    present[0] += fresh_s
    budget.confirm(leave_by)
    assert sum(shared.counts().values()) == 1
    present[0] += 0.5 * fresh_s
    budget.confirm(leave_by)
    assert sum(shared.counts().values()) == 2


class SlowToTell(FakeSlots):
    """Slots whose place answers at once, but for the question after a pause."""

    asked = taken = 0

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot, and count it."""
        self.taken += 1
        return super().take(budget, windows, patience_s)

    def paused_until(self, budget: str) -> datetime | None:
        """Until when none is given out; the first answer is under way for a while."""
        self.asked += 1
        if self.asked == 1:
            self._clock.sleep(0.7)
        return super().paused_until(budget)


def test_a_slot_ages_while_the_ledger_is_asked_for_a_pause(clock: FakeClock) -> None:
    """Whoever hears too late that no pause was told takes another slot: the vendor sees when calls come."""
    slots = SlowToTell(clock)
    budget = Budget("a vendor", [Window(1, 5)], clock, slots, now=lambda: clock.now().timestamp())
    budget.acquire()
    left_at = budget.acquire() - 5 * GIVE / 2
    assert (slots.asked, slots.taken) == (2, 3)
    assert clock.now().timestamp() == pytest.approx(left_at)


class Flapping(FakeSlots):
    """Slots whose place is away when a second pause is to be told, while the first is being told."""

    budget: Budget

    def pause(self, budget: str, seconds: float) -> datetime | None:
        """Tell a pause; meanwhile another thread hears of a longer one, and cannot tell it."""
        end = super().pause(budget, seconds)
        if seconds < 10:
            self.away = True
            self.budget.pause(40)
            self.away = False
        return end


def test_a_longer_pause_that_is_heard_while_one_is_told_is_not_forgotten(clock: FakeClock) -> None:
    """Two threads at a ledger that comes and goes: the vendor's longest pause is heeded."""
    slots = Flapping(clock)
    budget = slots.budget = Budget("a vendor", [Window(3, 10)], clock, slots, now=lambda: clock.now().timestamp())
    slots.away = True
    budget.pause(5)
    slots.away = False
    budget.acquire()
    budget.acquire()
    assert sum(clock.slept) >= 39


def test_who_is_always_too_late_calls_late(clock: FakeClock, shared: FakeSlots) -> None:
    """A machine too slow to use any slot uses up a few of them, and not the budget, before it calls all the same."""
    seconds = iter(range(10_000))
    budget = Budget("a vendor", [Window(1000, 10)], clock, shared, now=lambda: float(next(seconds)))
    budget.acquire()
    assert sum(shared.counts().values()) == 4
