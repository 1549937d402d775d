from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from keyturn.clients.notify import AppriseNotifier, _target
from keyturn.domain.notice import Severity
from keyturn.errors import ConfigurationError, KeyturnError, UnavailableError
from keyturn.ports import Channel
from keyturn.sandbox.ports import free_port
from tests.fakes.inbox import Inbox, inbox

CANARY = "c4n4ryOfTheChannel"


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        """Take a mail."""
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """A real mail server, and its port."""
    handler = Mailbox()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield handler, port
    finally:
        controller.stop()


@pytest.fixture
def receiver() -> Iterator[Inbox]:
    """A real HTTP receiver."""
    with inbox() as received:
        yield received


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def failure(url: str) -> KeyturnError:
    """What a channel that cannot be used raises."""
    with pytest.raises(KeyturnError) as raised:
        AppriseNotifier().send(Channel("ops", url), "title", "body", Severity.INFO)
    return raised.value


@pytest.mark.parametrize(
    ("severity", "kind"),
    [
        (Severity.INFO, "info"),
        (Severity.WARNING, "warning"),
        (Severity.ERROR, "failure"),
        (Severity.CRITICAL, "failure"),
    ],
)
def test_a_webhook_receives(receiver: Inbox, severity: Severity, kind: str) -> None:
    """Title, text and kind arrive as they were given, line by line."""
    AppriseNotifier().send(Channel("hook", receiver.url("a")), "A title", "One\n\n- two\n\n`three`", severity)
    ((path, message),) = receiver.taken
    assert path.strip("/") == "a"
    assert (message["title"], message["message"], message["type"]) == ("A title", "One\n\n- two\n\n`three`", kind)
    assert "attachments" not in message or message["attachments"] == []


def test_a_mail_arrives(mailbox: tuple[Mailbox, int]) -> None:
    """By a real mail server, with the title as its subject; what looks like HTML stays text."""
    handler, port = mailbox
    url = f"mailto://127.0.0.1:{port}?smtp=127.0.0.1&mode=insecure&from=keyturn@example.com&to=ops@example.com"
    AppriseNotifier().send(Channel("mail", url), "A title", "One <b>two</b>\n\n- three", Severity.ERROR)
    (mail,) = handler.taken
    assert mail["Subject"] == "A title"
    assert "ops@example.com" in mail["To"]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    texts = [part.get_content() for part in (plain, html) if part]
    assert any("- three" in text for text in texts)
    assert not any("<b>" in text for text in texts if "<br" in text)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_worth_another_try(receiver: Inbox, status: int) -> None:
    """Whatever the receiver's reason, it was asked once, and did not take it."""
    receiver.status = status
    assert isinstance(failure(receiver.url()), UnavailableError)
    assert receiver.asked == 1


def test_a_receiver_that_is_away_is_worth_another_try() -> None:
    """Nobody listens there."""
    error = failure("json://127.0.0.1:1/")
    assert isinstance(error, UnavailableError)
    assert error.subject == "channel ops"


def test_a_silent_receiver_does_not_hold_anybody_up(silent: int) -> None:
    """It is left after the time that its URL allows."""
    began = time.monotonic()
    assert isinstance(failure(f"json://127.0.0.1:{silent}/?rto=0.2"), UnavailableError)
    assert time.monotonic() - began < 10


def test_a_url_cannot_ask_for_patience_retries_or_silence() -> None:
    """Times are bounded, there are no retries but ours, and a failure stays one."""
    url = "json://127.0.0.1/?rto=3600&cto=3600&retry=5&wait=100&optional=yes"
    server: Any = next(iter(_target(Channel("ops", url))))
    assert (server.socket_connect_timeout, server.socket_read_timeout) == (10.0, 15.0)
    assert (server.retry, server.optional) == (0, False)


@pytest.mark.parametrize("url", ["", "nonsense", f"nosuch://{CANARY}", f"slack://{CANARY}", "json://"])
def test_an_unusable_url_is_named_by_its_channel(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The URL is neither in the error nor in the log."""
    caplog.set_level(1)
    error = failure(url)
    assert isinstance(error, ConfigurationError)
    assert error.subject == "channel ops"
    assert CANARY not in "".join(traceback.format_exception(error)) + caplog.text


@pytest.mark.parametrize("answer", [200, 500, None])
def test_a_url_is_never_in_logs_or_errors(
    receiver: Inbox, caplog: pytest.LogCaptureFixture, answer: int | None
) -> None:
    """Whether it is taken, refused, or nobody is there: also when everything is logged."""
    caplog.set_level(1)
    for name in ("apprise", "urllib3", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    receiver.status = answer or 200
    port = receiver.port if answer else 1
    url = f"json://someone:{CANARY}@127.0.0.1:{port}/{CANARY}/?+X-Token={CANARY}"
    said = ""
    if answer == 200:
        AppriseNotifier().send(Channel("ops", url), "title", "body", Severity.INFO)
        assert receiver.taken
    else:
        said = "".join(traceback.format_exception(failure(url)))
        assert "channel ops" in said
    assert CANARY not in said + caplog.text + repr(Channel("ops", url))


def test_no_thread_is_left(receiver: Inbox) -> None:
    """Sending is done when it returns."""
    before = threading.active_count()
    AppriseNotifier().send(Channel("hook", receiver.url()), "t", "b", Severity.INFO)
    AppriseNotifier().send(Channel("hook", receiver.url()), "t", "b", Severity.INFO)
    assert len(receiver.taken) == 2
    assert threading.active_count() <= before + 1
