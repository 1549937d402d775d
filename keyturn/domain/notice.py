"""What people are told when they are not looking: events, how urgent they are, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Severity(StrEnum):
    """How urgent, the least first; CRITICAL pages somebody."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def reaches(self, lowest: Severity) -> bool:
        """Whether it is at least as urgent."""
        return _ORDER.index(self) >= _ORDER.index(lowest)


_ORDER = tuple(Severity)


class Event(StrEnum):
    """What can be told about."""

    GATE_OPENED = "gate.opened"
    GATE_REMINDER = "gate.reminder"
    GATE_ESCALATED = "gate.escalated"
    GATE_REARMED = "gate.rearmed"
    ATTEMPT_COMPLETED = "attempt.completed"
    ATTEMPT_REJECTED = "attempt.rejected"
    ATTEMPT_REFUSED = "attempt.refused"
    ATTEMPT_STUCK = "attempt.stuck"
    ROTATION_PLANNED = "rotation.planned"
    ROTATION_UNVERIFIED = "rotation.unverified"
    ROTATION_ROLLED_BACK = "rotation.rolled_back"
    ROTATION_ORPHANED = "rotation.orphaned"
    SWEEP_STOPPED = "sweep.stopped"
    DRIFT_RAISED = "drift.raised"
    DRIFT_CLEARED = "drift.cleared"
    AUDIT_BROKEN = "audit.broken"
    WRAPPING_TOKEN_USED = "wrapping_token.used"  # noqa: S105  the name of an event
    TEST = "test"


SEVERITIES: Mapping[Event, tuple[Severity, Severity]] = {
    Event.GATE_OPENED: (Severity.INFO, Severity.WARNING),
    Event.GATE_REMINDER: (Severity.INFO, Severity.WARNING),
    Event.GATE_ESCALATED: (Severity.WARNING, Severity.ERROR),
    Event.GATE_REARMED: (Severity.WARNING, Severity.WARNING),
    Event.ATTEMPT_COMPLETED: (Severity.INFO, Severity.INFO),
    Event.ATTEMPT_REJECTED: (Severity.ERROR, Severity.ERROR),
    Event.ATTEMPT_REFUSED: (Severity.ERROR, Severity.ERROR),
    Event.ATTEMPT_STUCK: (Severity.WARNING, Severity.CRITICAL),
    Event.ROTATION_PLANNED: (Severity.INFO, Severity.WARNING),
    Event.ROTATION_UNVERIFIED: (Severity.WARNING, Severity.CRITICAL),
    Event.ROTATION_ROLLED_BACK: (Severity.WARNING, Severity.CRITICAL),
    Event.ROTATION_ORPHANED: (Severity.CRITICAL, Severity.CRITICAL),
    Event.SWEEP_STOPPED: (Severity.ERROR, Severity.ERROR),
    Event.DRIFT_RAISED: (Severity.WARNING, Severity.CRITICAL),
    # As urgent as the alarm was: who heard that something is wrong must hear that it is right again.
    Event.DRIFT_CLEARED: (Severity.INFO, Severity.CRITICAL),
    Event.AUDIT_BROKEN: (Severity.CRITICAL, Severity.CRITICAL),
    Event.WRAPPING_TOKEN_USED: (Severity.CRITICAL, Severity.CRITICAL),
    Event.TEST: (Severity.INFO, Severity.CRITICAL),
}
"""Between which severities each event is told, the usual one first."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people.

    Attributes:
        key: the integration in text, or empty for keyturn itself.
        about: names this very occurrence, e.g. `gate/<id>/remind/1`: what has been told is not told again.
        facts: plain values for the words, never a secret or a personal datum: group names, states, causes, counts.
            Some have a meaning of their own: `kind` of a gate, `remedy`, and `attempt` and `run`, which are identifiers
            and lead to a page.
    """

    event: Event
    severity: Severity
    key: str
    about: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owed:
    """A notice that has not reached everybody yet.

    Attributes:
        delivered: names of the channels that have taken it.
        tries: how often it was tried.
    """

    id: UUID
    notice: Notice
    created_at: datetime
    delivered: frozenset[str]
    tries: int
