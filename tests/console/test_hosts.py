"""For which host names the console answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyturn.settings import LOOPBACK
from tests.console.conftest import Console
from tests.services.world import World


@pytest.fixture
def nameless(new_world: Callable[..., World], new_console: Callable[[World], Console]) -> Console:
    """A console without an address."""
    return new_console(new_world(CONSOLE__URL=""))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "console.example.evil.example", "", "console.example@evil"]
)
def test_another_host_name_is_refused(console: Console, host: str) -> None:
    """A name of somebody else's that leads here gets nothing, not even the sign-in page."""
    answer = console.nobody().get("/sign-in", headers={"host": host})
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["console.example", "console.example:8400", "CONSOLE.example"])
def test_the_own_name_is_served(console: Console, host: str) -> None:
    """Whatever the port in front is."""
    assert console.nobody().get("/sign-in", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_come_by_address(console: Console, path: str) -> None:
    """Orchestrators and Prometheus know a replica's address, not the console's name."""
    by_name, by_address = (
        console.nobody().get(path, headers={"host": host}) for host in ("console.example", "10.1.2.3")
    )
    assert by_name.status_code == by_address.status_code
    assert by_address.text != "Invalid host header"


def test_without_a_name_only_this_machine_is_served(nameless: Console) -> None:
    """A console that has not been given an address answers for loopback alone."""
    statuses = {host: nameless.nobody().get("/sign-in", headers={"host": host}).status_code for host in LOOPBACK}
    assert statuses == dict.fromkeys(LOOPBACK, 200)
    assert nameless.nobody().get("/sign-in", headers={"host": "console.example"}).status_code == 400


def test_another_loopback_address_is_served_by_its_own(
    new_world: Callable[..., World], new_console: Callable[[World], Console]
) -> None:
    """A console that listens on 127.0.0.2 answers whoever comes there."""
    nobody = new_console(new_world(CONSOLE__URL="", CONSOLE__HOST="127.0.0.2")).nobody()
    statuses = {at: nobody.get("/sign-in", headers={"host": at}).status_code for at in ("127.0.0.2:8400", "127.0.0.3")}
    assert statuses == {"127.0.0.2:8400": 200, "127.0.0.3": 400}
