"""The fleet, for whoever looks at many integrations at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from keyturn.domain.fleet import FleetPage, FleetQuery, FleetRow, Pictures
from keyturn.domain.integration import IntegrationKey


class Fleet(Protocol):
    """The fleet. What it costs to ask does not grow with the number of integrations, or hardly."""

    def search(self, query: FleetQuery) -> FleetPage:
        """A page of integrations.

        Raises:
            ConfigurationError: `query.after` is no `next` of such a list.
        """

    def row(self, key: IntegrationKey) -> FleetRow | None:
        """One integration; `None` when it is not known."""

    def waiting_for(self, groups: Sequence[str], limit: int) -> Sequence[FleetRow]:
        """What waits for one of these groups, the most urgent first."""

    def pictures(self) -> Pictures:
        """What the pictures show; counted at most every quarter of a minute, for everybody."""

    def refresh(self, limit: int) -> int:
        """List integrations anew that have changed, so many or a few more; gives how many.

        Whoever reads does so as well. This is for a fleet that nobody looks at.
        """

    def changes(self, timeout_s: float) -> Iterator[frozenset[IntegrationKey]]:
        """Which integrations changed, as it happens; an empty set after `timeout_s` seconds without any. Endless.

        The first item comes at once, so nothing falls between looking and listening.
        """
