"""What `keyturn doctor --deep` and a restored ledger need of the stores, besides what everybody needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.ports.prefect import RunState


@dataclass(frozen=True, slots=True)
class KeptVersions:
    """Which versions of an integration's pair Vault keeps: the newest one's number (0: none), and those it can read."""

    newest: int
    readable: frozenset[int]


class PairVersions(Protocol):
    """Vault, as far as it says which pairs there are, without reading any."""

    def versions(self, key: IntegrationKey) -> KeptVersions:
        """The versions of an integration's pair."""


@dataclass(frozen=True, slots=True)
class LivingRun:
    """A run that has not ended, as Prefect has it.

    Attributes:
        key: the integration that it was started for, in text.
        attempt: the attempt that it was started for, in text; empty for one from Prefect's own pages.
    """

    id: UUID
    state: RunState
    key: str
    attempt: str


class RunList(Protocol):
    """Prefect, as far as it says what it has altogether."""

    def living(self) -> Sequence[LivingRun]:
        """Every run of an integration that has not ended, all pages."""

    def schedules(self) -> Mapping[str, int]:
        """How many active schedules each flow has that runs by itself, by its deployment's name."""


class Fences(Protocol):
    """The numbers of executions, after the ledger went back in time."""

    def leap(self, attempt_id: UUID, beyond: int, person: Person) -> Attempt:
        """Raise an active attempt's number far beyond its own and `beyond`, and say so in the audit trail.

        Raises:
            RefusedError: it has ended.
        """
