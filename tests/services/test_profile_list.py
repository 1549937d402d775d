"""The list of profiles is waited for once, however many integrations need it and whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from keyturn.domain.profile import Profile
from keyturn.errors import KeyturnError, UnavailableError
from keyturn.services.profile_list import Profiles
from tests.fakes.clock import FakeClock

AWAY = UnavailableError("StackOne", "gave no answer in time", "Wait.")


class Hub:
    """A StackOne whose answers are written down beforehand: lists, or what goes wrong after so many seconds."""

    def __init__(self, clock: FakeClock, *answers: Callable[[], Sequence[Profile]]) -> None:
        self.clock, self.answers, self.asked = clock, list(answers), 0

    def profiles(self, _connector: str) -> Sequence[Profile]:
        """The next answer; the last one again when there is none left."""
        self.asked += 1
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()


@pytest.fixture
def clock() -> FakeClock:
    """This test's time."""
    return FakeClock()


def lists(*names: str) -> Callable[[], Sequence[Profile]]:
    """Profiles of these names."""
    return lambda: [Profile(name, name, "gong", True, True, "", "") for name in names]


def fails(clock: FakeClock, seconds: float) -> Callable[[], Sequence[Profile]]:
    """No answer, after so long."""

    def fail() -> Sequence[Profile]:
        clock.move(seconds=seconds)
        raise AWAY

    return fail


def fine(_profile: Profile) -> bool:
    """As expected."""
    return True


def edited(_profile: Profile) -> bool:
    """Not as expected."""
    return False


def profiles(hub: Any, clock: FakeClock) -> Profiles:
    """One round's list."""
    return Profiles(hub, clock)


def test_read_once_for_all(clock: FakeClock) -> None:
    """Any number of profiles that are as expected need one reading."""
    hub = Hub(clock, lists("a", "b"))
    known = profiles(hub, clock)
    assert [p and p.id for p in (known.find(name, as_expected=fine) for name in "abab")] == ["a", "b", "a", "b"]
    assert hub.asked == 1


def test_read_once_more_for_all_that_are_faulty(clock: FakeClock) -> None:
    """A fault is looked up afresh, once a round: a dashboard that somebody went through costs no call for each."""
    hub = Hub(clock, lists("a"))
    known = profiles(hub, clock)
    for name in ("a", "gone", "a", "gone"):
        known.find(name, as_expected=edited)
    assert hub.asked == 2


def test_a_fault_that_was_mended_meanwhile(clock: FakeClock) -> None:
    """What was written after the list was read is found by the second reading."""
    hub = Hub(clock, lists("a"), lists("a", "b"))
    known = profiles(hub, clock)
    known.find("a", as_expected=fine)
    assert known.find("b", as_expected=fine)


def test_what_was_written_after_the_list_was_read(clock: FakeClock) -> None:
    """Though somebody's fault has cost the second reading, no old list says that a new profile is gone."""
    hub = Hub(clock, lists("a"), lists("a"), lists("a", "new"))
    known = profiles(hub, clock)
    written = clock.now()
    clock.move(minutes=5)
    for _ in range(3):
        assert known.find("a", written, as_expected=edited)
    assert hub.asked == 2
    clock.move(minutes=5)
    assert known.find("new", clock.now(), as_expected=fine)
    assert hub.asked == 3


def test_clocks_differ_a_little(clock: FakeClock) -> None:
    """A receipt that another machine has dated a moment before the list was read may be younger than that."""
    hub = Hub(clock, lists("a"), lists("a"), lists("a", "new"))
    known = profiles(hub, clock)
    known.find("a", as_expected=edited)
    known.find("a", as_expected=edited)
    assert known.find("new", clock.now() - timedelta(seconds=20), as_expected=fine)


def test_after_a_while_a_failure_is_over(clock: FakeClock) -> None:
    """A round of a large fleet is longer than most failures: the rest of it is not blind."""
    hub = Hub(clock, fails(clock, seconds=30), lists("a"))
    known = profiles(hub, clock)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            known.find("a", as_expected=fine)
    clock.move(minutes=1)
    assert known.find("a", as_expected=fine)
    assert hub.asked == 2


def test_a_server_that_hangs_is_waited_for_once(clock: FakeClock) -> None:
    """Of a whole shard one waits half a minute; the others are told the same error at once."""
    hub = Hub(clock, fails(clock, seconds=30))
    known, began = profiles(hub, clock), clock.now()
    for _ in range(25):
        with pytest.raises(UnavailableError) as raised:
            known.find("a", as_expected=fine)
        assert raised.value is AWAY
    assert ((clock.now() - began).total_seconds(), hub.asked) == (30, 1)


def test_a_blip_is_tried_once_more(clock: FakeClock) -> None:
    """What fails at once may be a blip; twice it is none, and nobody asks again in this round."""
    blip, away = fails(clock, seconds=0.1), Hub(clock, fails(clock, seconds=0.1))
    known = profiles(Hub(clock, blip, lists("a")), clock)
    with pytest.raises(KeyturnError):
        known.find("a", as_expected=fine)
    assert known.find("a", as_expected=fine)
    known = profiles(away, clock)
    for _ in range(5):
        with pytest.raises(KeyturnError):
            known.find("a", as_expected=fine)
    assert away.asked == 2


def test_a_second_reading_that_fails_says_nothing_of_a_fault(clock: FakeClock) -> None:
    """Those that were seen as expected are; of the others nothing is known."""
    hub = Hub(clock, lists("a"), fails(clock, seconds=30))
    known = profiles(hub, clock)
    assert known.find("a", as_expected=fine)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            known.find("b", as_expected=fine)
        assert known.find("a", as_expected=fine)
    assert hub.asked == 2


def test_whoever_is_as_expected_waits_for_nobody(clock: FakeClock) -> None:
    """While somebody's fault is looked up afresh, the list that is known answers the others."""
    asked, answer = Event(), Event()

    def slow() -> Sequence[Profile]:
        asked.set()
        assert answer.wait(10)
        return lists("a")()

    known = profiles(Hub(clock, lists("a"), slow), clock)
    known.find("a", as_expected=fine)
    with ThreadPoolExecutor(2) as pool:
        faulty = pool.submit(known.find, "b", as_expected=fine)
        assert asked.wait(10)
        assert pool.submit(known.find, "a", as_expected=fine).result(timeout=5)
        answer.set()
        assert faulty.result(timeout=5) is None
