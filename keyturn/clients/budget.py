"""How often keyturn may call a vendor: a client-side budget, so that the vendor's own limit is met by waiting."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from threading import Lock
from typing import Self

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from keyturn.errors import RateLimitedError
from keyturn.ports import Clock

PATIENCE_S = 60.0
"""Longest single wait inside a call, in seconds. Beyond it the caller is told, so that no worker sleeps for hours."""


class Budget:
    """Moving windows of one vendor, shared by all threads of a process.

    Several processes have a budget each; the vendor's 429 is what they have in common, and `pause` is how it is heeded.
    The windows run on the system's time, which `limits` reads itself; waiting and pausing go through the clock.

    Args:
        name: whose budget it is, for messages.
        windows: all of them hold at once, e.g. 3 per second and 10,000 per day.
        clock: how to wait.
    """

    def __init__(self, name: str, windows: Sequence[RateLimitItem], clock: Clock) -> None:
        self._name, self._windows, self._clock = name, tuple(windows), clock
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = Lock()
        self._paused_until = clock.now()

    @classmethod
    def gong(cls, clock: Clock) -> Self:
        """3 calls a second and 10,000 a day for each company, says Gong's API documentation."""
        return cls("Gong", [RateLimitItemPerSecond(3), RateLimitItemPerDay(10_000)], clock)

    @classmethod
    def stackone(cls, clock: Clock) -> Self:
        """1000 calls a minute for each API key, says StackOne's API documentation."""
        return cls("StackOne", [RateLimitItemPerMinute(1000)], clock)

    def acquire(self) -> None:
        """Take one call out of the budget, waiting for it if need be.

        Raises:
            RateLimitedError: the wait would be longer than `PATIENCE_S`; `retry_after_s` says how long.
        """
        while (wait_s := self._take()) > 0:
            if wait_s > PATIENCE_S:
                raise self._spent(wait_s)
            self._clock.sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Let nobody call for so long, because the vendor said so. A shorter pause never ends a longer one."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.now() + timedelta(seconds=seconds))

    def _take(self) -> float:
        """Take one call and return 0, or take nothing and return the seconds until it is worth asking again."""
        with self._lock:
            wait_s = max(self._pause_left_s(), *(self._full_for_s(window) for window in self._windows))
            if wait_s <= 0:
                for window in self._windows:
                    self._limiter.hit(window, self._name)
            return wait_s

    def _pause_left_s(self) -> float:
        return (self._paused_until - self._clock.now()).total_seconds()

    def _full_for_s(self, window: RateLimitItem) -> float:
        stats = self._limiter.get_window_stats(window, self._name)
        # Never 0 while full: the oldest call leaves the window just after its time, not at it.
        return 0.0 if stats.remaining > 0 else max(stats.reset_time - time.time(), 0.001)

    def _spent(self, wait_s: float) -> RateLimitedError:
        return RateLimitedError(
            self._name,
            f"keyturn's budget of calls is used up for another {wait_s:.0f} seconds",
            "Wait; if that happens often, look for what else calls with the same account.",
            wait_s,
        )
