"""Slots of one process, for machines without a ledger: nothing is shared but among threads."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from keyturn.ports import Clock, Slots, Taken, Window


@dataclass(slots=True)
class _Given:
    """What was given out of one budget, the oldest first."""

    slots: deque[datetime] = field(default_factory=deque)
    paused_until: datetime | None = None

    def next_at(self, windows: Sequence[Window], now: datetime) -> datetime:
        """The moment of the next slot: after all before it, and a window after as many before as it may hold."""
        full = [
            self.slots[-window.calls] + timedelta(seconds=window.seconds)
            for window in windows
            if len(self.slots) >= window.calls
        ]
        return max(now, *full, *list(self.slots)[-1:], self.paused_until or now)

    def give(self, at: datetime, most: int) -> None:
        """Remember a slot, and forget what no window reaches back to."""
        self.slots.append(at)
        while len(self.slots) > most:
            self.slots.popleft()


class ProcessSlots(Slots):
    """Slots in memory, by the clock of the process."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, Lock()
        self._given: dict[str, _Given] = defaultdict(_Given)

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot."""
        with self._lock:
            given, now = self._given[budget], self._clock.now()
            at = given.next_at(windows, now)
            wait_s = (at - now).total_seconds()
            if wait_s <= patience_s:
                given.give(at, max(window.calls for window in windows))
            return Taken(at, wait_s, given.paused_until)

    def pause(self, budget: str, seconds: float) -> datetime | None:
        """Give out none for so long."""
        with self._lock:
            given, end = self._given[budget], self._clock.now() + timedelta(seconds=seconds)
            given.paused_until = max(end, given.paused_until or end)
            return given.paused_until

    def paused_until(self, budget: str) -> datetime | None:
        """Until when none is given out."""
        with self._lock:
            return self._given[budget].paused_until
