"""Times and days as somebody in New York sees them, by script; and how they are told apart from UTC without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from keyturn.domain.fleet import FleetHealth, FleetRow, FleetState
from keyturn.domain.integration import IntegrationKey
from keyturn.ports import LogLine
from tests.console.conftest import Console
from tests.console.screens import chromium, screen
from tests.console.serving import running
from tests.fakes.fleet import FakeFleet
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


def test_days_in_the_list(console: Console, browser: Chromium) -> None:
    """A date is that of the viewer's own zone, with its year alone where it is far away."""
    now = console.ports.clock.now()
    soon = datetime.now(UTC).replace(hour=2, minute=30) + timedelta(days=40)
    row = FleetRow(IntegrationKey("acme", "production"), FleetState.LIVE, FleetHealth.OK, "", turned_at=now)
    far = replace(row, key=IntegrationKey("globex", "production"), due_at=soon + timedelta(days=400))
    console.ports.fleet = FakeFleet([replace(row, due_at=soon), far])
    with running(console.app) as served, screen(browser, served.origin, console.browser("vic", "viewer").token) as seen:
        seen.open("/")
        days = seen.page.locator("time[data-when=day]")
        expect(days.nth(0)).to_have_text(f"{soon - timedelta(days=1):%d %b}")
        expect(days.nth(1)).to_have_text(f"{soon + timedelta(days=399):%b %Y}")
        assert seen.complaints == []


def test_times_of_the_log(world: World, console: Console, browser: Chromium) -> None:
    """A line's time is the viewer's own; without script it is called UTC."""
    world.to_approval()
    at = datetime(2026, 1, 15, 14, 5, 6, tzinfo=UTC)
    world.runs.logs[world.run_id] = [LogLine(at, "INFO", "went on")]
    vic = console.browser("vic", "viewer")
    path = f"/attempts/{world.attempt.id}"
    with running(console.app) as served:
        for script, shown in ((True, "09:05:06"), (False, "14:05:06 UTC")):
            with screen(browser, served.origin, vic.token, java_script_enabled=script) as seen:
                seen.open(path)
                expect(seen.page.locator(".log time")).to_have_text(shown)
