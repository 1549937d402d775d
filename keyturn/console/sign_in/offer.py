"""Makes one-time links, for whoever is at the command line of the machine that the console runs on."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyturn.console import premises
from keyturn.console.access import ANY_GROUP
from keyturn.domain.gate import Person
from keyturn.errors import ConfigurationError, NotPermittedError
from keyturn.wiring import Ports

LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Offered:
    """A link that signs somebody in, once.

    Attributes:
        url: its code is in the fragment, which no server, log or proxy sees.
    """

    url: str = field(repr=False)
    ends_at: datetime


def offer(ports: Ports, person: Person) -> Offered:
    """Make a link for somebody whom Vault vouches for.

    Raises:
        ConfigurationError: the console takes none.
        NotPermittedError: this person could do nothing there.
    """
    console = ports.settings.console
    premises.check(console)
    if not console.sign_in_links:
        raise ConfigurationError(
            "KEYTURN_CONSOLE__SIGN_IN_LINKS",
            "is off, so the console takes no links",
            "Set it to true for the console, too; only for one on this machine alone.",
        )
    if not ANY_GROUP.admits(person):
        raise NotPermittedError(
            person.name, "is in no group of keyturn's", "Have Vault give you a policy keyturn-<group>."
        )
    code, ends_at = secrets.token_urlsafe(32), ports.clock.now() + LIFE
    ports.visits.offer(code, replace(person, signed_in=f"one-time link ({person.signed_in})"), ends_at)
    return Offered(f"{premises.address(console)}/sign-in/link#{code}", ends_at)
