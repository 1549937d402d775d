from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from keyturn.clients.vault.channels import VaultChannels
from keyturn.clients.vault.session import VaultSession
from keyturn.domain.notice import Severity
from keyturn.errors import ConfigurationError, UnavailableError

CANARY = "c4n4ryOfTheChannel"
WHERE = "keyturn/data/notify/channels"
SLACK = {"name": "slack", "url": f"slack://{CANARY}"}


@pytest.fixture
def channels(bao: Any) -> Iterator[VaultChannels]:
    """A worker's view of the channels; there are none when the test is over."""
    settings = bao.worker()
    yield VaultChannels(VaultSession(settings), settings)
    bao.ask("DELETE", "keyturn/metadata/notify/channels")


@pytest.fixture
def put(bao: Any) -> Callable[[Any], None]:
    """Write it, as an administrator does."""

    def write(data: Any) -> None:
        now = requests.get(f"{bao.addr}/v1/{WHERE}", headers={"X-Vault-Token": "root-of-the-test"}, timeout=10).json()
        version = (now.get("data") or {"metadata": {"version": 0}})["metadata"]["version"]
        bao.ask("POST", WHERE, {"options": {"cas": version}, "data": data})

    return write


def test_there_are_none_at_first(channels: VaultChannels) -> None:
    """A path that was never written is no fault."""
    assert list(channels.channels()) == []


def test_what_is_written_is_read(channels: VaultChannels, put: Callable[[Any], None]) -> None:
    """With the defaults: warnings and worse, of every event. Nothing is kept from the time before."""
    full = {"name": "on-call", "url": "pagerduty://a@b", "at_least": "critical", "events": ["rotation.*", "test"]}
    put({"channels": [SLACK, full]})
    slack, on_call = channels.channels()
    assert (slack.name, slack.url, slack.at_least, slack.events) == (
        "slack",
        f"slack://{CANARY}",
        Severity.WARNING,
        ("*",),
    )
    assert (on_call.at_least, on_call.events) == (Severity.CRITICAL, ("rotation.*", "test"))
    put({"channels": []})
    assert list(channels.channels()) == []


def test_a_deleted_version_means_none(bao: Any, channels: VaultChannels, put: Callable[[Any], None]) -> None:
    """The administrator has taken them away."""
    put({"channels": [SLACK]})
    bao.ask("DELETE", WHERE)
    assert list(channels.channels()) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "channels: Field required"),
        ({"channels": CANARY}, "channels: "),
        ({"channels": [SLACK | {"name": f"{CANARY} x"}]}, "channels.0.name: "),
        ({"channels": [{"url": f"slack://{CANARY}"}]}, "channels.0.name: Field required"),
        ({"channels": [{"name": "slack"}]}, "channels.0.url: Field required"),
        ({"channels": [SLACK | {"url": CANARY}]}, "channels.0.url: is no URL"),
        ({"channels": [SLACK | {"url": 5}]}, "channels.0.url: "),
        ({"channels": [SLACK | {"at_least": CANARY}]}, "channels.0.at_least: "),
        ({"channels": [SLACK | {"events": []}]}, "channels.0.events: "),
        ({"channels": [SLACK | {"events": ["gate.*", CANARY]}]}, "channels.0.events.1: matches no event"),
        ({"channels": [SLACK | {f"slack://{CANARY}": "x"}]}, "channels.0: has a field that is unknown"),
        ({"channels": [], CANARY: 1}, "the top: has a field that is unknown"),
        ({"channels": [SLACK, SLACK]}, "channels: two channels have one name"),
        ({"channels": [SLACK | {"name": ""}, {"name": "b"}]}, "channels.1.url: Field required"),
    ],
)
def test_faults_are_named_by_field(
    channels: VaultChannels, put: Callable[[Any], None], data: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All at once, with the path and the remedy, and never with a value: not even in the traceback or a log."""
    caplog.set_level(1)
    put(data)
    with pytest.raises(ConfigurationError) as raised:
        channels.channels()
    assert says in raised.value.problem
    assert raised.value.subject == "Vault keyturn/notify/channels"
    assert "vault kv put" in raised.value.remedy
    assert CANARY not in "".join(traceback.format_exception(raised.value)) + caplog.text


def test_a_vault_that_is_away_is_no_empty_list(bao: Any) -> None:
    """Otherwise everybody would be forgotten while it is sealed."""
    settings = bao.settings(addr="http://127.0.0.1:1")
    with pytest.raises(UnavailableError):
        VaultChannels(VaultSession(settings), settings).channels()
