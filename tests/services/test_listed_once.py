"""StackOne's lists, as one command over many integrations sees them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, NoReturn

import pytest

from keyturn.domain.profile import Profile
from keyturn.errors import KeyturnError, UnavailableError
from keyturn.services.listed_once import ListedOnce

AWAY = UnavailableError("StackOne", "gave no answer in time", "Wait.")
KNOWN = [Profile("a", "a", "gong", True, True, "", "")]


class Hub:
    """A StackOne that is away for its first answers."""

    def __init__(self, away_for: int = 0) -> None:
        self.away_for, self.asked = away_for, 0

    def profiles(self, _connector: str) -> list[Profile]:
        """All there are, or no answer."""
        self.asked += 1
        if self.asked <= self.away_for:
            raise AWAY
        return KNOWN

    def actions(self, _connector: str) -> list[Any]:
        """None."""
        return []


def listed(hub: Any) -> ListedOnce:
    """That hub, for one command."""
    return ListedOnce(hub)


def test_listed_once_for_all() -> None:
    """Any number of integrations need one answer."""
    hub = Hub()
    once = listed(hub)
    assert [once.profiles("gong") for _ in range(50)] == [KNOWN] * 50
    assert hub.asked == 1


def test_one_that_is_away_is_waited_for_twice_and_no_more() -> None:
    """A command over thousands does not wait a time-out for each; all are told the same."""
    hub = Hub(away_for=1000)
    once = listed(hub)
    for _ in range(50):
        with pytest.raises(UnavailableError) as raised:
            once.profiles("gong")
        assert raised.value is AWAY
    assert hub.asked == 2


def test_a_blip_costs_one_answer() -> None:
    """What fails once may be a blip: it does not spoil the command."""
    once = listed(Hub(away_for=1))
    with pytest.raises(KeyturnError):
        once.profiles("gong")
    assert once.profiles("gong") == KNOWN


def test_who_needs_another_list_does_not_wait() -> None:
    """While the profiles are being listed, actions are."""
    asked, answer = Event(), Event()

    class Slow(Hub):
        def profiles(self, connector: str) -> list[Profile]:
            asked.set()
            assert answer.wait(10)
            return super().profiles(connector)

    once = listed(Slow())
    with ThreadPoolExecutor(2) as pool:
        waits = pool.submit(once.profiles, "gong")
        assert asked.wait(10)
        try:
            assert pool.submit(once.actions, "gong").result(timeout=5) == []
        finally:
            answer.set()
        assert waits.result(timeout=5) == KNOWN


def test_a_hub_out_of_reach_fails_only_when_it_is_asked() -> None:
    """Where StackOne is not set up, whatever needs no list goes on."""

    class Nowhere:
        def __getattr__(self, name: str) -> NoReturn:
            raise AWAY

    once = listed(Nowhere())
    with pytest.raises(UnavailableError):
        once.profiles("gong")
