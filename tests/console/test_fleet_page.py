from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID, uuid4

import pytest

from keyturn.console.words import CAUSES
from keyturn.domain.attempt import AttemptKind, Stage
from keyturn.domain.fleet import FleetHealth, FleetRow, FleetSort, FleetState, Pictures, Waiting
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from tests.console.conftest import Console
from tests.fakes.fleet import FakeFleet
from tests.services.world import World

GATE = UUID("0c0ffee0-0000-4000-8000-000000000001")
Look = Callable[..., str]


@pytest.fixture
def fleet(console: Console) -> FakeFleet:
    """The fleet that the console shows, of nothing yet."""
    fleet = FakeFleet(drawn=Pictures(console.ports.clock.now()))
    console.ports.fleet = fleet
    return fleet


@pytest.fixture
def now(console: Console) -> datetime:
    """The present."""
    return console.ports.clock.now()


@pytest.fixture
def look(console: Console) -> Look:
    """Look at the fleet, or at one integration's line of it, as text."""
    viewer = console.browser("vic", "viewer")

    def at(path: str = "/", line: str = "") -> str:
        answer = viewer.get(path)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return _text(_line(answer.text, line) if line else answer.text)

    return at


def row(
    name: str, state: FleetState = FleetState.LIVE, health: FleetHealth = FleetHealth.OK, **more: object
) -> FleetRow:
    """A line of the fleet."""
    return FleetRow(IntegrationKey(name, "production"), state, health, **{"says": "onboarding completed", **more})  # type: ignore[arg-type]


@pytest.mark.usefixtures("fleet")
def test_an_empty_fleet_says_how_to_begin(look: Look) -> None:
    """Nobody is left before an empty table."""
    page = look()
    assert "No integration yet" in page
    assert "keyturn onboard tenant/environment" in page


def test_a_line_says_where_an_integration_stands_and_why(fleet: FakeFleet, look: Look, now: datetime) -> None:
    """State, stage, cause, age and next turn, verdict, who is waited for since when, when it was seen."""
    waiting = Waiting(GATE, GateKind.GONG_ROTATION, ("gong_admin", "operator"), now - timedelta(hours=5))
    fleet.rows = [
        row(
            "acme",
            FleetState.WAITING,
            FleetHealth.RAISED,
            says="rotation awaiting_gong",
            attempt_id=uuid4(),
            kind=AttemptKind.ROTATION,
            stage=Stage.GONG_ROTATION,
            done=2,
            total=9,
            causes=(Cause.SECRET_RESET,),
            waiting=(waiting,),
            turned_at=now - timedelta(days=41, hours=3),
            due_at=now + timedelta(days=49),
            verdict={"L0": "passed", "L1": "failed", "L2": "not tested"},
            checked_at=now - timedelta(minutes=12),
        )
    ]
    line = look(line="acme/production")
    for said in ("waiting", "2 of 9", "rotation awaiting gong", "Gong refuses the secret", "41 days old", "12 min ago"):
        assert said in line
    assert f"next {now + timedelta(days=49):%d %b}" in line
    assert "new secret from Gong" in line
    assert "5 h ago, gong admin, operator" in line


def test_a_line_leads_to_the_integration_and_to_its_gate(fleet: FakeFleet, console: Console, now: datetime) -> None:
    """One press from the list to what can be done."""
    waiting = Waiting(GATE, GateKind.APPROVE, ("approver",), now)
    fleet.rows = [row("acme", FleetState.WAITING, waiting=(waiting,))]
    page = console.browser("vic", "viewer").get("/").text
    assert 'href="/integrations/acme/production"' in page
    assert f'href="/gates/{GATE}"' in page


def test_what_was_not_tested_is_never_green(fleet: FakeFleet, console: Console) -> None:
    """Only a layer that passed is, and a line without any verdict says so for every layer."""
    fleet.rows = [row("acme", verdict={"L0": "passed", "L1": "not tested", "L2": "failed"}), row("globex")]
    page = console.browser("vic", "viewer").get("/").text
    assert re.findall(r'class="mark (\w+)">(L\d)', _line(page, "acme/production")) == [
        ("passed", "L0"),
        ("untested", "L1"),
        ("failed", "L2"),
        ("untested", "L3"),
    ]
    globex = _line(page, "globex/production")
    assert 'aria-label="L0 not tested, L1 not tested, L2 not tested, L3 not tested"' in globex
    assert "mark passed" not in globex


@pytest.mark.parametrize("health", [h for h in FleetHealth if h is not FleetHealth.OK])
def test_what_is_not_known_to_be_well_is_never_green(fleet: FakeFleet, console: Console, health: FleetHealth) -> None:
    """Neither unknown, nor never checked, nor a cause that stands looks good."""
    fleet.rows = [row("acme", health=health, causes=(Cause.NOT_SEEN,) if health is FleetHealth.RAISED else ())]
    assert "good" not in _line(console.browser("vic", "viewer").get("/").text, "acme/production")


def test_every_cause_has_words(fleet: FakeFleet, look: Look) -> None:
    """A cause is told in words of its own, not by its name in the code."""
    fleet.rows = [row(f"tenant-{place}", causes=(cause,)) for place, cause in enumerate(Cause)]
    page = look()
    assert set(CAUSES) == set(Cause)
    assert all(words in page for words in CAUSES.values())


def test_further_causes_are_counted_and_can_be_heard(fleet: FakeFleet, look: Look) -> None:
    """Two are shown; how many more there are is seen, and which ones is read aloud."""
    fleet.rows = [row("acme", causes=(Cause.CONNECTION_DOWN, Cause.PROFILE_EDITED, Cause.MANIFEST_CHANGED))]
    line = look(line="acme/production")
    assert "connection is down" in line
    assert "+1 more: manifest has changed" in line


def test_a_secret_past_its_date_says_since_when(fleet: FakeFleet, look: Look, now: datetime) -> None:
    """What is overdue is not shown as coming."""
    due = now - timedelta(days=10)
    fleet.rows = [row("acme", turned_at=now - timedelta(days=100), due_at=due)]
    line = look(line="acme/production")
    assert f"overdue {due:%d %b}" in line
    assert "next" not in line


def test_the_address_says_what_is_searched_for(fleet: FakeFleet, look: Look) -> None:
    """Text, state, health, cause and group narrow the list; the form keeps showing them."""
    asked = Waiting(GATE, GateKind.APPROVE, ("approver",), fleet.drawn.at)
    fleet.rows = [
        row("acme", FleetState.WAITING, FleetHealth.RAISED, causes=(Cause.PROFILE_GONE,), waiting=(asked,)),
        row("globex"),
    ]
    for query in ("text=acm", "state=waiting", "health=raised", "cause=profile_gone", "group=approver"):
        page = look(f"/?{query}")
        assert "acme" in page
        assert "globex" not in page
    assert "globex" in look("/?state=live&sort=age")


def test_the_form_keeps_what_was_asked_for(fleet: FakeFleet, console: Console) -> None:
    """So that the next press narrows further instead of beginning again."""
    fleet.rows = [row("acme")]
    page = console.browser("vic", "viewer").get("/?text=acm&state=live&sort=key&group=approver").text
    assert 'name="text" type="search" value="acm"' in page
    for name in ("live", "key", "approver"):
        assert f'<option value="{name}" selected>' in page


def test_nothing_found_is_no_empty_fleet(fleet: FakeFleet, look: Look) -> None:
    """It says that the search found nothing, and leads back to all of them."""
    fleet.rows = [row("acme")]
    page = look("/?text=globex")
    assert "No integration is like that" in page
    assert "keyturn onboard" not in page


@pytest.mark.parametrize("sort", FleetSort)
def test_every_order_can_be_asked_for(fleet: FakeFleet, console: Console, sort: FleetSort) -> None:
    """By a link in the head of the list, which says that it is in force."""
    fleet.rows = [row("acme")]
    page = console.browser("vic", "viewer").get(f"/?sort={sort}&state=live").text
    assert f'href="/?state=live&amp;sort={sort}" aria-current="true"' in page
    assert page.count("aria-sort=") == 1


def test_pages_follow_each_other_and_keep_what_was_asked_for(fleet: FakeFleet, console: Console) -> None:
    """From the first page over the next one to the last, and back to the first."""
    fleet.rows = [row(f"tenant-{number}") for number in range(120)]
    viewer = console.browser("vic", "viewer")
    path, seen = "/?state=live&sort=key", list[str]()
    while path:
        page = viewer.get(path).text
        seen += re.findall(r'data-live-row="([^"]+)"', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        path = html.unescape(following[1]) if following else ""
        assert not path or path.startswith("/?state=live&sort=key&after=")
    assert seen == [str(each.key) for each in fleet.rows]
    assert 'href="/?state=live&amp;sort=key">First page' in page


@pytest.mark.parametrize(
    "query",
    ["state=nonsense", "health=well", "cause=none", "sort=up", "after=nowhere", "text=%00", "text=" + 401 * "a"],
)
@pytest.mark.usefixtures("fleet")
def test_an_address_that_means_nothing_is_answered_in_words(console: Console, query: str) -> None:
    """Neither a failure nor a list of something else."""
    answer = console.browser("vic", "viewer").get(f"/?{query}")
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert 'role="alert"' in answer.text


def test_a_word_that_the_page_does_not_know_changes_nothing(fleet: FakeFleet, look: Look) -> None:
    """An address that somebody else has added to still leads here."""
    fleet.rows = [row("acme")]
    assert "acme" in look("/?utm_source=chat")


def test_text_in_an_address_is_shown_as_text(fleet: FakeFleet, console: Console) -> None:
    """Nobody can put anything into the page by a link."""
    fleet.rows = [row("acme")]
    page = console.browser("vic", "viewer").get("/?text=%22%3E%3Cscript%3E&group=%3Cb%3E").text
    assert "<script>" not in page.replace('<script src="', "")
    assert "<b>" not in page


def test_totals_lead_to_what_they_count(fleet: FakeFleet, console: Console) -> None:
    """Each state and each health, with how many there are."""
    fleet.rows = [row("acme"), row("globex"), row("initech", FleetState.HALTED, FleetHealth.UNKNOWN)]
    page = console.browser("vic", "viewer").get("/").text
    for query, number in {"state=live": 2, "state=halted": 1, "health=unknown": 1, "health=never+checked": 0}.items():
        assert re.search(rf'href="/\?{re.escape(query)}"\s*><span class="count">{number}</span>', page), query


def test_pictures_say_the_same_in_tables(fleet: FakeFleet, console: Console, now: datetime) -> None:
    """Whoever cannot see them has a description and every number."""
    fleet.rows = [row("acme")]
    fleet.drawn = Pictures(
        now,
        ages={30: 7},
        overdue=2,
        history=((now, {FleetState.LIVE: 17}),),
        graces=((IntegrationKey("acme", "production"), now + timedelta(hours=30)),),
    )
    page = console.browser("vic", "viewer").get("/").text
    assert len(re.findall(r"<svg[^>]*role=\"img\"", page)) == page.count("<desc ") == 2  # of times there are none
    assert re.search(r'<th scope="row">≤ 30</th><td class="number">7</td>', page)
    assert re.search(rf'<th scope="row">{now:%Y-%m-%d}</th><td class="number">17</td>', page)
    assert "30 h 0 min left" in page
    assert "2 past their date" in page


def test_the_page_of_the_real_fleet_follows_the_ledger(world: World, console: Console) -> None:
    """What an onboarding waits for is there as soon as it is asked."""
    viewer = console.browser("vic", "viewer")
    path = f"/?text={world.key.tenant}"
    assert str(world.key) not in viewer.get(path).text
    gate = world.to_approval()
    line = _line(viewer.get(path).text, str(world.key))
    assert f'href="/gates/{gate.id}"' in line
    assert "approver" in line
    world.approve()
    world.waits()
    assert "gong admin" in _text(_line(viewer.get(path).text, str(world.key)))


def _line(page: str, key: str) -> str:
    found = re.search(rf'<tr [^>]*data-live-row="{key}">.*?</tr>', page, re.DOTALL)
    assert found, f"no line of {key}"
    return found[0]


def _text(page: str) -> str:
    """What is to be read, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.replace("</span><", "</span> <"))).split())
