"""Sign-in and sign-out at the provider in a real browser, which holds every step to the security policy."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.console.conftest import Console
from tests.console.screens import chromium
from tests.console.serving import running
from tests.console.sign_in.openid import OpenIdProvider


def test_alice_signs_in_and_out(trusting: Callable[..., Console], openid: OpenIdProvider, home: str) -> None:
    """She wants the inbox, says at the provider who she is, sees it, and signs out at both places by one button."""
    listener = socket.create_server(("127.0.0.1", int(home.rpartition(":")[2])))
    complaints: list[str] = []
    with running(trusting(CONSOLE__URL=home).app, listener), chromium() as browser, browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{home}/inbox")
        assert page.url.startswith(openid.issuer)
        page.get_by_role("button", name="alice").click()
        page.wait_for_url(f"{home}/inbox")
        assert "alice" in page.inner_text("header")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{openid.issuer}/**")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{home}/signed-out")
        page.goto(f"{home}/inbox")
        assert "Who are you?" in page.inner_text("body")
    assert [text for text in complaints if "ontent Security Policy" in text] == []
