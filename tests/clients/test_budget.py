from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from limits import RateLimitItemPerDay, RateLimitItemPerSecond

from keyturn.clients.budget import PATIENCE_S, Budget
from keyturn.clients.clock import SystemClock
from keyturn.errors import RateLimitedError


class RecordingClock(SystemClock):
    """The system's clock, remembering what was slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        self.slept.append(seconds)
        super().sleep(seconds)


def test_calls_within_the_budget_do_not_wait(clock: Any) -> None:
    """A budget that is not used up costs no time."""
    budget = Budget.gong(clock)
    for _ in range(3):
        budget.acquire()
    assert clock.slept == []


def test_the_call_too_many_waits_for_its_window() -> None:
    """The fourth call within a second waits until the first is a second old."""
    clock = RecordingClock()
    budget = Budget.gong(clock)
    began = time.monotonic()
    for _ in range(4):
        budget.acquire()
    assert clock.slept
    assert 0.9 < time.monotonic() - began < 5


def test_threads_share_one_budget() -> None:
    """However many threads ask, no more calls than the window allows are taken without waiting."""
    clock = RecordingClock()
    budget = Budget("a vendor", [RateLimitItemPerSecond(5, 2)], clock)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: budget.acquire(), range(10)))
    assert time.monotonic() - began > 1.5


def test_a_spent_daily_budget_is_said_and_not_slept(clock: Any) -> None:
    """When the day's calls are used up the caller learns how long that lasts."""
    budget = Budget("a vendor", [RateLimitItemPerDay(2)], clock)
    budget.acquire()
    budget.acquire()
    with pytest.raises(RateLimitedError) as caught:
        budget.acquire()
    assert 86_000 < caught.value.retry_after_s <= 86_400
    assert clock.slept == []


def test_a_refused_call_takes_nothing_from_the_other_windows(clock: Any) -> None:
    """A call that the day forbids leaves the second's budget alone."""
    second, day = RateLimitItemPerSecond(2), RateLimitItemPerDay(1)
    budget = Budget("a vendor", [second, day], clock)
    budget.acquire()
    with pytest.raises(RateLimitedError):
        budget.acquire()
    assert budget._limiter.get_window_stats(second, "a vendor").remaining == 1


def test_a_pause_makes_the_next_call_wait(clock: Any) -> None:
    """Retry-After is heeded by whoever calls next."""
    budget = Budget.stackone(clock)
    budget.pause(7)
    budget.acquire()
    budget.acquire()
    assert clock.slept == [7]


def test_a_shorter_pause_does_not_end_a_longer_one(clock: Any) -> None:
    """The longest of several pauses counts."""
    budget = Budget.stackone(clock)
    budget.pause(30)
    budget.pause(1)
    budget.acquire()
    assert clock.slept == [30]


def test_a_pause_longer_than_patience_is_said_and_not_slept(clock: Any) -> None:
    """No worker sleeps for an hour because a vendor said so."""
    budget = Budget.stackone(clock)
    budget.pause(PATIENCE_S + 1)
    with pytest.raises(RateLimitedError) as caught:
        budget.acquire()
    assert caught.value.retry_after_s == PATIENCE_S + 1


def test_the_vendors_limits_are_those_they_publish(clock: Any) -> None:
    """Gong: 3 a second and 10,000 a day. StackOne: 1000 a minute."""
    gong = [(w.amount, w.get_expiry()) for w in Budget.gong(clock)._windows]
    stackone = [(w.amount, w.get_expiry()) for w in Budget.stackone(clock)._windows]
    assert (gong, stackone) == ([(3, 1), (10_000, 86_400)], [(1000, 60)])
