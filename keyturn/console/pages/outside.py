"""Looks outside of the ledger that a page can do without: each may fail or take too long, and the page stands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyturn.errors import KeyturnError

_Found = TypeVar("_Found")
_PATIENCE_S = 4.0


@dataclass(frozen=True, slots=True)
class Seen(Generic[_Found]):
    """What was found, or why it is not known, as a sentence.

    Attributes:
        too_late: nothing came in time, and something may still come of it.
    """

    found: _Found | None
    unknown: str = ""
    too_late: bool = False


def seen(look: Callable[[], _Found], within_s: float = _PATIENCE_S) -> Seen[_Found]:
    """Look, but not for ever: whoever waits for a page does not wait for a server that is silent.

    The look itself goes on in its thread until its own time limit; nobody hears of it any more.
    """
    pool = ThreadPoolExecutor(1, "look")
    try:
        return Seen(pool.submit(look).result(within_s))
    except TimeoutError:
        return Seen(None, f"no answer within {within_s:.0f} seconds", too_late=True)
    except KeyturnError as error:
        return Seen(None, str(error))
    finally:
        pool.shutdown(wait=False)
