"""What is counted for monitoring."""

from __future__ import annotations

from typing import Protocol

from keyturn.domain.gauges import CallOutcome, Readings


class Gauges(Protocol):
    """The fleet in numbers, beside its pictures (`keyturn.ports.Fleet`)."""

    def read(self) -> Readings:
        """Count now, in a constant number of statements."""


class Tally(Protocol):
    """Counts requests to vendors, in every process that makes any. Never raises: nothing may fail for being counted."""

    def count(self, vendor: str, outcome: CallOutcome) -> None:
        """One more request."""

    def flush(self) -> None:
        """Write down what was counted; what cannot be written now is written the next time."""
