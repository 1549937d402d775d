from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from keyturn.clients.notify import AppriseNotifier
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.errors import ConfigurationError, UnavailableError
from keyturn.ledger.outbox import PostgresOutbox
from keyturn.ports import Channel
from keyturn.services.notify import Delivered, deliver, named, page_of, send_test
from tests.fakes.clock import FakeClock
from tests.fakes.inbox import Inbox, inbox
from tests.fakes.runs import FakeRuns

CANARY = "c4n4ryOfTheChannel"
LINK = "https://prefect.example/"


@pytest.fixture
def receiver() -> Iterator[Inbox]:
    """A real HTTP receiver."""
    with inbox() as received:
        yield received


@dataclass
class Fixed:
    """Implements `keyturn.ports.Channels` with what a test says."""

    known: list[Channel] = field(default_factory=list)
    away: bool = False

    def channels(self) -> Sequence[Channel]:
        """What the test says."""
        if self.away:
            raise UnavailableError("Vault", "is sealed")
        return self.known


@dataclass
class Desk:
    """Everything between a notice and its receivers: a real ledger, Apprise, and real HTTP."""

    outbox: PostgresOutbox
    channels: Fixed
    clock: FakeClock
    receiver: Inbox
    engine: Engine

    def tell(self, event: Event, severity: Severity, about: str, **facts: str) -> bool:
        """Something has happened."""
        return self.outbox.tell(Notice(event, severity, "acme/production", about, facts))

    def deliver(self) -> Delivered:
        """One round."""
        return deliver(self.outbox, self.channels, AppriseNotifier(), self.clock, lambda _: LINK)

    def channel(self, name: str, at_least: Severity = Severity.INFO, *events: str, url: str = "") -> None:
        """One more channel, received at the path of its name."""
        self.channels.known.append(Channel(name, url or self.receiver.url(name), at_least, events or ("*",)))

    def unsettled(self) -> int:
        """How many notices still wait."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM notices WHERE settled_at IS NULL")).scalar_one())

    def rows(self) -> str:
        """The whole outbox as text."""
        with self.engine.connect() as connection:
            return "\n".join(str(row[0]) for row in connection.execute(text("SELECT n::text FROM notices n")))


@pytest.fixture
def desk(url: str, engine_of: Callable[[str], Engine], clock: FakeClock, receiver: Inbox) -> Desk:
    """On a fresh ledger, with no channel yet."""
    engine = engine_of(url)
    return Desk(PostgresOutbox(engine, clock, 20.0), Fixed(), clock, receiver, engine)


def test_a_notice_reaches_its_channel_once(desk: Desk) -> None:
    """However often it is told and however many rounds there are, with words and link."""
    desk.channel("ops")
    assert desk.tell(Event.DRIFT_RAISED, Severity.ERROR, "drift/1", cause="secret_reset")
    assert not desk.tell(Event.DRIFT_RAISED, Severity.ERROR, "drift/1", cause="secret_reset")
    assert desk.deliver() == Delivered(sent=1)
    desk.tell(Event.DRIFT_RAISED, Severity.ERROR, "drift/1")
    desk.clock.move(hours=2)
    assert desk.deliver() == Delivered()
    assert desk.receiver.titles("ops") == ["ERROR acme/production: is not as it should be: secret reset"]
    assert LINK in desk.receiver.texts()


def test_an_alarm_that_is_over_is_told_too(desk: Desk) -> None:
    """Raised, cleared and raised again are three messages."""
    desk.channel("ops", Severity.WARNING)
    for n, event in enumerate((Event.DRIFT_RAISED, Event.DRIFT_CLEARED, Event.DRIFT_RAISED)):
        desk.tell(event, Severity.WARNING, f"drift/{n}", cause="secret_reset")
        desk.deliver()
    assert [t.split(": ")[1] for t in desk.receiver.titles("ops")] == [
        "is not as it should be",
        "is as it should be again",
        "is not as it should be",
    ]


def test_severity_and_event_decide_who_is_told(desk: Desk) -> None:
    """Each channel gets what is urgent enough and matches one of its patterns; what nobody wants is settled."""
    desk.channel("all")
    desk.channel("urgent", Severity.CRITICAL)
    desk.channel("gates", Severity.INFO, "gate.*", "test")
    desk.tell(Event.GATE_OPENED, Severity.INFO, "1")
    desk.tell(Event.ROTATION_ORPHANED, Severity.CRITICAL, "2")
    desk.tell(Event.GATE_ESCALATED, Severity.CRITICAL, "3")
    assert desk.deliver() == Delivered(sent=7)
    assert [len(desk.receiver.titles(name)) for name in ("all", "urgent", "gates")] == [3, 2, 2]
    desk.channels.known = desk.channels.known[1:2]
    desk.tell(Event.TEST, Severity.INFO, "4")
    assert desk.deliver() == Delivered()
    assert desk.unsettled() == 0


def test_a_channel_that_fails_is_tried_again_and_spoils_nothing(desk: Desk, receiver: Inbox) -> None:
    """The others are told at once and once; it is told when it is back, later and later in between."""
    with inbox() as broken:
        broken.status = 503
        desk.channel("broken", url=broken.url("broken"))
        desk.channel("unusable", url=f"nosuch://{CANARY}")
        desk.channel("ops")
        desk.tell(Event.DRIFT_RAISED, Severity.ERROR, "drift/1")
        first = desk.deliver()
        assert (first.sent, first.waiting, len(first.problems)) == (1, 1, 2)
        assert [p.split(" ")[1] for p in first.problems] == ["broken", "unusable"]
        asked = []
        for _ in range(300):
            desk.clock.move(minutes=1)
            before = broken.asked
            desk.deliver()
            asked.append(broken.asked - before)
        tried = [minute for minute, again in enumerate(asked, 1) if again]
        assert tried == [1, 3, 7, 15, 31, 63, 123, 183, 243]
        broken.status = 200
        desk.clock.move(minutes=60)
        assert desk.deliver().sent == 1
        assert len(broken.titles("broken")) == 1
    assert len(receiver.titles("ops")) == 1


def test_nobody_is_tried_for_ever(desk: Desk) -> None:
    """A day later it is given up: said once, kept in the ledger, and not tried again."""
    desk.channel("broken", url="json://127.0.0.1:1/")
    desk.tell(Event.ROTATION_ORPHANED, Severity.CRITICAL, "rotation/1")
    rounds = []
    for _ in range(40):
        rounds.append(desk.deliver())
        desk.clock.move(hours=1)
    (given_up,) = [sentence for one in rounds for sentence in one.given_up]
    assert given_up == "rotation/1 was not told to broken: channel broken did not take the message"
    assert [n for n, one in enumerate(rounds) if one.given_up] == [24]
    assert "channel broken did not take the message" in desk.rows()
    assert desk.unsettled() == 0


def test_a_long_outage_of_vault_gives_nothing_up(desk: Desk) -> None:
    """Nothing is claimed while channels cannot be read, and age alone is no reason to stop trying."""
    desk.channel("ops")
    desk.channels.away = True
    desk.tell(Event.ROTATION_ORPHANED, Severity.CRITICAL, "rotation/1")
    assert desk.deliver().problems == ("Vault: is sealed",)
    desk.clock.move(days=3)
    desk.channels.away = False
    desk.receiver.status = 500
    assert desk.deliver().given_up == ()
    desk.receiver.status = 200
    desk.clock.move(minutes=1)
    assert desk.deliver() == Delivered(sent=1)


def test_without_channels_nothing_is_lost(desk: Desk) -> None:
    """What happened before somebody configured one is told then."""
    desk.tell(Event.ROTATION_ORPHANED, Severity.CRITICAL, "rotation/1")
    assert desk.deliver() == Delivered()
    desk.channel("ops")
    assert desk.deliver() == Delivered(sent=1)


def test_a_storm_is_told_as_one_message(desk: Desk) -> None:
    """More than ten at once for one channel become a digest; all of them are told then."""
    desk.channel("ops")
    desk.channel("urgent", Severity.CRITICAL)
    for n in range(11):
        desk.tell(Event.DRIFT_RAISED, Severity.CRITICAL if n == 5 else Severity.WARNING, f"drift/{n}")
    assert desk.deliver() == Delivered(sent=2)
    assert desk.receiver.titles("ops") == ["CRITICAL keyturn: 11 notices at once"]
    assert len(desk.receiver.titles("urgent")) == 1
    desk.clock.move(hours=1)
    assert desk.deliver() == Delivered()


def test_ten_are_told_one_by_one(desk: Desk) -> None:
    """That many a person can read."""
    desk.channel("ops")
    for n in range(10):
        desk.tell(Event.DRIFT_RAISED, Severity.WARNING, f"drift/{n}")
    assert desk.deliver() == Delivered(sent=10)


def test_a_channel_that_is_down_is_soon_left_alone(desk: Desk) -> None:
    """After three failures in a row the rest is put off, and counts as not tried; later all arrive."""
    desk.channel("ops")
    for n in range(8):
        desk.tell(Event.DRIFT_RAISED, Severity.WARNING, f"drift/{n}")
    desk.receiver.status = 500
    assert desk.deliver().waiting == 8
    assert desk.receiver.asked == 3
    desk.clock.move(minutes=1)
    assert [o.tries for o in desk.outbox.owed(desk.clock.now(), 100)] == [0, 0, 0, 0, 0, 1, 1, 1]
    desk.receiver.status = 200
    desk.clock.move(minutes=20)
    assert desk.deliver() == Delivered(sent=8)


class Slow:
    """A notifier whose every message takes two minutes."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def send(self, *_: object) -> None:
        """Take long."""
        self.clock.move(minutes=2)


def test_a_slow_round_ends_before_its_claims_do(desk: Desk) -> None:
    """What could not be sent within five minutes is put off, so that no other sender takes it meanwhile."""
    desk.channel("ops")
    for n in range(8):
        desk.tell(Event.DRIFT_RAISED, Severity.WARNING, f"drift/{n}")
    told = deliver(desk.outbox, desk.channels, Slow(desk.clock), desk.clock, lambda _: "")
    assert (told.sent, told.waiting, told.problems) == (3, 5, ())


def test_concurrent_senders_do_not_send_twice(desk: Desk) -> None:
    """Four watches at once: every notice arrives exactly once."""
    desk.channel("ops")
    for n in range(9):
        desk.tell(Event.DRIFT_RAISED, Severity.WARNING, f"drift/{n}", count=str(n))
    start = Barrier(4)

    def watch() -> int:
        start.wait(10)
        return desk.deliver().sent + desk.deliver().sent

    with ThreadPoolExecutor(4) as pool:
        assert sum(done.result(60) for done in [pool.submit(watch) for _ in range(4)]) == 9
    assert sorted(m["message"].partition("count: ")[2][0] for _, m in desk.receiver.taken) == [*"012345678"]


def test_a_sender_that_died_is_replaced(desk: Desk) -> None:
    """What it had claimed is told by another one when the claim has run out."""
    desk.channel("ops")
    desk.tell(Event.DRIFT_RAISED, Severity.WARNING, "drift/1")
    desk.outbox.owed(desk.clock.now(), 100)
    assert desk.deliver() == Delivered()
    desk.clock.move(minutes=15)
    assert desk.deliver() == Delivered(sent=1)


def test_a_channel_that_was_removed_is_waited_for_by_nobody(desk: Desk) -> None:
    """Its notices are settled."""
    desk.channel("broken", url="json://127.0.0.1:1/")
    desk.channel("ops")
    desk.tell(Event.DRIFT_RAISED, Severity.WARNING, "drift/1")
    desk.deliver()
    del desk.channels.known[0]
    desk.clock.move(minutes=1)
    assert desk.deliver() == Delivered()
    assert desk.unsettled() == 0


def test_no_url_gets_anywhere(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Whether a channel works, refuses, is away or unusable, its secret is in no log, report or row of the ledger."""
    caplog.set_level(logging.NOTSET)
    with inbox() as refusing:
        refusing.status = 401
        desk.channel("works", url=f"json://me:{CANARY}@127.0.0.1:{desk.receiver.port}/{CANARY}")
        desk.channel("refuses", url=f"json://me:{CANARY}@127.0.0.1:{refusing.port}/{CANARY}")
        desk.channel("away", url=f"json://me:{CANARY}@127.0.0.1:1/{CANARY}")
        desk.channel("unusable", url=f"nosuch://{CANARY}")
        desk.tell(Event.DRIFT_RAISED, Severity.WARNING, "drift/1")
        told = desk.deliver()
        assert (told.sent, len(told.problems), refusing.asked) == (1, 3, 1)
        answers = send_test(desk.channels.known, AppriseNotifier(), LINK)
    assert CANARY not in caplog.text + repr(told) + repr(answers) + repr(desk.channels) + desk.rows()


def test_a_test_says_what_came_of_it(desk: Desk) -> None:
    """Per channel, whatever severity and events it wants; nothing is kept in the ledger."""
    desk.channel("urgent", Severity.CRITICAL, "rotation.*")
    desk.channel("away", url="json://127.0.0.1:1/")
    answers = send_test(desk.channels.known, AppriseNotifier(), LINK)
    assert dict(answers) == {"urgent": "", "away": "channel away did not take the message"}
    assert desk.receiver.titles("urgent") == ["keyturn: a test"]
    assert LINK in desk.receiver.texts()
    assert desk.rows() == ""


def test_channels_have_names(desk: Desk) -> None:
    """One is found by its name; another name is a mistake that names those there are."""
    desk.channel("ops")
    desk.channel("mail")
    assert [c.name for c in named(desk.channels.known, "mail")] == ["mail"]
    with pytest.raises(ConfigurationError, match="there are: ops, mail"):
        named(desk.channels.known, "slack")


@dataclass
class Pages(FakeRuns):
    """Runs that have pages, or not."""

    base: str = "https://prefect.example/runs"

    def url(self, flow_run_id: object) -> str:
        """A page."""
        return f"{self.base}/{flow_run_id}" if self.base else ""


@pytest.mark.parametrize("run", ["", "not-an-id", None])
def test_links_lead_to_the_run_or_else_to_the_page_for_everything(run: str | None) -> None:
    """Prefect is not asked about a notice without a run, and the base is the answer if it has no page."""
    known = uuid4()
    asked: list[datetime | timedelta] = []

    def runs() -> FakeRuns:
        asked.append(timedelta())
        return Pages()

    link = page_of(runs, LINK)
    facts = {} if run is None else {"run": run}
    assert link(Notice(Event.TEST, Severity.INFO, "", "1", facts)) == LINK
    assert asked == []
    about_a_run = Notice(Event.TEST, Severity.INFO, "", "2", {"run": str(known)})
    assert link(about_a_run) == f"https://prefect.example/runs/{known}"
    assert page_of(lambda: Pages(base=""), LINK)(about_a_run) == LINK


@pytest.mark.parametrize(
    ("about", "key", "path"),
    [
        ("gate/8d7f/gate.opened", "acme/production", "gates/8d7f"),
        ("drift/acme/production/secret_reset/raised", "acme/production", "integrations/acme/production"),
    ],
)
def test_with_a_console_links_lead_there(about: str, key: str, path: str) -> None:
    """To the gate that asks, or to the integration; what is about none of them has the page for everything."""
    link = page_of(lambda: pytest.fail("nobody asks Prefect"), LINK, "https://console.example/")
    assert link(Notice(Event.GATE_OPENED, Severity.INFO, key, about, {"run": str(uuid4())})) == (
        f"https://console.example/{path}"
    )
    assert link(Notice(Event.TEST, Severity.INFO, "", "test")) == LINK
