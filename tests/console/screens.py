"""Debian's Chromium before a console that is served on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, sync_playwright

from keyturn.console.visitor import SESSION_COOKIE

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
NEW_YORK = "America/New_York"


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Screen:
    """A page that somebody looks at, and what its script complained of.

    Attributes:
        weights: bytes of every answer by its path.
    """

    page: Page
    origin: str
    complaints: list[str]
    weights: dict[str, int]

    def open(self, path: str) -> None:
        """Go there."""
        self.page.goto(f"{self.origin}{path}")

    def says(self, script: str) -> Any:
        """What an expression comes to on the page."""
        return self.page.evaluate(script)


@contextmanager
def screen(browser: Chromium, origin: str, token: str, **more: Any) -> Iterator[Screen]:
    """Somebody's signed-in browser, with a clipboard."""
    cookie = {"cookie": f"{SESSION_COOKIE}={token}"}
    wanted = {"viewport": DESK, "timezone_id": NEW_YORK, **more}
    context = browser.new_context(extra_http_headers=cookie, **wanted)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    shown = Screen(context.new_page(), origin, [], {})
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("response", lambda answer: shown.weights.update({answer.url: _length(answer)}))
    yield shown
    context.close()


def _length(answer: Any) -> int:
    return int(answer.headers.get("content-length", 0))
