"""The audit trail as a chain, and where its head is kept outside of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from uuid import UUID

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.trail import AuditEntry, Chained, Head, Inspection


class Trail(Protocol):
    """The ledger's audit trail, read row by row however long it is."""

    def entries(self, key: IntegrationKey | None = None) -> Iterator[Chained]:
        """All rows, or those about one integration, oldest first."""

    def latest(
        self, key: IntegrationKey, limit: int, *, before_seq: int | None = None, attempt_id: UUID | None = None
    ) -> Sequence[Chained]:
        """The newest rows about one integration, newest first.

        Args:
            key: which integration.
            limit: how many at most.
            before_seq: only rows before this one.
            attempt_id: only rows about this attempt of it.
        """

    def head(self) -> Head:
        """The last row; `GENESIS` when there is none."""

    def verify(self, known: Head, *, whole: bool = True) -> Inspection:
        """Follow the chain, and look for a head that was kept elsewhere (`GENESIS`: none was).

        Args:
            known: must be one of the rows.
            whole: from the first row on; otherwise from `known` on.
        """

    def add(self, entry: AuditEntry) -> None:
        """Say something about the trail itself. What is about an attempt is said in the transaction that does it."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """The head that was kept last.

    Attributes:
        head: `GENESIS` when none was kept yet.
        revision: the version that holds it; 0 when none does.
        checked_on: the day, in UTC, for which somebody took it on to follow the whole trail; `None` when nobody did.
    """

    head: Head
    revision: int
    checked_on: date | None = None


class Anchor(Protocol):
    """Where the trail's head is kept, out of reach of whoever can write to the ledger's database."""

    def read(self) -> Anchored:
        """The head that was kept last.

        Raises:
            VendorRefusedError: it was deleted by hand, or is none; or this sign-in may not read it.
        """

    def move(self, head: Head, revision: int, checked_on: date | None = None) -> bool:
        """Keep another head or day, if `revision` is still the newest.

        Returns:
            Whether it is kept; `False` when somebody else has moved it since it was read.
        """
