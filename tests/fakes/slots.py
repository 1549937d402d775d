"""Slots for several budgets of one test, as the ledger gives them to several processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keyturn.clients.process_slots import ProcessSlots
from keyturn.errors import UnavailableError
from keyturn.ports import Taken, Window


class FakeSlots(ProcessSlots):
    """Implements `keyturn.ports.Slots`, and can be away."""

    away = False

    def take(self, budget: str, windows: Sequence[Window], patience_s: float) -> Taken:
        """Take the next free slot, if somebody is there."""
        self._answer()
        return super().take(budget, windows, patience_s)

    def pause(self, budget: str, seconds: float) -> datetime | None:
        """Give out none for so long, if somebody is there."""
        self._answer()
        return super().pause(budget, seconds)

    def counts(self) -> dict[str, int]:
        """How many slots were taken of each budget, and are remembered."""
        return {budget: len(given.slots) for budget, given in self._given.items()}

    def _answer(self) -> None:
        if self.away:
            raise UnavailableError("ledger", "is away", "Wait.")
