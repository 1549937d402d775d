"""Time that a test owns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Implements `keyturn.ports.Clock`. Time moves only when a test says so, or somebody sleeps."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The present of this test."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)

    def move(self, **duration: float) -> None:
        """Let time pass, given as for `timedelta`."""
        self.time += timedelta(**duration)
