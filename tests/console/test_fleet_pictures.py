"""What is written beside the fleet's pictures."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from keyturn.domain.fleet import MOST_GRACES, FleetHealth, FleetRow, FleetState, Pictures
from keyturn.domain.integration import IntegrationKey
from tests.console.conftest import Console
from tests.console.forms import words_of
from tests.fakes.fleet import FakeFleet


@pytest.fixture
def now(console: Console) -> datetime:
    """The present."""
    return console.ports.clock.now()


def shown(console: Console, pictures: Pictures) -> str:
    """The page of a fleet of one, with these pictures."""
    row = FleetRow(IntegrationKey("acme", "production"), FleetState.LIVE, FleetHealth.OK, "onboarding completed")
    console.ports.fleet = FakeFleet([row], pictures)
    return console.browser("vic", "viewer").get("/").text


@pytest.mark.parametrize(("count", "all_of_them"), [(MOST_GRACES - 1, True), (MOST_GRACES, False)])
def test_graces_that_may_be_more_say_so(console: Console, now: datetime, count: int, all_of_them: bool) -> None:  # noqa: FBT001  a case
    """As many as are told of at most are called the first; fewer are all that there are."""
    graces = tuple((IntegrationKey(f"t{n}", "prod"), now + timedelta(hours=n + 1)) for n in range(count))
    said = f"These are the {MOST_GRACES} that end first" in words_of(shown(console, Pictures(now, graces=graces)))
    assert said is not all_of_them


def test_a_history_with_gaps_says_so(console: Console, now: datetime) -> None:
    """Its title counts days and not counts, and says whose days they are."""
    days = tuple((now - timedelta(days=n), {FleetState.LIVE: 3}) for n in (9, 1, 0))
    words = words_of(shown(console, Pictures(now, history=days)))
    assert "States over 10 days" in words
    assert "By days in UTC; on 7 of them nothing was counted." in words
    whole = words_of(shown(console, Pictures(now, history=days[1:])))
    assert "States over 2 days" in whole
    assert "By days in UTC." in whole


def test_the_number_that_is_overdue_says_what_it_leads_to(console: Console, now: datetime) -> None:
    """It puts the list in the order of dates, and does not narrow it."""
    page = shown(console, Pictures(now, overdue=2))
    assert re.search(r'href="/\?sort=due"[^>]*><span class="count">2</span> overdue, by date</a>', page)
