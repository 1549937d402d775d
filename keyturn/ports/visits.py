"""Who is signed in at the console, and what it has to remember. Nothing here holds a secret: tokens are hashed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keyturn.domain.gate import Person


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in.

    Attributes:
        ends_at: when it ends at the latest; being idle ends it sooner.
    """

    person: Person
    began_at: datetime
    ends_at: datetime


class Visits(Protocol):
    """Sessions, one-time links, limits, ticks: what replicas of the console share. Every method is one transaction."""

    def begin(self, token: str, person: Person, ends_at: datetime) -> None:
        """Begin a session; only the token's hash is kept. It is written to the audit trail (`console.signed_in`)."""

    def visit(self, token: str, idle_s: float, *, counts: bool = True) -> Session | None:
        """The session of a token; `None` when there is none (any more).

        Args:
            token: as the browser has it.
            idle_s: after this long without use it is over.
            counts: whether this is a use. A page that follows changes by itself is none.
        """

    def end(self, token: str) -> Person | None:
        """End a session; gives whose it was (`console.signed_out`)."""

    def end_all(self, who: str, by: Person) -> int:
        """End every session of a person, and let no code sign them in; gives how many sessions there were.

        Args:
            who: their id; or their name, and then of everybody who is called that.
            by: the operator who does it, as the audit trail has it (`console.signed_out`).
        """

    def offer(self, code: str, person: Person, ends_at: datetime) -> None:
        """Keep a one-time code by which a person signs in; only its hash."""

    def redeem(self, code: str) -> Person | None:
        """Whom a one-time code signs in, once; `None` when it is unknown, used or too old."""

    def tries(self, bucket: str, window_s: float) -> int:
        """Note one more try in a bucket, e.g. `intake/<person>`; gives how many there were within the window."""

    def first(self, about: str, window_s: float) -> bool:
        """Whether this is the first time within the window that this was seen, e.g. `webhook/<digest>`."""

    def seen(self, about: str) -> bool:
        """Whether that was seen within its window; it is not noted."""

    def ticked(self, gate_id: UUID, person_id: str) -> frozenset[int]:
        """Which steps of a gate's kit this person has ticked off, counted from 1."""

    def tick(self, gate_id: UUID, person_id: str, step: int, *, done: bool) -> None:
        """Tick a step off, or take that back."""

    def prune(self) -> None:
        """Forget what is over: old sessions, codes, tries."""
