"""What the watch saw, and how the fleet is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from keyturn.domain.attempt import Attempt, Stage
from keyturn.domain.gate import Gate
from keyturn.domain.health import Cause, Drift, Health, Observation, Subject, Transition
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Rotation


@dataclass(frozen=True, slots=True)
class Member:
    """An integration of the fleet at a glance.

    Attributes:
        attempt: the newest one; `None` when it was never onboarded.
        done: the stages of that attempt that have a receipt.
        gates: what that attempt asks people now, oldest first.
        rotation: the policy of the manifest that was applied; `None` when none was.
        turned_at: when the secret in use became that.
    """

    key: IntegrationKey
    attempt: Attempt | None
    done: frozenset[Stage]
    gates: tuple[Gate, ...]
    rotation: Rotation | None
    turned_at: datetime | None


class Observatory(Protocol):
    """Observations, and the conditions that they amount to. Every method is one transaction."""

    def observe(
        self,
        key: IntegrationKey,
        observations: Sequence[Observation],
        drifts: Sequence[Drift],
        unknown: Collection[Cause],
    ) -> Sequence[Transition]:
        """Keep one round's observations, and move the integration's conditions on.

        Two rounds at once come one after the other, so that nothing is raised twice. NOT_SEEN is found here, since it
        takes several rounds. What is raised or cleared is owed to people as a notice.

        Args:
            key: the integration.
            observations: at most one of each subject.
            drifts: what they mean (`keyturn.domain.diagnosis.diagnose`).
            unknown: the causes that this round says nothing about; they stay as they are.

        Returns:
            What was raised or cleared.
        """

    def health(self, key: IntegrationKey) -> Health:
        """How the watch left an integration."""

    def last_fine(self, key: IntegrationKey, subject: Subject) -> datetime | None:
        """When a subject was last seen in order; `None` if never, or longer ago than observations are kept."""

    def history(self, key: IntegrationKey, limit: int) -> Sequence[Observation]:
        """The looks at an integration that found something else than the look before, of each subject; newest first.

        The first look at a subject is one of them. How far it goes back is bounded: a thousand looks at each.
        """

    def fleet(self, keys: Collection[IntegrationKey] | None = None) -> Mapping[IntegrationKey, Health]:
        """All integrations, or these, in a constant number of statements."""

    def members(self, keys: Collection[IntegrationKey] | None = None) -> Sequence[Member]:
        """All integrations, or these, and where they stand, sorted, in a constant number of statements."""

    def claim(self, now: datetime, older_than: datetime, limit: int) -> Sequence[IntegrationKey]:
        """Take integrations on that nobody has taken on since then, those longest unseen first.

        Any number of workers share the fleet by it: each gets others. One that dies has only put its share off.
        """

    def concerned(self, account_id: str, owner_id: str) -> Sequence[IntegrationKey]:
        """The integrations that a linked account belongs to, or that wait for an account of this origin owner.

        A handful at most: one proof owner may be that of many integrations.
        """

    def hasten(self, key: IntegrationKey) -> None:
        """Have an integration taken on before all others, once. Asking again changes nothing until it was."""

    def prune(self, before: datetime, limit: int) -> int:
        """Forget up to so many observations from before; returns how many there were."""
