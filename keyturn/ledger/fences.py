"""Numbers of executions after a restore: a ledger that went back would hand out numbers that were handed out before."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from keyturn.domain.attempt import Attempt
from keyturn.domain.gate import Person
from keyturn.ledger import attempts
from keyturn.ledger.unit import transaction
from keyturn.ports import Clock, Fences

LEAP = 1000
"""More executions than any attempt has had between a backup and the loss of what came after it."""


class PostgresFences(Fences):
    """Implements `keyturn.ports.Fences`."""

    def __init__(self, engine: Engine, clock: Clock, lock_timeout_s: float) -> None:
        self._engine, self._clock, self._lock_timeout_s = engine, clock, lock_timeout_s

    def leap(self, attempt_id: UUID, beyond: int, person: Person) -> Attempt:
        """Raise an active attempt's number; executions with numbers up to it are refused from then on."""
        with transaction(self._engine, self._clock, self._lock_timeout_s, f"attempt {attempt_id}") as unit:
            before = attempts.lock(unit, attempt_id)
            attempts.require_active(before)
            after = attempts.alter(unit, before, {"fence": max(before.fence, beyond) + LEAP})
            detail = {"from": before.fence, "fence": after.fence, "vault": beyond}
            unit.audit("attempt.fence_raised", after, detail, person)
            return after
