"""What a gate's page says in words: what is asked, what a no leads to, what was done, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from keyturn.domain.attempt import AttemptKind
from keyturn.domain.credential import ProbeOutcome
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import (
    AmbiguousError,
    CredentialRefusedError,
    DigestChangedError,
    GateClosedError,
    KeyturnError,
    NotPermittedError,
    RateLimitedError,
    TransientError,
    WrappingTokenUsedError,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a gate asks.

    Attributes:
        heading: a title with the integration's name.
        sentence: what the person is asked to do.
    """

    heading: str
    sentence: str


def ask_of(gate: Gate) -> Ask:  # noqa: PLR0911  one a kind
    """What the gate asks, in one sentence."""
    key, question = gate.key, gate.question
    match gate.kind:
        case GateKind.APPROVE:
            return _approval(gate)
        case GateKind.GONG_ADMIN:
            return Ask(
                f"Set up {key} in Gong",
                "Create the integration in Gong's Admin center, then hand over its Client ID and Client Secret.",
            )
        case GateKind.GONG_ROTATION:
            return _click(gate)
        case GateKind.STACKONE_FORM:
            which = "older" if question.get("stage") == "roll_back" else "stored"
            return Ask(f"Fill in StackOne's form for {key}", f"Put the {which} pair into the profile in StackOne.")
        case GateKind.CONSENT:
            return Ask(
                f"Give consent for {key}",
                "Open an auth link, and consent as an admin of the Gong account.",
            )
        case GateKind.PROOF:
            return Ask(
                f"Prove the new secret of {key}",
                "Link an account with the new secret now, or wait until StackOne has refreshed its token with it.",
            )
        case GateKind.GRACE:
            return Ask(f"The older secret of {key} is in its grace", "Nobody is asked: keyturn waits for its end.")
        case _:
            assert_never(gate.kind)


def _approval(gate: Gate) -> Ask:
    if gate.question.get("second"):
        return Ask(
            f"Approve a second rotation of {gate.key}",
            "May the secret be rotated in Gong once more, although that kills the one in use at once?",
        )
    if gate.question.get("rotation"):
        return Ask(f"Approve the rotation of {gate.key}", "May the client secret be rotated now, as said below?")
    return Ask(f"Approve {gate.key}", "May this integration be set up in Gong and StackOne exactly as below?")


def _click(gate: Gate) -> Ask:
    if "clicked_since" in gate.question:
        return Ask(
            f"Hand over the new secret of {gate.key}",
            "It was rotated in Gong already: do not rotate again, only hand over the new secret.",
        )
    return Ask(
        f"Rotate the secret of {gate.key} in Gong",
        f"Rotate it with a grace of {gate.question['grace_hours']} hours, and hand over the new secret at once.",
    )


def declining(gate: Gate, kind: AttemptKind) -> str:
    """What a no leads to, a sentence."""
    turning = kind is AttemptKind.ROTATION
    if gate.kind is GateKind.PROOF:
        return "Say no if the new secret does not work: the older one is put back while it lives."
    if gate.question.get("second") or "refused_because" in gate.question:
        return "A no halts the rotation: the secret in use dies with its grace, and an operator has to see to it."
    if turning and gate.kind is GateKind.STACKONE_FORM:
        return "A no halts the rotation, and an operator has to see to it."
    return f"A no ends the {'rotation' if turning else 'attempt'} for everybody; it can be started anew."


SAID: Mapping[str, tuple[str, str]] = {
    "approved": ("good", "Approved, and the run goes on."),
    "approved-later": ("good", "Approved. The run takes notice by itself within a minute or two."),
    "counted": ("good", "Your approval counts. Somebody else has to give the next one."),
    "rejected": ("warn", "Rejected: the run has been told."),
    "rejected-later": ("warn", "Rejected. The run takes notice by itself within a minute or two."),
    "taken": ("good", "Your hand-over is in Vault, and the run goes on. You can close Gong's window now."),
    "taken-later": ("good", "Your hand-over is in Vault. The run takes notice by itself within a minute or two."),
}
"""What was done, by its code in `?said=`: tone and sentence."""

PROBES: Mapping[str, tuple[str, str]] = {
    ProbeOutcome.VALID.value: ("good", "Gong accepts this Client ID and Client Secret."),
    ProbeOutcome.NOT_PROVEN.value: (
        "warn",
        "Gong's answer neither confirms nor denies it. The test of the connection will show whether the pair works.",
    ),
    ProbeOutcome.WRONG_PAIR.value: ("bad", "Gong does not accept this Client ID with this Client Secret."),
}
"""What Gong said of a pair, by the outcome of its probe: tone and sentence. Unproven is never green."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, for the person it happened to.

    Attributes:
        title: what it means for what they tried.
        points: what is wrong, one a line.
        remedy: what to do next.
    """

    title: str
    points: tuple[str, ...]
    remedy: str


def trouble(error: KeyturnError, key: IntegrationKey) -> Trouble:
    """A failure in the words of a page about one integration: the way on is below it, not on a command line."""
    problem = error.problem if error.subject.startswith(str(key)) else f"{error.subject} {error.problem}"
    points = tuple(_sentence(part) for part in problem.split("; "))
    for kind, title, remedy in _TROUBLES:
        if isinstance(error, kind):
            return Trouble(title, points, remedy or error.remedy)
    return Trouble("This was refused", points, error.remedy)


_TROUBLES: tuple[tuple[type[KeyturnError], str, str], ...] = (
    (CredentialRefusedError, "The pair was refused, and nothing of it was kept", ""),
    (WrappingTokenUsedError, "Take this as an alert: the wrapping token had been used before", ""),
    (GateClosedError, "This is not being asked any more", "Nothing was recorded. See below what is asked now."),
    (DigestChangedError, "The manifest has changed since you read it", "Read what is below, then decide again."),
    (NotPermittedError, "This answer does not count from you", ""),
    (AmbiguousError, "No answer came, so it is not known whether this was done", ""),
    (RateLimitedError, "Too many tries", ""),
    (TransientError, "This did not work for the moment", ""),
)


def _sentence(clause: str) -> str:
    first, _, _ = clause.partition(" ")
    begins = clause[:1].upper() if first.isalpha() else clause[:1]  # `userpass-alice` is spelt so everywhere
    return begins + clause[1:] + ("" if clause.endswith((".", "!", "?")) else ".")


def of_last_link(last: str) -> str:
    """What became of the newest auth link, a sentence; empty when there was none."""
    status, _, more = last.partition(":")
    words = _LINKS.get(status)
    if words is None:
        return f"What was seen last: {last}."
    return words.format(more=f" ({more.strip()})" if more.strip() else "")


_LINKS: Mapping[str, str] = {
    "": "",
    "pending": "The newest link has not led to an account yet.",
    "expired": "The newest link has expired{more}. Make a fresh one.",
    "cancelled": "Consent was not given at the newest link{more}. Make a fresh one to try again.",
    "error": "The newest link ended with an error{more}. Make a fresh one.",
}
