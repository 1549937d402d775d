"""The headers of every answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.console.conftest import Console
from tests.services.world import World

SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    ("path", "status"), [("/sign-in", 200), ("/inbox", 307), ("/nowhere", 404), ("/api/v1/me", 401), ("/readyz", 500)]
)
def test_every_answer_has_them(console: Console, path: str, status: int) -> None:
    """Pages, redirects, refusals, and what says that something failed inside."""
    console.app.state.readiness = None
    answer = console.nobody().get(path, follow_redirects=False)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert len(answer.headers.get_list("content-security-policy")) == 1


@pytest.mark.parametrize(("url", "only"), [("https://console.example", True), ("http://localhost:8400", False)])
def test_https_only_is_what_browsers_are_told(
    new_world: Callable[..., World], new_console: Callable[[World], Console], url: str, *, only: bool
) -> None:
    """By the address that they use, not by how a proxy comes here."""
    console = new_console(new_world(CONSOLE__URL=url))
    for scheme in ("http", "https"):
        answer = console.nobody().get(f"{scheme}://{url.partition('//')[2]}/sign-in")
        assert answer.status_code == 200
        assert ("strict-transport-security" in answer.headers) is only
