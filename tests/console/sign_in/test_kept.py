"""What is kept of the provider's while it is away, and who waits for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from keyturn.console.sign_in.kept import Kept
from keyturn.errors import ConfigurationError, KeyturnError, UnavailableError

HOUR_S, DAY_S = 3600.0, 86_400.0


@dataclass
class Source:
    """Something that is fetched, and the time.

    Attributes:
        fails: what it fails with.
        open: whether it answers at all.
    """

    now_s: float = 50_000.0
    fetched: int = 0
    fails: KeyturnError | None = None
    open: threading.Event = field(default_factory=threading.Event)

    def fetch(self) -> int:
        """Give how often it was fetched."""
        self.fetched += 1
        assert self.open.wait(10)
        if self.fails:
            raise self.fails
        return self.fetched

    def now(self) -> float:
        """The present."""
        return self.now_s


@pytest.fixture
def source() -> Source:
    """One that answers at once."""
    made = Source()
    made.open.set()
    return made


@pytest.fixture
def kept(source: Source) -> Kept[int]:
    """What is kept of it; it has been fetched."""
    made = Kept(source.fetch, source.now)
    assert made.get() == 1
    return made


def test_it_is_fetched_once_an_hour(kept: Kept[int], source: Source) -> None:
    """Who asks within it costs nothing."""
    source.now_s += HOUR_S - 1
    assert kept.get() == 1
    source.now_s += 1
    assert [kept.get(), kept.get()] == [2, 2]


def test_a_provider_that_is_away_stops_nobody_for_a_day(kept: Kept[int], source: Source) -> None:
    """What is known is taken on, with one try in five seconds; after a day it is too old to be trusted."""
    source.fails = UnavailableError("provider", "is away")
    source.now_s += HOUR_S
    assert [kept.get(), kept.get(), source.fetched] == [1, 1, 2]
    source.now_s += 5
    assert [kept.get(), source.fetched] == [1, 3]
    source.now_s += DAY_S
    with pytest.raises(UnavailableError, match="is away"):
        kept.get()
    source.fails = None
    source.now_s += 5
    assert kept.get() == source.fetched


def test_what_is_wrong_is_not_passed_over(kept: Kept[int], source: Source) -> None:
    """A document that says that it is another issuer's is no outage."""
    source.fails = ConfigurationError("provider", "is another one")
    source.now_s += HOUR_S
    with pytest.raises(ConfigurationError):
        kept.get()


def test_the_newest_is_never_an_old_one(kept: Kept[int], source: Source) -> None:
    """Who needs a key that is not among the known ones is told that the provider is away."""
    source.fails = UnavailableError("provider", "is away")
    assert kept.newest() == 1
    source.now_s += 5
    with pytest.raises(UnavailableError):
        kept.newest()


def test_each_failure_is_raised_by_itself(source: Source) -> None:
    """An error object that is raised again and again would collect the tracebacks of all who met it."""
    source.fails = UnavailableError("provider", "is away", "Wait.", 7)
    kept, met = Kept(source.fetch, source.now), []
    for _ in range(3):
        with pytest.raises(UnavailableError) as caught:
            kept.get()
        met.append(caught.value)
    assert source.fetched == 1
    assert len({id(error) for error in met}) == 3
    assert {(str(error), error.retry_after_s) for error in met} == {(str(source.fails), 7)}


def test_while_one_fetches_the_others_go_on(kept: Kept[int], source: Source) -> None:
    """Who can be given what is known does not wait for a provider that is slow."""
    source.now_s += HOUR_S
    source.open.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(kept.get)
        while source.fetched < 2:
            assert not slow.done()
        with ThreadPoolExecutor(1) as another:
            try:
                assert another.submit(kept.get).result(5) == 1
            finally:
                source.open.set()
        assert slow.result(5) == 2
