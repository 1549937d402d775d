"""An anchor in memory."""

from __future__ import annotations

from datetime import date

from keyturn.domain.trail import GENESIS, Head
from keyturn.errors import KeyturnError
from keyturn.ports import Anchored


class FakeAnchor:
    """Implements `keyturn.ports.Anchor`.

    Attributes:
        moved: every head it was given.
        checked_on: the last day it was given.
        down: raised by whatever is asked of it.
        overtaken: somebody else is always faster.
    """

    def __init__(self) -> None:
        self.moved: list[Head] = []
        self.checked_on: date | None = None
        self.down: KeyturnError | None = None
        self.overtaken = False

    def read(self) -> Anchored:
        """The head that was kept last."""
        if self.down:
            raise self.down
        if not self.moved:
            return Anchored(GENESIS, 0)
        return Anchored(self.moved[-1], len(self.moved), self.checked_on)

    def move(self, head: Head, revision: int, checked_on: date | None = None) -> bool:
        """Keep another one."""
        if self.overtaken or revision != len(self.moved):
            return False
        self.moved.append(head)
        self.checked_on = checked_on
        return True
