"""The gate's page in Chromium: what its script does, how it looks on a phone and on paper, and what it weighs."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from keyturn.domain.attempt import Terms
from keyturn.domain.gate import Gate
from tests.console.conftest import Browser, Console
from tests.console.screens import PHONE, Screen, chromium, screen
from tests.console.seats import sitting
from tests.console.serving import Running, running
from tests.services.rotation.turned import Turned
from tests.services.world import World


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
def served(console: Console) -> Iterator[Running]:
    """The console behind a server."""
    with running(console.app) as running_one:
        yield running_one


@pytest.fixture
def grace(world: World, console: Console) -> Browser:
    """Gong's admin, signed in."""
    return sitting(world, console)("grace").browser


@pytest.fixture
def look(browser: Chromium, served: Running, grace: Browser) -> Iterator[Callable[..., Screen]]:
    """Open a gate on a screen of Gong's admin."""
    with ExitStack() as stack:

        def look(gate: Gate, **more: object) -> Screen:
            shown = stack.enter_context(screen(browser, served.origin, grace.token, **more))
            shown.open(f"/gates/{gate.id}")
            return shown

        yield look


def test_a_tick_needs_no_reload(world: World, look: Callable[..., Screen], grace: Browser) -> None:
    """The page stays where it is, counts, keeps the focus; and the tick is there again after a reload."""
    gate = world.to_intake()
    shown = look(gate)
    shown.says("window.same = true")
    tick = shown.page.get_by_role("button", name="Done with step 2")
    tick.press("Enter")
    expect(tick).to_have_attribute("aria-pressed", "true")
    expect(tick).to_be_focused()
    expect(shown.page.locator("[data-ticked]")).to_have_text("1")
    assert shown.says("window.same && document.querySelector('progress').value") == 1
    shown.page.reload()
    expect(tick).to_have_attribute("aria-pressed", "true")
    tick.click()
    expect(tick).to_have_attribute("aria-pressed", "false")
    expect(shown.page.locator("[data-ticked]")).to_have_text("0")
    assert world.ports.visits.ticked(gate.id, grace.person.id) == frozenset()


@pytest.mark.parametrize(("typed", "offset"), [("2026-03-02T09:30", "-300"), ("2026-07-02T09:30", "-240")])
def test_the_viewers_own_clock(world: World, look: Callable[..., Screen], typed: str, offset: str) -> None:
    """The form says whose time is meant, and sends how far that is from UTC at that very moment."""
    turned = Turned(world, world.stored())
    world.go_on()
    world.consent(world.link())
    world.go_on()
    shown = look(turned.to_click(Terms(compromised=True)))
    expect(shown.page.locator("[data-zone]")).to_have_text("(America/New_York)")
    shown.page.get_by_label("When did you press").fill(typed)
    assert shown.page.locator("[name=utc_offset]").input_value() == offset


def test_a_secret_does_not_stay_behind(world: World, look: Callable[..., Screen]) -> None:
    """Whoever leaves the page and comes back by the back button finds no secret in it."""
    shown = look(world.to_intake())
    shown.page.get_by_label("Client Secret", exact=True).fill("kt-typed-and-left-behind")
    shown.page.get_by_role("link", name="Inbox").click()
    shown.page.wait_for_url("**/inbox")
    shown.page.go_back()
    assert shown.page.get_by_label("Client Secret", exact=True).input_value() == ""


def test_only_what_was_chosen_is_to_be_filled_in(world: World, look: Callable[..., Screen]) -> None:
    """The pair, or the wrapping token; without script, too."""
    shown = look(world.to_intake(), java_script_enabled=False)
    secret, token = (shown.page.get_by_label(name, exact=True) for name in ("Client Secret", "Wrapping token"))
    expect(secret).to_be_visible()
    expect(token).to_be_hidden()
    shown.page.get_by_label("A wrapping token of Vault").check()
    expect(token).to_be_visible()
    expect(secret).to_be_hidden()


def test_a_refusal_has_the_focus(world: World, look: Callable[..., Screen]) -> None:
    """After a refusal the reader of a screen begins there, and the fields are in view and empty."""
    shown = look(world.to_intake())
    shown.page.get_by_label("Client ID", exact=True).fill("an-id")
    shown.page.get_by_label("Client Secret", exact=True).fill("with white space in it")
    shown.page.get_by_role("button", name="Hand it over").click()
    problem = shown.page.get_by_role("alert")
    expect(problem).to_contain_text("contains white space")
    expect(problem).to_be_focused()
    expect(problem).to_be_in_viewport()
    expect(shown.page.get_by_label("Client ID", exact=True)).to_have_value("")
    expect(shown.page.get_by_label("Client Secret", exact=True)).to_have_value("")


def test_what_is_shown_once_is_gone(world: World, look: Callable[..., Screen]) -> None:
    """Neither the back button nor another look shows an auth link again."""
    shown = look(world.to_consent())
    shown.page.get_by_role("button", name="Get an auth link").click()
    token = shown.page.locator(".token")
    expect(token).to_contain_text("token=")
    world.secrets.append(str(shown.says("document.querySelector('.token code').textContent.split('token=')[1]")))
    shown.page.get_by_role("link", name="Back to the question").click()
    expect(shown.page.get_by_role("button", name="Get a fresh auth link")).to_be_visible()
    with pytest.raises(PlaywrightError, match="ERR_CACHE_MISS"):  # the browser kept nothing, and asks before it sends
        shown.page.go_back()
    expect(token).to_have_count(0)


def test_paper_has_the_kit_and_nothing_else(world: World, look: Callable[..., Screen]) -> None:
    """Each step with a box to tick by hand, where to hand the pair over; no form, no menu, no button to copy."""
    gate = world.to_intake()
    shown = look(gate)
    shown.page.emulate_media(media="print")
    boxes = shown.page.locator(".kit .box:visible")
    expect(boxes).to_have_count(6)
    expect(shown.page.locator("li.step:visible")).to_have_count(7)
    expect(shown.page.get_by_text(f"/gates/{gate.id}, signed in as yourself")).to_be_visible()
    for what in (".bar", ".copy", ".intake", ".decline", ".gate-side", ".crumbs"):
        expect(shown.page.locator(f"{what}:visible")).to_have_count(0)


def test_nothing_is_wider_than_a_phone(world: World, look: Callable[..., Screen]) -> None:
    """Long values are broken, drawings shrink, and nothing complains of the page."""
    shown = look(world.to_intake(), viewport=PHONE)
    shown.says("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert shown.says("document.documentElement.scrollWidth") <= PHONE["width"]
    assert shown.complaints == []


def test_a_kit_with_logos_is_light(world: World, look: Callable[..., Screen]) -> None:
    """Each logo is in the page once: with both, and all that it loads, it weighs less than 150 kB."""
    large, small = (base64.b64encode(secrets.token_bytes(size)).decode() for size in (40_000, 5_000))
    world.start(sealed=world.sealed().model_copy(update={"logo_large": large, "logo_small": small}))
    world.waits()
    world.approve()
    shown = look(world.waits())
    shown.page.wait_for_load_state("load")
    loaded = {url: size for url, size in shown.weights.items() if not url.endswith("/live")}
    assert 60_000 < sum(loaded.values()) < 150_000, loaded
