"""People with browsers: Debian's Chromium, driven by Playwright, and what is to be said about the pages it shows."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Playwright, Request, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(__file__).parents[2] / "var" / "screenshots"
PATIENCE_MS = 60_000.0  # the machine may be busy with other tests
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
MOST_BYTES, MOST_SHIFT = 150_000, 0.01

_AXE = "axe-core@4.14.1"
_AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
_SHIFTS = """
window.keyturnShifts = [];
const place = ({ node, previousRect: from, currentRect: to }) => {
  const element = node instanceof Element ? node : node?.parentElement;
  return `${element?.closest("[data-live-part]")?.dataset.livePart ?? ""} ${element?.localName} ${element?.className}`
    + ` from ${Math.round(from.x)},${Math.round(from.y)} to ${Math.round(to.x)},${Math.round(to.y)}`;
};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) window.keyturnShifts.push([entry.value, entry.sources.map(place)]);
}).observe({ type: "layout-shift", buffered: true });
"""
_SIZES = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((entry) => [entry.name, Math.max(entry.transferSize, entry.encodedBodySize)])
"""
_VIOLATIONS = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`))
"""


@dataclass
class Person:
    """Somebody in front of a browser with a profile of their own.

    Attributes:
        base: address of the console that they use; another replica of it has another port and the same cookies.
        wrong: what the pages complained of.
        elsewhere: addresses outside of this machine that a page asked for.
    """

    context: BrowserContext
    profile: Path
    base: str
    page: Page = field(init=False)
    wrong: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_SHIFTS)
        self.context.on("request", self._asked)
        self.context.on("console", self._told)
        self.page = self.context.pages[0]

    def sign_in(self, link: str) -> None:
        """Open a one-time link; its page does the rest."""
        self.page.goto(link)
        self.page.get_by_role("button", name="Sign out").wait_for()

    def go(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(f"{self.base}{path}")

    def moves_to(self, base: str) -> None:
        """Go on with the same page at another replica, as behind a balancer."""
        self.base = base
        here = urlsplit(self.page.url)
        self.page.goto(urlunsplit(here._replace(netloc=urlsplit(base).netloc)))

    def press(self, name: str | re.Pattern[str], role: Literal["button", "link"] = "button") -> None:
        """Press a button, or follow a link, by what it says."""
        self.page.get_by_role(role, name=name).first.click()

    def sees(self, text: str) -> None:
        """Wait until the page says so."""
        self.page.get_by_text(text).first.wait_for()

    def in_new_tab(self, name: str) -> Page:
        """Follow a link that opens in a tab of its own, and give that."""
        with self.context.expect_page() as opened:
            self.press(name, "link")
        opened.value.wait_for_load_state()
        return opened.value

    def copies(self, label: str, field: Locator) -> None:
        """Press the button that copies what belongs into a field, and paste it there."""
        self.page.bring_to_front()
        self.page.get_by_role("button", name=label, exact=True).click()
        field.page.bring_to_front()
        field.focus()
        field.page.keyboard.press("Control+V")

    def tab_to(self, target: Locator) -> None:
        """Press Tab until the keyboard is there; fails if it never gets there."""
        for _ in range(150):
            if target.evaluate("(element) => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no way to {target} by keyboard")

    def no_fault(self, *, refused: bool = False) -> None:
        """Nothing was wrong with any page so far, and nobody outside of this machine was asked for anything.

        Args:
            refused: whether something was asked for that the server had to refuse; browsers call that an error, too.
        """
        told = [line for line in self.wrong if not (refused and "the server responded with a status of 4" in line)]
        assert told == []
        assert self.elsewhere == []

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.elsewhere.append(request.url)

    def _told(self, message: ConsoleMessage) -> None:
        # A replica that was killed is no fault of a page, which says so in its own way.
        if message.type == "error" and "net::ERR_" not in message.text:
            self.wrong.append(f"{message.text} ({message.location.get('url')})")


@dataclass(frozen=True)
class Looks:
    """Looks at pages as people do who judge them, and keeps a picture of each."""

    folder: Path = SCREENSHOTS

    def over(self, page: Page, name: str) -> None:
        """Both themes and a phone: no violation of axe-core's rules, and a screenshot of each."""
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            assert violations(page) == [], f"{name}, {theme}"
            self.keep(page, f"{name}-{theme}")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a plain dict
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide for a phone"
        assert violations(page) == [], f"{name}, phone"
        self.keep(page, f"{name}-phone")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]  # as above
        page.emulate_media(color_scheme="light")

    def keep(self, page: Page, name: str) -> None:
        """Keep a picture of a whole page."""
        self.folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=self.folder / f"{name}.png", full_page=True, animations="disabled")


@contextmanager
def playwright() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as running:
        yield running


@contextmanager
def person(running: Playwright, profile: Path, base: str) -> Iterator[Person]:
    """Somebody with a fresh profile, which stays on the disk when their browser is closed."""
    context = running.chromium.launch_persistent_context(
        profile,
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--disable-dev-shm-usage"],  # tests run as root, in a container
        viewport=DESK,  # type: ignore[arg-type]  # a plain dict
        permissions=["clipboard-read", "clipboard-write"],
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
        timeout=PATIENCE_MS * 2,
    )
    try:
        yield Person(context, profile, base)
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, a line each."""
    page.evaluate(_axe())
    found: list[str] = page.evaluate(_VIOLATIONS)
    return found


def weight(page: Page) -> Mapping[str, int]:
    """What the page and everything on it took over the wire, in bytes; for a page loaded without a cache."""
    sizes: list[tuple[str, int]] = page.evaluate(_SIZES)
    return dict(sizes)


def stands_still(page: Page) -> None:
    """Nothing on the page has moved without anybody touching it, or hardly, as browsers count it."""
    moved: list[tuple[float, list[str]]] = page.evaluate("() => window.keyturnShifts")
    assert sum(value for value, _ in moved) < MOST_SHIFT, moved


def uncached(page: Page) -> Any:
    """Have the page load everything anew."""
    session = page.context.new_cdp_session(page)
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return session


@cache
def _axe() -> str:
    """axe-core, from the npm package: installed once beside this Python, and known by its hash."""
    kept = Path(sys.prefix) / "npm" / _AXE.replace("@", "-")
    if not kept.is_dir():
        _install(kept)
    content = (kept / "node_modules" / "axe-core" / "axe.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == _AXE_SHA256, "this is another axe-core than the tests know"
    return content.decode()


def _install(kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    new = tempfile.mkdtemp(dir=kept.parent)
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--no-save", "--prefix", new]
    subprocess.run(["npm", "install", *quiet, _AXE], check=True, capture_output=True, timeout=240)
    with contextlib.suppress(OSError):  # somebody else was faster
        Path(new).rename(kept)
    shutil.rmtree(new, ignore_errors=True)
