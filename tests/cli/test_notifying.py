from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyturn import settings
from keyturn.cli.checkup import _asked, _channels
from keyturn.domain.checkup import Check
from keyturn.wiring import Ports
from tests.fakes.inbox import Inbox, inbox

CANARY = "c4n4ryOfTheChannel"
WHERE = "keyturn/data/notify/channels"
Configure = Callable[..., None]


@pytest.fixture
def receiver() -> Iterator[Inbox]:
    """A real HTTP receiver."""
    with inbox() as received:
        yield received


@pytest.fixture
def configure(servers: Any) -> Iterator[Configure]:
    """Put channels into Vault, as an administrator; gone when the test is over."""

    def put(*channels: dict[str, Any]) -> None:
        with servers.openbao.api() as root:
            root.write(WHERE, {"options": {"cas": 0}, "data": {"channels": list(channels)}})

    yield put
    with servers.openbao.api() as root:
        root.call("DELETE", "keyturn/metadata/notify/channels")


@pytest.fixture
def worker(command: Any, servers: Any) -> Any:
    """The command with a worker's settings."""
    return command.having(**servers.environment("postgresql://nobody@127.0.0.1:1/none"))


def test_channels_are_listed_without_their_urls(worker: Any, configure: Configure) -> None:
    """For people and as JSON: names, severities and events, and nothing that is secret."""
    url = f"slack://{CANARY}"
    configure({"name": "ops", "url": url}, {"name": "mail", "url": url, "at_least": "info", "events": ["gate.*"]})
    assert worker.json("notify", "list") == [
        {"name": "ops", "at_least": "warning", "events": ["*"]},
        {"name": "mail", "at_least": "info", "events": ["gate.*"]},
    ]
    done = worker("notify", "list")
    assert "gate.*" in done.stdout
    assert CANARY not in done.stdout + done.stderr


def test_a_test_reaches_every_channel(worker: Any, configure: Configure, receiver: Inbox) -> None:
    """Each is told, and the notice leads to the page of the settings."""
    configure(
        {"name": "ops", "url": receiver.url("ops")},
        {"name": "urgent", "url": receiver.url("urgent"), "at_least": "critical", "events": ["rotation.*"]},
    )
    link = "https://prefect.example/dashboard"
    told = worker.having(KEYTURN_NOTIFY_LINK=link).json("notify", "test")
    assert told == [{"name": n, "taken": True, "problem": ""} for n in ("ops", "urgent")]
    assert [receiver.titles(name) for name in ("ops", "urgent")] == [["keyturn: a test"]] * 2
    assert receiver.texts().count(link) == 2


def test_one_channel_can_be_tried(worker: Any, configure: Configure, receiver: Inbox) -> None:
    """By its name; another name is a mistake in usage."""
    configure({"name": "ops", "url": receiver.url("ops")}, {"name": "mail", "url": receiver.url("mail")})
    assert worker("notify", "test", "--channel", "mail").returncode == 0
    assert (receiver.titles("ops"), receiver.titles("mail")) == ([], ["keyturn: a test"])
    wrong = worker.json("notify", "test", "--channel", "slack", code=2)
    assert "there are: ops, mail" in wrong["problem"]


def test_a_failure_is_said_without_the_url(worker: Any, configure: Configure, receiver: Inbox) -> None:
    """Exit 1, one line a channel, and no secret on either stream."""
    away, unusable = f"json://me:{CANARY}@127.0.0.1:1/{CANARY}", f"nosuch://{CANARY}"
    configure(
        {"name": "ops", "url": receiver.url("ops")}, {"name": "away", "url": away}, {"name": "odd", "url": unusable}
    )
    done = worker("notify", "test")
    assert done.returncode == 1
    assert [word in done.stdout for word in ("taken", "did not take", "none that Apprise")] == [True] * 3
    assert CANARY not in done.stdout + done.stderr
    assert receiver.titles("ops") == ["keyturn: a test"]


def test_without_channels_there_is_nothing_to_try(worker: Any) -> None:
    """Exit 1, and where to read how they are configured."""
    done = worker("notify", "test")
    assert (done.returncode, "deployments/vault" in done.stderr) == (1, True)
    assert worker.json("notify", "list") == []


def test_doctor_says_what_there_is(worker: Any, configure: Configure) -> None:
    """None is worth a word and no fault; faulty ones are a fault, named by their field."""
    ports = Ports(settings.load(worker.environment))

    def check() -> Check:
        return _asked("notify: channels", lambda: _channels(ports))

    none = check()
    assert (none.ok, "nobody" in none.found, none.remedy != "") == (True, True, True)
    configure({"name": "ops", "url": CANARY})
    faulty = check()
    assert faulty.ok is False
    assert "channels.0.url" in faulty.found
    assert CANARY not in str(faulty)
