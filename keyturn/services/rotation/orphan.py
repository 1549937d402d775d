"""What becomes of a rotation whose run cannot go on: halted, listed, and somebody is paged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from keyturn.domain.attempt import Execution, Halt, Stage, Wish
from keyturn.errors import KeyturnError, RollBackWantedError, StageFailedError
from keyturn.ports import Ledger
from keyturn.services.rotation.terms import AFTER_APPLY, clicked

_Found = TypeVar("_Found")


def heed(ledger: Ledger, execution: Execution) -> None:
    """Look whether the older secret is to be put back. Before a new one was staged it has never been replaced.

    Raises:
        RollBackWantedError: it is.
    """
    with ledger.exclusive(execution) as work:
        if work.attempt.wish is not Wish.ROLL_BACK:
            return
        if work.receipt(Stage.STAGE_SECRET) is None:
            work.want(Wish.NONE, "there is nothing to put back: what was handed in was refused before it was put in")
            return
    raise RollBackWantedError(str(execution.key), "the older secret is to be put back", "Wait for that.")


def heeding(ledger: Ledger, execution: Execution, look: Callable[[Execution], _Found]) -> Callable[[], _Found]:
    """`look`, but a wish for the older secret comes first, so that waiting in the process does not delay it."""

    def looked() -> _Found:
        heed(ledger, execution)
        return look(execution)

    return looked


def orphan(ledger: Ledger, execution: Execution, problem: str) -> bool:
    """Halt it as ORPHANED, if the click has happened: before it, nothing is at stake and the watch tries again.

    Nothing is raised: whatever stopped the run is what has to be seen. If the ledger is away, the watch comes back.

    Returns:
        Whether it was halted.
    """
    with suppress(KeyturnError):
        if clicked(ledger, ledger.attempt(execution.attempt_id)):
            _distrust_if_going_back(ledger, execution)
            ledger.halt(execution, Halt.ORPHANED, problem)
            return True
    return False


def _distrust_if_going_back(ledger: Ledger, execution: Execution) -> None:
    """A rollback that failed may have reached the profile: what was proven of the new secret in there is void."""
    with ledger.exclusive(execution) as work:
        if work.attempt.wish is Wish.ROLL_BACK:
            work.rewind(AFTER_APPLY, "a rollback has failed, and may have put the older secret back")


def rolled_back(ledger: Ledger, execution: Execution) -> None:
    """Halt it as ROLLED_BACK.

    Raises:
        StageFailedError: always: a rotation that was rolled back has not done what it was for.
    """
    ledger.halt(execution, Halt.ROLLED_BACK, "the older secret was put back into the profile")
    raise StageFailedError(
        str(execution.key),
        "rolled back: the older secret is in the profile again, and the new one is kept as PENDING",
        "Find out why it did not work, then `keyturn rotate resume`, before the older secret's grace ends.",
    )
