"""Halting a rotation, letting it go on, and what people want of it. Each function is part of an open transaction."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete

from keyturn.domain.attempt import Attempt, Halt, Stage, Wish
from keyturn.domain.gate import GateKind, GateState, Person
from keyturn.errors import RefusedError
from keyturn.ledger import attempts, gates, telling
from keyturn.ledger.tables import receipts
from keyturn.ledger.unit import Unit

_ASKED_ANEW = (GateKind.STACKONE_FORM, GateKind.PROOF)


def halt(unit: Unit, attempt: Attempt, halt: Halt, reason: str) -> Attempt:
    """Stop it: open gates void, and nothing moves it until a person says so."""
    gates.void(unit, attempt, f"the attempt is halted: {halt}")
    left = Wish.NONE if attempt.wish is Wish.ROLL_BACK else attempt.wish  # a lost secret stays lost
    halted = attempts.alter(unit, attempt, {"halt": halt, "reason": reason, "wish": left})
    unit.audit(f"rotation.{halt}", halted, {"reason": reason})
    telling.of_halt(unit, halted)
    return halted


def unhalt(unit: Unit, attempt: Attempt, by: Person, reason: str) -> Attempt:
    """Let it go on under the next number.

    Raises:
        RefusedError: it is not halted.
    """
    attempts.require_active(attempt)
    if attempt.halt is Halt.NONE:
        raise RefusedError(str(attempt.key), "its attempt is not halted", "See `keyturn status`.")
    for kind in GateKind:
        gate = gates.newest(unit.connection, attempt, kind)
        if gate is not None and (gate.state is GateState.REJECTED or kind in _ASKED_ANEW):
            gates.retire(unit, attempt, gate, "the rotation goes on")
    values = {"halt": Halt.NONE, "reason": "", "fence": attempt.fence + 1}
    resumed = attempts.alter(unit, attempt, values)
    unit.audit("rotation.resumed", resumed, {"was": attempt.halt, "reason": reason}, by)
    return resumed


def wish(unit: Unit, attempt: Attempt, by: Person, wish: Wish, reason: str) -> Attempt:
    """Note what a person wants of the next execution. An orphaned rotation that is to be rolled back goes on for that.

    Raises:
        RefusedError: it is halted or has ended, or wants another thing already.
    """
    if wish is Wish.ROLL_BACK and attempt.halt is Halt.ORPHANED:
        attempt = unhalt(unit, attempt, by, reason)
    attempts.require_moving(attempt)
    if attempt.wish not in (Wish.NONE, wish):
        raise RefusedError(
            str(attempt.key), f"its rotation is about to do something else: {attempt.wish}", "See `keyturn status`."
        )
    wished = want(unit, attempt, wish)
    unit.audit("rotation.wished", wished, {"wish": wish, "reason": reason}, by)
    return wished


def want(unit: Unit, attempt: Attempt, wish: Wish) -> Attempt:
    """Set what the next execution has to do first; what a rollback before has noted of itself does not count for it."""
    if wish is Wish.ROLL_BACK and attempt.wish is not wish:
        mine = receipts.c.attempt_id == attempt.id, receipts.c.stage == Stage.ROLL_BACK
        unit.connection.execute(delete(receipts).where(*mine))
    return attempts.alter(unit, attempt, {"wish": wish})


def restarted(unit: Unit, attempt: Attempt, flow_run_id: UUID) -> Attempt:
    """Bind the run that the watch started, and count it; a receipt sets the count back."""
    values = {"flow_run_id": flow_run_id, "restarts": attempt.restarts + 1, "restarted_at": unit.now()}
    after = attempts.alter(unit, attempt, values)
    unit.audit("attempt.restarted", after, {"flow_run_id": str(flow_run_id), "times": after.restarts})
    return after
