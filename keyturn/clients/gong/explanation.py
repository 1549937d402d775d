"""What a credential probe means, in sentences for the person who typed the pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DISABLED: Final = (
    "The pair was not tried at Gong, because the probe is switched off (KEYTURN_GONG__PROBE). "
    "Compare it with Gong's table yourself; the test of the connection will show whether it works."
)

_GOES_ON: Final = "Nothing is wrong as far as keyturn can tell; the test of the connection will show whether it works."

_CASES: Final[Mapping[str, str]] = {
    "valid": "Gong accepts this Client ID and Client Secret.",
    "wrong pair": (
        "Gong does not accept this Client ID with this Client Secret. Copy both again from Gong's table "
        "(Admin center > Settings > Ecosystem > API > Integrations, Show secret), from the same row and to the last "
        "character. After a rotation take the newest secret. If you are sure that they are right, ask the operator to "
        "switch the probe off (KEYTURN_GONG__PROBE=false)."
    ),
    "code first": "Gong answers a made-up secret in the same way as yours, so its answer says nothing. " + _GOES_ON,
    "no control": "Gong did not answer clearly when a made-up secret was tried for comparison. " + _GOES_ON,
    "no answer": "Gong could not be reached or did not answer, so the pair was not tried. " + _GOES_ON,
    "too many requests": "Gong takes no more calls for the moment, so the pair was not tried. " + _GOES_ON,
    "server error": "Gong's token endpoint failed, so the pair was not tried. " + _GOES_ON,
    "address refused": (
        "Gong refused the address that the trial came from (trusted IPs), so the pair was not tried. " + _GOES_ON
    ),
    "redirect": (
        "Gong's token endpoint sent us to another page instead of answering, which says nothing about the pair. "
        "Have the operator check its address (KEYTURN_GONG__TOKEN_URL). " + _GOES_ON
    ),
    "not sendable": (
        "The pair has characters that no Client ID or Client Secret of Gong's has, so it was not tried. "
        "Copy both again from Gong's table."
    ),
}


def explanation_of(case: str) -> str:
    """The sentences for a case; one for all cases in which Gong said something that tells nothing."""
    return _CASES.get(case, "Gong refused the trial for a reason that says nothing about the pair. " + _GOES_ON)
