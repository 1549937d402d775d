"""After a restore the ledger's numbers go beyond all that were handed out before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from keyturn.domain.attempt import AttemptState
from keyturn.domain.gate import Person
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import RefusedError, SupersededError
from keyturn.ledger.fences import LEAP, PostgresFences
from keyturn.ledger.repository import PostgresLedger
from keyturn.ports import Clock


def test_a_leap_fences_off_whatever_was_under_way(
    ledger: PostgresLedger,
    engine: Engine,
    clock: Clock,
    sealed: Callable[..., SealedManifest],
    person: Callable[..., Person],
) -> None:
    """Beyond its own number and the one told; the execution before is refused, and an attempt that ended stays so."""
    fences, alice = PostgresFences(engine, clock, 5.0), person("alice")
    before = ledger.begin_execution(ledger.open_attempt(sealed(), alice).attempt.id, None)
    assert fences.leap(before.attempt_id, 0, alice).fence == before.fence + LEAP
    assert fences.leap(before.attempt_id, 5000, alice).fence == 5000 + LEAP
    with pytest.raises(SupersededError), ledger.exclusive(before):
        pytest.fail("an execution from before the restore was let in")
    after = ledger.begin_execution(before.attempt_id, None)
    ledger.finish(after, AttemptState.COMPLETED, "")
    with pytest.raises(RefusedError):
        fences.leap(before.attempt_id, 0, alice)
