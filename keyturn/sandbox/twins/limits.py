"""Calls allowed in a window of time, as the vendors count them."""

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Limit(NamedTuple):
    """So many calls in any window of so many seconds."""

    calls: int
    seconds: int


class Windows:
    """The calls of the last while, in memory: a restarted twin starts counting anew."""

    def __init__(self) -> None:
        self._taken: dict[Limit, deque[datetime]] = {}

    def take(self, limits: Sequence[Limit], now: datetime) -> int | None:
        """Take one call from all limits: None if allowed, else whole seconds until it would be (at least 1)."""
        waits = [wait for limit in limits if (wait := self._wait(limit, now))]
        if waits:
            return max(waits)
        for limit in limits:
            self._taken[limit].append(now)
        return None

    def clear(self) -> None:
        """Forget all calls."""
        self._taken.clear()

    def _wait(self, limit: Limit, now: datetime) -> int:
        taken = self._taken.setdefault(limit, deque())
        window = timedelta(seconds=limit.seconds)
        while taken and not now - window < taken[0] <= now:
            taken.popleft()
        if len(taken) < limit.calls:
            return 0
        oldest = taken[-limit.calls] if limit.calls else now
        return max(1, math.ceil((oldest + window - now).total_seconds()))
