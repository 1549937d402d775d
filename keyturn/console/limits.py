"""How often people may do what costs others something: the same by page and by API, and for all replicas together."""

from __future__ import annotations

from keyturn.domain.gate import Person
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import RateLimitedError
from keyturn.wiring import Ports

HAND_INS, HAND_INS_WITHIN_S = 20, 600.0
CHECKS, CHECKS_WITHIN_S = 6, 60.0


def count_hand_in(ports: Ports, person: Person) -> None:
    """Count that somebody hands a secret in: each is tried at Gong.

    Raises:
        RateLimitedError: they have done so too often lately.
    """
    if ports.visits.tries(f"intake/{person.id}", HAND_INS_WITHIN_S) > HAND_INS:
        minutes = round(HAND_INS_WITHIN_S / 60)
        raise RateLimitedError(
            "you",
            f"have handed something in more than {HAND_INS} times within {minutes} minutes",
            f"Nothing was read of what you entered. Wait {minutes} minutes, and find out why it was refused.",
            HAND_INS_WITHIN_S,
        )


def count_check(ports: Ports, key: IntegrationKey) -> None:
    """Count that an integration is looked at, or its connection tested, because somebody wants that now.

    Raises:
        RateLimitedError: that was too often lately.
    """
    if ports.visits.tries(f"check/{key}", CHECKS_WITHIN_S) > CHECKS:
        problem = f"was checked {CHECKS} times within a minute"
        raise RateLimitedError(str(key), problem, "Wait a minute: vendors count these calls.", CHECKS_WITHIN_S)
