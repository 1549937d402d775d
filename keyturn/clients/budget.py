"""How often keyturn may call a vendor: a client-side budget, so that the vendor's own limit is met by waiting.

What a vendor counts is when calls arrive, and that nobody here sees. So a slot is kept a little longer than the
vendor's window (`GIVE`), and is worth a call only while it is fresh: a call that would leave later takes another slot.
Then no window at the vendor holds too many calls, as long as their ways there differ by less than half of the give.
docs/decisions/0021 has the reasons and the figures.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Final, Self

from keyturn.clients.process_slots import ProcessSlots
from keyturn.errors import RateLimitedError, TransientError
from keyturn.ports import Clock, Slots, Taken, Window
from keyturn.settings import GongSettings, StackOneSettings

PATIENCE_S: Final = 65.0
"""Longest wait inside a call, in seconds: a whole window of StackOne fits. Beyond it the caller is told, so that no
worker sleeps for hours."""

GIVE: Final = 0.045
"""By how much longer than the vendor's window a slot is kept: 1 / 1.045 is 95.7 % of the vendor's limit."""

_STALE: Final = 3
"""So many slots are given up because they were over before they could be used. After that a call leaves late: the way
to the ledger is too long for slots to be fresh, and a 429 that is heeded is better than no call at all."""

_HEARSAY_S: Final = 0.5  # so old may be what is known of a pause
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_DAY_S: Final = 86_400
_log = logging.getLogger(__name__)


class Budget:
    """Windows of one vendor, shared by all who take their slots from the same place. Thread-safe.

    Args:
        name: whose budget it is, for messages.
        windows: all of them hold at once, e.g. 3 per second and 10,000 per day; as the vendor publishes them.
        clock: how to wait.
        slots: where slots come from: the ledger. Without it the budget is this process's own.
        key: whose limit it is at the vendor; only a fingerprint of it is shown to `slots`.
        now: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        name: str,
        windows: Sequence[Window],
        clock: Clock,
        slots: Slots | None = None,
        *,
        key: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._clock, self._key, self._now = name, clock, key, now
        self._slots = slots or ProcessSlots(clock)
        self._windows = tuple(Window(window.calls, window.seconds * (1 + GIVE)) for window in windows)
        self._fresh_s = min(window.seconds for window in windows) * GIVE / 2
        self._lock = Lock()
        self._pauses: dict[str, tuple[datetime, float]] = {}
        self._untold: dict[str, float] = {}

    @classmethod
    def gong(cls, settings: GongSettings, clock: Clock, slots: Slots | None = None) -> Self:
        """3 calls a second and 10,000 a day for each company, says Gong's API documentation."""
        windows = Window(settings.calls_per_second, 1), Window(settings.calls_per_day, _DAY_S)
        return cls("Gong", windows, clock, slots)

    @classmethod
    def stackone(cls, settings: StackOneSettings, clock: Clock, slots: Slots | None = None) -> Self:
        """1000 calls a minute for each API key, says StackOne's API documentation."""
        key = settings.api_key.get_secret_value()
        return cls("StackOne", [Window(settings.calls_per_minute, 60)], clock, slots, key=key)

    def acquire(self, company: str = "") -> float:
        """Take one call out of the budget, waiting for it if need be.

        Args:
            company: whose limit it is, where a vendor counts by company.

        Returns:
            Until when the call has to leave, for `confirm`.

        Raises:
            RateLimitedError: the wait would be longer than `PATIENCE_S`; `retry_after_s` says how long.
            TransientError: slots cannot be had now, so no call may be made.
        """
        budget, end, stale = self._called(company), self._now() + PATIENCE_S, 0
        while True:
            taken = self._take(budget, max(0.0, end - self._now()))
            at = self._now() - taken.took_s + taken.wait_s
            if taken.wait_s > 0:
                self._clock.sleep(taken.wait_s)
            leave_by = at + self._fresh_s
            if self._stands(budget, taken):  # first, since it may ask the ledger, and the slot ages meanwhile
                if self._now() <= leave_by:
                    return leave_by
                if stale >= _STALE:
                    return self._now() + self._fresh_s
            stale += 1
            if self._now() > end:
                raise self._spent(_HEARSAY_S)

    def confirm(self, leave_by: float, company: str = "") -> None:
        """Now it leaves: take another slot, if connecting took so long that the first one is over. Raises as above."""
        if self._now() > leave_by:
            self.acquire(company)

    def pause(self, seconds: float, company: str = "") -> None:
        """Let nobody call for so long, because the vendor said so. A shorter pause never ends a longer one."""
        budget = self._called(company)
        try:
            self._hear(budget, self._slots.pause(budget, seconds))
        except TransientError as error:
            # What the vendor answered is not lost for this; and nobody gets a slot from there now.
            with self._lock:
                self._untold[budget] = max(self._untold.get(budget, 0.0), self._now() + seconds)
            _log.warning("a pause of %s cannot be told to others now: %s", self._name, error)

    def _tell(self, budget: str) -> None:
        """Tell the others of a pause that could not be told when it was heard."""
        if end := self._untold.get(budget):
            self._hear(budget, self._slots.pause(budget, max(0.0, end - self._now())))
            with self._lock:
                if self._untold.get(budget) == end:  # and no longer one was heard meanwhile
                    self._untold.pop(budget)

    def _take(self, budget: str, patience_s: float) -> Taken:
        self._tell(budget)
        taken = self._slots.take(budget, self._windows, patience_s)
        self._hear(budget, taken.paused_until)
        if taken.wait_s > patience_s:
            raise self._spent(taken.wait_s)
        return taken

    def _stands(self, budget: str, taken: Taken) -> bool:
        """Whether no pause was heard of since the slot was taken that it falls into."""
        if taken.wait_s > _HEARSAY_S and self._heard_at(budget) < self._now() - _HEARSAY_S:
            self._hear(budget, self._slots.paused_until(budget))
        with self._lock:
            return self._pauses[budget][0] <= taken.at

    def _hear(self, budget: str, paused_until: datetime | None) -> None:
        with self._lock:
            before, _ = self._pauses.get(budget, (_NEVER, 0.0))
            self._pauses[budget] = max(before, paused_until or _NEVER), self._now()

    def _heard_at(self, budget: str) -> float:
        with self._lock:
            return self._pauses[budget][1]

    def _called(self, company: str) -> str:
        """The budget's name where slots come from: the vendor, and a fingerprint of key and company.

        A keyed hash, cut to 64 bits. An API key is long and random, so nobody guesses it from that; of a company it
        is made so that the ledger has no list of names, not because they were secret.
        """
        digest = hmac.new(self._key.encode(), f"keyturn budget {company}".encode(), hashlib.sha256).hexdigest()
        return f"{self._name.lower()} {digest[:16]}"

    def _spent(self, wait_s: float) -> RateLimitedError:
        return RateLimitedError(
            self._name,
            f"keyturn's budget of calls is used up for another {wait_s:.0f} seconds",
            "Wait; if that happens often, look for what else calls with the same account.",
            wait_s,
        )
