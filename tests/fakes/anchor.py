"""An anchor in memory."""

from __future__ import annotations

from keyturn.domain.trail import GENESIS, Head
from keyturn.errors import KeyturnError
from keyturn.ports import Anchored


class FakeAnchor:
    """Implements `keyturn.ports.Anchor`.

    Attributes:
        moved: every head it was given.
        down: raised by whatever is asked of it.
        overtaken: somebody else is always faster.
    """

    def __init__(self) -> None:
        self.moved: list[Head] = []
        self.down: KeyturnError | None = None
        self.overtaken = False

    def read(self) -> Anchored:
        """The head that was kept last."""
        if self.down:
            raise self.down
        return Anchored(self.moved[-1] if self.moved else GENESIS, len(self.moved))

    def move(self, head: Head, revision: int) -> bool:
        """Keep another one."""
        if self.overtaken or revision != len(self.moved):
            return False
        self.moved.append(head)
        return True
