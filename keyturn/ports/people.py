"""Whom Vault knows."""

from __future__ import annotations

from typing import Protocol


class People(Protocol):
    """Vault's identities. They make one human one person, wherever that human signed in."""

    def entity(self, name: str, accessor: str) -> str | None:
        """Who is behind a name, by the id that `Person.id` is made of; `None`: nobody, or somebody who is disabled.

        Args:
            name: of a person, at the sign-in that is meant.
            accessor: of that sign-in: a mount's accessor.
        """
