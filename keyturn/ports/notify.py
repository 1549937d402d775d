"""Telling people: what is owed to them, by which channels they are reached, and doing it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keyturn.domain.notice import Notice, Owed, Severity


@dataclass(frozen=True, slots=True)
class Channel:
    """Where notices go, as Vault holds it.

    Attributes:
        url: an Apprise URL, e.g. `slack://…`; it holds a secret.
        at_least: notices below this severity are not for this channel.
        events: patterns such as `rotation.*`; one of them must match.
    """

    name: str
    url: str = field(repr=False)
    at_least: Severity = Severity.WARNING
    events: tuple[str, ...] = ("*",)


class Channels(Protocol):
    """Which channels there are."""

    def channels(self) -> Sequence[Channel]:
        """All channels; none when nothing is configured.

        Raises:
            ConfigurationError: what is configured cannot be used; says which field, never a value.
        """


class Notifier(Protocol):
    """Sends a text by one channel."""

    def send(self, channel: Channel, title: str, body: str, severity: Severity) -> None:
        """Send.

        Raises:
            UnavailableError: it was not taken; trying again may help.
            ConfigurationError: the channel's URL is none that can be used.
        """


class Outbox(Protocol):
    """What people are still to be told. A notice stays until every channel that wants it has taken it."""

    def tell(self, notice: Notice) -> bool:
        """Keep it to be told; `False` when `about` was told, or is to be told, already."""

    def tell_all(self, notices: Sequence[Notice]) -> int:
        """Keep all that are new, in a few statements for a thousand of them; gives how many those are."""

    def owed(self, now: datetime, limit: int) -> Sequence[Owed]:
        """Claim notices that are due, those tried least first.

        Nobody else is given them for a quarter of an hour; what is not settled by then is due again.
        """

    def settle(self, notice_id: UUID, delivered: Collection[str], next_try_at: datetime | None, failure: str) -> None:
        """Say what came of a claimed notice.

        Args:
            notice_id: the `id` of what was owed.
            delivered: names of all channels that have taken it so far.
            next_try_at: when to try again; `None` ends it, told or given up.
            failure: why it was not taken by all, without secrets; empty when nobody was asked in vain. It counts a try.
        """
