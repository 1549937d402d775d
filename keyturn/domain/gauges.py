"""What monitoring wants to know of the whole fleet, beside its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause
from keyturn.domain.verdict import Layer, LayerStatus


class CallOutcome(StrEnum):
    """What became of one request to a vendor."""

    OK = "ok"  # 2xx
    REFUSED = "refused"  # another answer below 500; Gong's to a pair that is right is one, too
    RATE_LIMITED = "rate_limited"  # 429
    FAILED = "failed"  # 5xx
    NOT_SENT = "not_sent"  # no connection
    LOST = "lost"  # sent, and not answered


@dataclass(frozen=True, slots=True)
class Readings:
    """Counted at a moment.

    Attributes:
        gates: how many gates of a kind are open, and since when the oldest one.
        raised: since when a cause is raised, where it is raised longest.
        layers: how many integrations have this status of a layer, by the last test of their connection.
        graces: the earliest end of the graces running, of rotations that are verified (`True`) or not.
        oldest_secret: when the oldest of the secrets in use became that.
        oldest_check: when the integration that was not taken on for the longest was taken on.
        unchecked: how many were never taken on, or are to be taken on before all others.
        owed: notices that people are still to be told.
        failing: those among them that some channel did not take the last time.
        given_up: notices that nobody tries any more although a channel has not taken them; only ever grows.
        calls: requests by vendor and outcome, of all processes, since the ledger was made; only ever grow.
    """

    at: datetime
    gates: Mapping[GateKind, tuple[int, datetime]] = field(default_factory=dict)
    raised: Mapping[Cause, datetime] = field(default_factory=dict)
    layers: Mapping[tuple[Layer, LayerStatus], int] = field(default_factory=dict)
    graces: Mapping[bool, datetime] = field(default_factory=dict)
    oldest_secret: datetime | None = None
    oldest_check: datetime | None = None
    unchecked: int = 0
    owed: int = 0
    failing: int = 0
    given_up: int = 0
    calls: Mapping[tuple[str, CallOutcome], int] = field(default_factory=dict)
