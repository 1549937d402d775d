"""Telling people: by which channels, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from keyturn.domain.notice import Severity


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
        """All channels; none when nothing is configured."""


class Notifier(Protocol):
    """Sends a text by one channel."""

    def send(self, channel: Channel, title: str, body: str, severity: Severity) -> None:
        """Send.

        Raises:
            UnavailableError: it was not taken; trying again may help.
            ConfigurationError: the channel's URL is none that can be used.
        """
