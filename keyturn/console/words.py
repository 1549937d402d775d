"""What pages call states, causes and questions: short words without commands, and how urgent each looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from keyturn.domain.attempt import AttemptKind, Stage
from keyturn.domain.fleet import FleetHealth, FleetState, Waiting
from keyturn.domain.gate import Gate, GateKind
from keyturn.domain.health import Cause, severity_of
from keyturn.domain.notice import Severity

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

CAUSES: Mapping[Cause, str] = {
    Cause.SECRET_RESET: "Gong refuses the secret",
    Cause.SECRET_MISSING: "secret missing in Vault",
    Cause.CONSENT_LOST: "consent lost",
    Cause.CONNECTION_DOWN: "connection is down",
    Cause.ACCOUNTS_FAILING: "accounts are failing",
    Cause.PROFILE_GONE: "profile is gone",
    Cause.PROFILE_RENAMED: "profile was renamed",
    Cause.PROFILE_DISABLED: "profile is disabled",
    Cause.PROFILE_NOT_DEFAULT: "profile is not the default",
    Cause.PROFILE_EDITED: "profile was edited",
    Cause.MANIFEST_CHANGED: "manifest has changed",
    Cause.RETIRED_WORKS: "retired secret still works",
    Cause.TRUSTED_IPS_NOT_ATTESTED: "trusted IPs not attested",
    Cause.ROTATION_OVERDUE: "rotation is overdue",
    Cause.NOT_SEEN: "could not be looked at",
}

ASKED: Mapping[GateKind, str] = {
    GateKind.APPROVE: "approval",
    GateKind.GONG_ADMIN: "integration and secret from Gong",
    GateKind.STACKONE_FORM: "StackOne's form",
    GateKind.CONSENT: "consent by auth link",
    GateKind.GONG_ROTATION: "new secret from Gong",
    GateKind.PROOF: "proof of the new secret",
    GateKind.GRACE: "end of the grace",
}

_ASKS: Mapping[GateKind, str] = {
    GateKind.GONG_ADMIN: "Create the integration in Gong by the kit, and hand in its client id and secret.",
    GateKind.CONSENT: "Make an auth link, open it, and consent at Gong.",
    GateKind.GONG_ROTATION: "Rotate the client secret in Gong with a grace of {hours} hours, and hand in the new one.",
    GateKind.PROOF: "Prove that the new secret works: consent by a new auth link, unless a refresh comes first.",
    GateKind.GRACE: "Nothing: it waits until the older secret's grace is over.",
}

_TONES: Mapping[FleetState | FleetHealth, str] = {
    FleetState.HALTED: "bad",
    FleetState.WAITING: "warn",
    FleetHealth.RAISED: "bad",
    FleetHealth.UNKNOWN: "warn",
    FleetHealth.OK: "good",
}


def said(word: object) -> str:
    """A state, cause, stage or kind in the words of pages."""
    if isinstance(word, Cause):
        return CAUSES[word]
    return str(word).replace("_", " ")


def tone(word: object) -> str:
    """How it looks: good, warn, bad or plain. Only what was seen in order is good."""
    if isinstance(word, Cause):
        return "bad" if severity_of(word).reaches(Severity.ERROR) else "warn"
    return _TONES.get(word, "plain") if isinstance(word, FleetState | FleetHealth) else "plain"


def lasting(seconds: float) -> str:
    """A duration in its largest unit."""
    if seconds < 1:
        return "< 1 s"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            number = seconds / unit
            return f"{number:.0f} {name}" if number >= 10 else f"{number:.1f} {name}".replace(".0 ", " ")  # noqa: PLR2004
    return f"{seconds:.0f} s"


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or in how long: the same words as the page's script has."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < _MINUTE:
        return "just now"
    return f"in {_span(seconds)}" if seconds > 0 else f"{_span(-seconds)} ago"


def remaining(moment: datetime, now: datetime) -> str:
    """How much time is left, as the page's script counts it down."""
    seconds = int((moment - now).total_seconds())
    if seconds <= 0:
        return f"over since {_span(-seconds)}"
    minutes, hours = seconds // 60 % 60, seconds // 3600
    if hours >= 48:  # noqa: PLR2004
        return f"{hours // 24} d {hours % 24} h left"
    return f"{hours} h {minutes} min left" if hours else f"{max(1, minutes)} min left"


def asked(kind: GateKind) -> str:
    """What a gate of this kind asks for, in a few words."""
    return ASKED[kind]


def awaited(waiting: Waiting) -> str:
    """Who or what an integration waits for, in a few words."""
    who = " or ".join(said(group) for group in waiting.groups)
    return f"{who}: {asked(waiting.kind)}" if who else asked(waiting.kind)


def asks(gate: Gate, kind: AttemptKind | None) -> str:
    """What a person is asked to do at a gate, as a call to do it.

    Args:
        gate: an open one.
        kind: of the attempt that it belongs to.
    """
    if gate.kind is GateKind.APPROVE:
        return _approval(gate, kind)
    if gate.kind is GateKind.STACKONE_FORM:
        return _form(gate)
    return _ASKS[gate.kind].format(hours=gate.question.get("grace_hours"))


def breaks(gate: Gate) -> str:
    """What happens when the grace is over before anybody has acted at a gate."""
    if gate.kind is GateKind.STACKONE_FORM:
        return "Gong then takes the older secret no more, and StackOne has no other: the connection breaks."
    if gate.kind is GateKind.PROOF:
        return "Gong then takes the older secret no more: if the new one does not work, nothing can be put back."
    return "Gong then takes the secret in use no more, and there is no other: the connection breaks."


def _form(gate: Gate) -> str:
    stage = gate.question.get("stage")
    if stage == Stage.APPLY:
        return "Put the new secret into StackOne's profile by hand; it is shown to you once."
    if stage == Stage.ROLL_BACK:
        return "Put the older secret back into StackOne's profile by hand; it is shown to you once."
    return "Fill in StackOne's form for a new profile by hand, with the secret that is shown to you once."


def _span(seconds: float) -> str:
    if seconds < _MINUTE:
        return "less than a minute"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h" if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"


def _approval(gate: Gate, kind: AttemptKind | None) -> str:
    if gate.question.get("second"):
        return "Approve a second rotation in Gong. It kills the secret that is in use at once."
    if kind is AttemptKind.ROTATION:
        return "Approve that the client secret is rotated."
    return "Read the manifest, and approve it or not."
