"""What the watch sees of an integration: observations, what they mean together, and when that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What looking at one thing came to. UNKNOWN is an honest answer, and never counts as OK."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"


class Subject(StrEnum):
    """What is looked at."""

    PAIR = "pair"  # L1: Gong's token endpoint about the CURRENT pair
    PROFILE = "profile"  # the StackOne profile, read back
    ACCOUNTS = "accounts"  # the linked accounts' status
    AGE = "age"  # the secret's age by the manifest's policy
    MANIFEST = "manifest"  # what is registered against what was applied
    RETIRED = "retired"  # the last PREVIOUS after its grace: dead, or not
    TRUSTED_IPS = "trusted_ips"


class Cause(StrEnum):
    """Why an integration is not as it should be: a cause, not a colour."""

    SECRET_RESET = "secret_reset"  # noqa: S105  the pair is refused, accounts still live
    CONSENT_LOST = "consent_lost"  # the pair is fine, accounts fail: reconnect, do not rotate
    CONNECTION_DOWN = "connection_down"  # the pair is refused, and accounts fail
    PROFILE_EDITED = "profile_edited"
    PROFILE_GONE = "profile_gone"
    PROFILE_RENAMED = "profile_renamed"
    PROFILE_DISABLED = "profile_disabled"
    PROFILE_NOT_DEFAULT = "profile_not_default"
    MANIFEST_CHANGED = "manifest_changed"
    RETIRED_WORKS = "retired_works"
    TRUSTED_IPS_NOT_ATTESTED = "trusted_ips_not_attested"
    ROTATION_OVERDUE = "rotation_overdue"
    NOT_SEEN = "not_seen"  # something could not be looked at for several rounds


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one thing.

    Attributes:
        hint: for BAD, what is wrong with it, as a cause by itself (a failing pair hints at SECRET_RESET).
        evidence: what was seen, a clause without secrets or personal data.
        latency_ms: how long looking took; `None` when nothing outside was asked.
    """

    subject: Subject
    outcome: Outcome
    evidence: str
    at: datetime
    hint: Cause | None = None
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that is not as it should be, seen once: what, by which evidence, and what a person does about it."""

    cause: Cause
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A cause as the ledger holds it for an integration.

    Attributes:
        raised: whether people have been told that it holds.
        against: consecutive sightings that say the opposite of `raised`.
        since: when it came to be as it is.
    """

    cause: Cause
    raised: bool
    against: int
    since: datetime
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Health:
    """An integration as the watch left it: the last look at each thing, and what is raised."""

    observations: Sequence[Observation]
    raised: Sequence[Condition]
    checked_at: datetime | None
