"""Time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present, with time zone UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
