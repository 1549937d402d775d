"""Doing the same for many, some at once, so that it can be stopped at any moment without losing what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(
    items: Iterable[_Item],
    act: Callable[[_Item], _Result],
    at_once: int,
    on_done: Callable[[_Item, _Result], None],
    go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Act on each item in threads. No more than `at_once` are begun and not done, so many items take no memory.

    Args:
        items: taken one by one, in their order.
        act: raises nothing that it could have returned.
        at_once: how many at most.
        on_done: told of each as it is done, in the calling thread.
        go_on: asked before another one is begun; those that are under way are waited for.

    Raises:
        KeyboardInterrupt: somebody stopped it. What was begun has been done, and was told; a second one leaves at once.
    """
    left = iter(items)
    going: dict[Future[_Result], _Item] = {}
    with ThreadPoolExecutor(at_once, "each") as pool:
        going |= {pool.submit(act, item): item for item in islice(left, at_once)}
        try:
            while going:
                _tell_done(going, on_done)
                more = islice(left, at_once - len(going) if go_on() else 0)
                going |= {pool.submit(act, item): item for item in more}
        except KeyboardInterrupt:
            while going:
                _tell_done(going, on_done)
            raise


def _tell_done(going: dict[Future[_Result], _Item], on_done: Callable[[_Item, _Result], None]) -> None:
    """Wait for one at least."""
    done, _ = wait(going, return_when=FIRST_COMPLETED)
    for future in done:
        on_done(going.pop(future), future.result())
