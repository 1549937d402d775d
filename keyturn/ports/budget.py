"""How often vendors may be called: slots, given out one after the other to whoever shares a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many slots in any span of so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """A slot, or how far away it would be.

    Attributes:
        at: the moment of the slot, by the clock of whoever gives out slots.
        wait_s: seconds to `at`. When that is more than the patience, nothing was taken.
        paused_until: nobody calls before; `None` if the vendor never said so.
        took_s: seconds since `wait_s` was true, at most, when the answer came.
    """

    at: datetime
    wait_s: float
    paused_until: datetime | None
    took_s: float = 0.0


class Slots(Protocol):
    """Gives out slots, first come, first served. A slot once taken is used up, whether a call is made in it or not."""

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot, unless it is further away than the patience.

        Args:
            budget: whose it is: a vendor, and a key or a company. No secret.
            windows: all of them hold at once.
            patience_s: longest wait, in seconds.
        """

    def pause(self, budget: str, seconds: float) -> datetime | None:
        """Give out none for so long; gives until when. A shorter pause never ends a longer one."""

    def paused_until(self, budget: str) -> datetime | None:
        """Until when none is given out, if that was ever said. May be over."""
