"""Doing the same for many at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from threading import Barrier, Event, Lock
from time import monotonic

import pytest

from keyturn.services.many import each


def test_all_are_done_and_told_and_no_more_at_once_than_said() -> None:
    """However many there are, only so many are begun and not done; each is told of in the calling thread."""
    lock, going, most, taken, told = Lock(), 0, 0, 0, []
    together = Barrier(3)

    def items() -> Iterator[int]:
        nonlocal taken
        for n in range(30):
            taken += 1
            assert taken - len(told) <= 3 + 3
            yield n

    def act(n: int) -> int:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        together.wait(timeout=20)  # three at a time, so they do meet
        with lock:
            going -= 1
        return n * n

    each(items(), act, 3, lambda n, result: told.append((n, result)))
    assert sorted(told) == [(n, n * n) for n in range(30)]
    assert most == 3


def test_it_can_give_up() -> None:
    """When it is not to go on, what is under way is waited for and told, and no other is begun."""
    told: list[int] = []
    each(range(1000), lambda n: n, 2, lambda n, _: told.append(n), lambda: len(told) < 5)
    assert 5 <= len(told) <= 7


def test_a_pause_costs_no_place() -> None:
    """When it was not to go on for once, and then it is, as many as before are done at once."""
    asked, together, told = Event(), Barrier(2), []

    def act(n: int) -> int:
        if n == 1:
            assert asked.wait(20)
        if n > 1:
            together.wait(timeout=20)  # one by itself would wait in vain
        return n

    def go_on() -> bool:
        first = not asked.is_set()
        asked.set()
        return not first

    each(range(6), act, 2, lambda n, _: told.append(n), go_on)
    assert sorted(told) == list(range(6))


def test_an_interruption_loses_nothing() -> None:
    """What was begun when somebody pressed Ctrl-C is done and told, nothing else is begun, and it is raised then."""
    begun: list[int] = []
    told: list[int] = []

    def act(n: int) -> int:
        begun.append(n)
        if n == 5:
            signal.raise_signal(signal.SIGINT)
        return n

    ends = monotonic() + 20
    with pytest.raises(KeyboardInterrupt):
        each(iter(range(10**9)), act, 2, lambda n, _: told.append(n))
    assert sorted(told) == sorted(begun)
    assert monotonic() < ends
