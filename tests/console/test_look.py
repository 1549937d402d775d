from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from keyturn.console.streams import Pace, Streams
from keyturn.domain.attempt import Stage
from keyturn.domain.fleet import FleetHealth, FleetRow, FleetState, Pictures, StageTimes, Waiting
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause
from keyturn.domain.integration import IntegrationKey
from keyturn.errors import UnavailableError
from tests.console.conftest import Browser, Console
from tests.console.screens import DESK, NEW_YORK, PHONE, Screen, chromium, screen
from tests.console.serving import Running, running, until
from tests.fakes.fleet import FakeFleet

_STATIC = files("keyturn.console") / "static"
_NOTES_SHIFTS = """window.shifted = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput)
        shifted.push(...entry.sources.map(({node, previousRect: was, currentRect: is}) =>
            `${(node?.outerHTML ?? node?.textContent ?? "").slice(0, 80)} ${was.x},${was.y} ${is.x},${is.y}`));
}).observe({type: "layout-shift", buffered: true})"""


@pytest.fixture
def environ(environ_of_services: dict[str, str]) -> dict[str, str]:
    """A console that answers for this machine's own names."""
    return environ_of_services


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """One Chromium for all of them."""
    with chromium() as running_one:
        yield running_one


@pytest.fixture
def fleet(console: Console) -> FakeFleet:
    """A fleet in every state, as of the test's own time."""
    now = console.ports.clock.now()
    fleet = FakeFleet(list(_rows(now)), _drawn(now))
    console.ports.fleet = fleet
    console.app.state.streams = Streams(fleet, Pace(heartbeat_s=0.5, session_s=0.2, listen_s=0.05))
    return fleet


@pytest.fixture
def served(console: Console) -> Iterator[Running]:
    """The console behind a server."""
    with running(console.app) as running_one:
        yield running_one


@pytest.fixture
def vic(console: Console) -> Browser:
    """A viewer who is signed in."""
    return console.browser("vic", "viewer")


@pytest.fixture
def look(browser: Chromium, served: Running, vic: Browser) -> Iterator[Callable[..., Screen]]:
    """Open screens of the viewer."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(screen(browser, served.origin, vic.token, **more))


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("path", ["/", "/inbox", "/?state=nonsense"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_no_page_is_wider_than_its_window(look: Callable[..., Screen], path: str, size: dict[str, int]) -> None:
    """Whatever is wider scrolls in a box of its own."""
    shown = look(viewport=size)
    shown.open(path)
    shown.says("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert shown.says("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.usefixtures("fleet")
def test_a_page_with_all_that_it_loads_is_light(look: Callable[..., Screen]) -> None:
    """Fifty integrations and four pictures weigh less than 150 kB, and nothing comes from anywhere else."""
    shown = look()
    shown.open("/")
    shown.page.wait_for_load_state("load")
    loaded = {url: size for url, size in shown.weights.items() if not url.endswith("/live")}
    assert {"app.css", "app.js", "fleet.css"} <= {url.rpartition("/")[2].partition("?")[0] for url in loaded}
    assert all(url.startswith(shown.origin) for url in loaded)
    assert 0 < sum(loaded.values()) < 150_000


def test_the_script_is_small() -> None:
    """It is read and checked by people, so it stays below 10 kB."""
    assert len((_STATIC / "app.js").read_bytes()) < 10_000


@pytest.mark.usefixtures("fleet")
def test_pages_obey_their_own_policy(look: Callable[..., Screen]) -> None:
    """Neither the browser nor the script has anything to complain about."""
    shown = look()
    for path in ("/", "/inbox"):
        with shown.page.expect_request("**/live"):
            shown.open(path)
    assert shown.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_colours_that_meets_can_be_read(theme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for the edges of what can be pressed or typed into."""
    colours = _tokens(theme)
    grounds = ("ground", "surface", "sunken")
    pairs = [(text, ground) for text in ("ink", "muted", "accent", "bad", "warn", "good") for ground in grounds]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "plain", "accent")]
    pairs += [("ink", f"{tone}-soft") for tone in ("good", "warn", "bad", "accent")] + [("accent-ink", "accent")]
    weak = [(a, b) for a, b in pairs if _contrast(colours[a], colours[b]) < 4.5]
    weak += [("line-strong", b) for b in grounds if _contrast(colours["line-strong"], colours[b]) < 3]
    assert weak == []


@pytest.mark.usefixtures("fleet")
def test_whoever_uses_the_keyboard_sees_where_they_are(look: Callable[..., Screen]) -> None:
    """The first stop leads past the head of the page, and every further one has an outline."""
    shown = look()
    shown.open("/")
    shown.page.keyboard.press("Tab")
    assert shown.says("document.activeElement.className") == "skip"
    shown.page.keyboard.press("Enter")
    assert shown.says("document.activeElement.id") == "main"
    for _ in range(12):
        shown.page.keyboard.press("Tab")
        assert shown.says("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.usefixtures("fleet")
def test_paper_has_no_buttons_and_no_head(look: Callable[..., Screen]) -> None:
    """What cannot be pressed on paper is not printed."""
    shown = look()
    shown.open("/")
    shown.page.emulate_media(media="print")
    for what in (".bar", "form.filter", ".skip"):
        expect(shown.page.locator(what)).to_be_hidden()


@pytest.mark.usefixtures("fleet")
def test_who_wants_no_motion_gets_none(look: Callable[..., Screen]) -> None:
    """No transition and no animation."""
    durations = "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).transitionDuration)"
    calm, moving = look(reduced_motion="reduce"), look(reduced_motion="no-preference")
    for shown in (calm, moving):
        shown.open("/")
    assert set(calm.says(durations)) == {"0s"}
    assert set(moving.says(durations)) != {"0s"}


@pytest.mark.usefixtures("fleet")
def test_times_are_the_viewers_own(look: Callable[..., Screen]) -> None:
    """A moment is shown in the zone of whoever looks, and exactly on demand."""
    shown = look()
    shown.open("/")
    grace = shown.page.locator(".graces time[data-when]").first
    moment = datetime.fromisoformat(grace.get_attribute("datetime") or "").astimezone(ZoneInfo(NEW_YORK))
    expect(grace).to_contain_text(f"{moment:%H:%M}")
    assert f"{moment:%Y} at {moment:%H:%M:%S} {moment:%Z}" in _zoned(grace.get_attribute("title"))


def test_a_change_reaches_the_page_and_nothing_moves(
    look: Callable[..., Screen], console: Console, fleet: FakeFleet
) -> None:
    """The list is made anew in its place: no jump, no lost place, no lost focus, no closed table, nothing untyped."""
    shown = look()
    page = shown.page
    page.clock.set_fixed_time(console.ports.clock.now())  # the browser's clock is right
    page.add_init_script(_NOTES_SHIFTS)
    shown.open("/")
    page.locator("#text").fill("half a na")
    page.locator("#p-history ~ details summary").click()
    page.evaluate("scrollTo(0, 200)")
    page.locator("tbody a[href='/integrations/acme/production']").focus()
    before = shown.says("scrollY")
    _turn(fleet, "acme/production", FleetState.HALTED)
    expect(page.locator("tr.state-halted a[href='/integrations/acme/production']")).to_be_visible()
    assert shown.says("document.activeElement.getAttribute('href')") == "/integrations/acme/production"
    assert page.locator("#p-history ~ details").get_attribute("open") is not None
    assert page.locator("#text").input_value() == "half a na"
    assert shown.says("scrollY") == before
    assert shown.says("shifted") == []


def test_many_changes_make_few_requests(look: Callable[..., Screen], fleet: FakeFleet) -> None:
    """However often something changes, a page is asked for once a second at most."""
    shown = look()
    asked: list[float] = []
    shown.page.on("request", lambda request: asked.append(time.monotonic()) if request.url.endswith("/") else None)
    shown.open("/")
    while len(asked) < 4:  # the page itself, and three times anew
        fleet.change("acme/production")
        shown.page.wait_for_timeout(20)
    assert all(later - earlier > 0.9 for earlier, later in pairwise(asked[1:]))


def test_what_somebody_types_is_left_alone(look: Callable[..., Screen], fleet: FakeFleet) -> None:
    """A part in which somebody types is not made anew before they are done."""
    shown = look()
    shown.open("/")
    shown.says("document.querySelector('[data-live-part=list]').insertAdjacentHTML('beforeend', '<input id=note>')")
    shown.page.locator("#note").fill("still thinking")
    _turn(fleet, "acme/production", FleetState.HALTED)
    expect(shown.page.locator(".total", has_text="halted").locator(".count")).to_have_text("2")
    assert shown.page.locator("#note").input_value() == "still thinking"
    shown.page.locator("#note").fill("")
    expect(shown.page.locator("tr.state-halted")).to_have_count(2, timeout=10_000)


@pytest.mark.usefixtures("fleet")
def test_who_is_signed_out_is_told_on_the_page(look: Callable[..., Screen], console: Console, vic: Browser) -> None:
    """The page says that it no longer follows, stays as it is, and asks no more."""
    shown = look()
    shown.open("/")
    console.ports.visits.end(vic.token)
    expect(shown.page.locator("#status")).to_contain_text("signed out", timeout=10_000)
    expect(shown.page.locator("h1")).to_have_text("Fleet")


@pytest.mark.usefixtures("fleet")
def test_who_is_signed_out_is_told_though_asking_failed_at_first(
    look: Callable[..., Screen], console: Console, vic: Browser
) -> None:
    """The page asks each time it cannot follow, not only the first time."""
    shown = look()
    shown.open("/")
    shown.page.wait_for_load_state("networkidle")  # what it asks on its arrival is answered
    shown.page.route("**/", lambda asked: asked.abort(), times=1)
    console.ports.visits.end(vic.token)
    expect(shown.page.locator("#status")).to_contain_text("signed out", timeout=20_000)


def test_a_ledger_out_of_reach_is_told_on_the_page(look: Callable[..., Screen], fleet: FakeFleet) -> None:
    """What may be old says so, until it is new again."""
    shown = look()
    shown.open("/")
    until(lambda: fleet.listeners == 1)
    fleet.failure = UnavailableError("the ledger", "is away")
    fleet.break_off(fleet.failure)
    expect(shown.page.locator("#status")).to_contain_text("may be old")
    fleet.failure = None
    expect(shown.page.locator("#status")).to_be_empty(timeout=10_000)


@pytest.mark.usefixtures("fleet")
def test_a_value_is_copied_by_its_button(look: Callable[..., Screen]) -> None:
    """The clipboard has it, the button says so for a moment, and readers of the screen hear it."""
    shown = look()
    shown.open("/")
    shown.says("""document.querySelector('main').insertAdjacentHTML('beforeend',
        '<button type=button class=copy data-copy="a value">Copy</button>')""")
    button = shown.page.locator("button.copy")
    button.click()
    expect(button).to_have_text("Copied")
    expect(shown.page.locator("#status[role=status]")).to_have_text("Copied to the clipboard.")
    assert shown.says("navigator.clipboard.readText()") == "a value"
    expect(button).to_have_text("Copy")


@pytest.mark.usefixtures("fleet")
def test_a_page_can_be_read_without_script(look: Callable[..., Screen]) -> None:
    """Every integration, the filter and the tables are there; moments are in UTC."""
    shown = look(java_script_enabled=False)
    shown.open("/")
    expect(shown.page.locator("tbody tr[data-live-row]")).to_have_count(50)
    expect(shown.page.locator(".graces time[data-when]").first).to_contain_text("UTC")
    shown.page.locator("#state").select_option("halted")
    shown.page.get_by_role("button", name="Show").click()
    expect(shown.page.locator("tbody tr[data-live-row]")).to_have_count(1)


def _zoned(title: str | None) -> str:
    """With the names that Python has for the zone."""
    return (title or "").replace("GMT-5", "EST").replace("GMT-4", "EDT")


def _turn(fleet: FakeFleet, key: str, state: FleetState) -> None:
    """An integration comes into another state."""
    fleet.rows = [
        replace(row, state=state, says="rotation orphaned") if str(row.key) == key else row for row in fleet.rows
    ]
    fleet.drawn = replace(fleet.drawn, overdue=fleet.drawn.overdue + 1)
    fleet.change(key)


def _rows(now: datetime) -> Iterator[FleetRow]:
    yield FleetRow(
        IntegrationKey("globex", "staging"),
        FleetState.HALTED,
        FleetHealth.RAISED,
        "rotation orphaned",
        uuid4(),
        causes=(Cause.CONNECTION_DOWN, Cause.SECRET_RESET, Cause.ROTATION_OVERDUE),
        turned_at=now - timedelta(days=120),
        due_at=now - timedelta(days=30),
        verdict={"L0": "passed", "L1": "failed"},
        checked_at=now,
    )
    waiting = Waiting(uuid4(), GateKind.GONG_ROTATION, ("gong_admin", "operator"), now - timedelta(hours=3))
    yield FleetRow(
        IntegrationKey("acme", "production"),
        FleetState.WAITING,
        FleetHealth.OK,
        "rotation awaiting_gong",
        uuid4(),
        waiting=(waiting, waiting),
        grace_ends_at=now + timedelta(hours=20),
    )
    for number in range(58):
        environment = "an-environment-with-quite-a-long-name" if number == 3 else "production"
        yield FleetRow(
            IntegrationKey(f"tenant-{number}", environment), FleetState.LIVE, FleetHealth.OK, "onboarding completed"
        )


def _drawn(now: datetime) -> Pictures:
    days = tuple((now - timedelta(days=30 - n), {FleetState.LIVE: n + 20, FleetState.HALTED: n % 3}) for n in range(30))
    times = tuple(StageTimes(stage, 86400.0, 4.0, 12) for stage in Stage)
    graces = ((IntegrationKey("acme", "production"), now + timedelta(hours=20)),)
    return Pictures(now, ages={7: 3, 90: 12, 0: 1}, overdue=1, history=days, times=times, graces=graces)


def _tokens(theme: str) -> dict[str, str]:
    """The colours of a theme, by their names."""
    css = (_STATIC / "app.css").read_text()
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    dark = rest.partition("/* --- the page */")[0]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark)) if theme == "dark" else found


def _contrast(one: str, other: str) -> float:
    """As https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio has it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
