from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx
import pytest

from keyturn.console.streams import Pace, Streams
from keyturn.console.visitor import FOLLOWS, SESSION_COOKIE
from keyturn.domain.gate import Person
from keyturn.errors import UnavailableError
from keyturn.ports.visits import Session, Visits
from tests.console.conftest import Browser, Console
from tests.console.serving import SOON_S, Running, running, until
from tests.fakes.fleet import FakeFleet
from tests.services.world import World

QUICK = Pace(heartbeat_s=0.1, session_s=0.2, listen_s=0.05, first_pause_s=0.05, most=3)


class Stream:
    """What a browser hears."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()

    def heard(self) -> tuple[str, list[str]]:
        """The next event, with what it names; comments are passed over."""
        deadline = time.monotonic() + SOON_S
        event = ":"
        while not event.startswith("event: "):
            event = next(self._lines)
            assert time.monotonic() < deadline, "nothing was heard but comments"
        return event.removeprefix("event: "), json.loads(next(self._lines).removeprefix("data: "))

    def line(self) -> str:
        """The next line that says anything."""
        return next(line for line in self._lines if line)

    def rest(self) -> list[str]:
        """All that comes until the server ends it."""
        deadline, said = time.monotonic() + SOON_S, list[str]()
        for line in self._lines:
            said.append(line)
            assert time.monotonic() < deadline, "it goes on and on"
        return said


class Away(Visits):
    """Visits whose ledger is away."""

    def visit(self, token: str, idle_s: float, *, counts: bool = True) -> Session | None:
        """Fail."""
        raise UnavailableError("the ledger", f"cannot be reached: {token and idle_s and counts and 'away'}")


@pytest.fixture
def fleet(console: Console) -> FakeFleet:
    """The fleet that the console listens to."""
    fleet = FakeFleet()
    console.ports.fleet = fleet
    console.app.state.streams = Streams(fleet, QUICK)
    return fleet


@pytest.fixture
def served(console: Console) -> Iterator[Running]:
    """The console behind a server."""
    with running(console.app) as running_one:
        yield running_one


@contextmanager
def follow(served: Running, browser: Browser) -> Iterator[Stream]:
    """Follow changes in a browser."""
    headers = {"host": "console.example", "cookie": f"{SESSION_COOKIE}={browser.token}"}
    with (
        httpx.Client(base_url=served.origin, headers=headers, timeout=10, trust_env=False) as client,
        client.stream("GET", "/live") as answer,
    ):
        yield Stream(answer)


@pytest.mark.usefixtures("fleet")
def test_a_stream_says_hello_at_once(console: Console, served: Running) -> None:
    """The page knows from when on it will hear of changes."""
    with follow(served, console.browser("vic", "viewer")) as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["cache-control"] == "no-store"
        assert stream.heard() == ("hello", [])


def test_a_change_is_told_to_everybody_who_follows(console: Console, served: Running, fleet: FakeFleet) -> None:
    """Each stream names what changed, and one listener serves them all."""
    with (
        follow(served, console.browser("vic", "viewer")) as first,
        follow(served, console.browser("bob", "approver")) as second,
    ):
        _settle(fleet, first, second)
        fleet.change("acme/production", "globex/staging")
        for stream in (first, second):
            assert _next_change(stream) == ["acme/production", "globex/staging"]
    assert fleet.began == 1


def test_very_many_changes_are_told_as_everything(console: Console, served: Running, fleet: FakeFleet) -> None:
    """An event stays small, however large the fleet is."""
    with follow(served, console.browser("vic", "viewer")) as stream:
        _settle(fleet, stream)
        fleet.change(*(f"tenant-{number}/production" for number in range(201)))
        assert _next_change(stream) == ["*"]


@pytest.mark.usefixtures("fleet")
def test_silence_is_filled_with_comments(console: Console, served: Running) -> None:
    """A broken connection is noticed, and proxies do not hang up."""
    with follow(served, console.browser("vic", "viewer")) as stream:
        assert any(stream.line().startswith(":") for _ in range(9))


def test_the_listener_ends_with_the_last_stream_and_begins_anew(
    console: Console, served: Running, fleet: FakeFleet
) -> None:
    """No connection to the database is held while nobody looks."""
    browser = console.browser("vic", "viewer")
    with follow(served, browser) as stream:
        stream.heard()
        until(lambda: fleet.listeners == 1)
    until(lambda: fleet.listeners == 0)
    with follow(served, browser) as again:
        _settle(fleet, again)
        fleet.change("acme/production")
        assert _next_change(again) == ["acme/production"]
    assert fleet.began == 2


def test_a_lost_connection_to_the_ledger_is_told_and_made_good(
    console: Console, served: Running, fleet: FakeFleet
) -> None:
    """Whoever looks is told that the page may be old, and to look again once it is not."""
    with follow(served, console.browser("vic", "viewer")) as stream:
        _settle(fleet, stream)
        fleet.break_off(UnavailableError("the ledger", "is away"))
        assert _next(stream, "lost") == []
        assert _next(stream, "hello") == []
        until(lambda: fleet.listeners == 1)
        fleet.change("acme/production")
        assert _next_change(stream) == ["acme/production"]


def test_a_ledger_that_stays_away_is_tried_again_and_again(console: Console, served: Running, fleet: FakeFleet) -> None:
    """The listener outlives any number of failures."""
    fleet.failure = UnavailableError("the ledger", "is away")
    with follow(served, console.browser("vic", "viewer")) as stream:
        until(lambda: fleet.began >= 3)
        fleet.failure = None
        _next(stream, "lost")
        assert _next(stream, "hello") == []


@pytest.mark.usefixtures("fleet")
def test_one_person_cannot_take_all_streams(console: Console, served: Running) -> None:
    """Beyond the limit a stream is refused, for this person only, until another one is closed."""
    vic, bob = console.browser("vic", "viewer"), console.browser("bob", "approver")
    with follow(served, vic) as first, follow(served, vic) as second:
        first.heard(), second.heard()
        with follow(served, vic) as third:
            third.heard()
            with follow(served, vic) as refused, follow(served, bob) as other:
                assert refused.answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                assert int(refused.answer.headers["retry-after"]) > 0
                assert other.answer.status_code == HTTPStatus.OK
        until(lambda: _status(served, vic) == HTTPStatus.OK)


def test_a_stream_ends_with_its_session(console: Console, served: Running, fleet: FakeFleet) -> None:
    """Whoever signs out, or is signed out, hears nothing more."""
    browser = console.browser("vic", "viewer")
    with follow(served, browser) as stream:
        stream.heard()
        console.ports.visits.end(browser.token)
        assert not [line for line in stream.rest() if line.startswith("event: changed")]
    until(lambda: fleet.listeners == 0)
    assert _status(served, browser) == HTTPStatus.UNAUTHORIZED


def test_nobody_hears_anything_without_a_session(console: Console) -> None:
    """The script gets a refusal that it can read, and no page."""
    answer = console.nobody().get("/live", follow_redirects=False)
    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_that_is_left_open_keeps_no_session_alive(world: World, console: Console, fleet: FakeFleet) -> None:
    """What a page asks by itself is no use of the session; what a person asks is."""
    fleet.rows = []
    idle_s = console.ports.settings.console.idle_s
    browser = console.browser("vic", "viewer")
    for _ in range(3):
        world.clock.sleep(idle_s * 0.6)
        assert browser.get("/").status_code == HTTPStatus.OK
    world.clock.sleep(idle_s * 0.6)
    assert browser.get("/", headers={FOLLOWS: "1"}).status_code == HTTPStatus.OK
    world.clock.sleep(idle_s * 0.6)
    assert browser.get("/", headers={FOLLOWS: "1"}).is_redirect


@pytest.mark.usefixtures("fleet")
def test_a_stream_keeps_no_session_alive(world: World, console: Console, served: Running) -> None:
    """Nobody is there, so the session comes to its end by being idle, and the stream with it."""
    idle_s = console.ports.settings.console.idle_s
    with follow(served, console.browser("vic", "viewer")) as stream:
        stream.heard()
        world.clock.sleep(idle_s * 0.6)
        assert [stream.line() for _ in range(9)]  # longer than it takes to look at the session again
        world.clock.sleep(idle_s * 0.6)
        stream.rest()


def test_a_stream_whose_session_cannot_be_looked_at_ends(console: Console, fleet: FakeFleet, served: Running) -> None:
    """When the ledger goes away it ends in good order, and no traceback says so."""
    with follow(served, console.browser("vic", "viewer")) as stream:
        _settle(fleet, stream)
        console.ports.visits = Away()
        stream.rest()  # would fail if the answer broke off


def test_a_server_stops_at_once_although_streams_are_open(console: Console, fleet: FakeFleet) -> None:
    """No deployment waits for browsers that are left open."""
    with running(console.app) as served, follow(served, console.browser("vic", "viewer")) as stream:
        _settle(fleet, stream)
        assert served.stop() < 3
        assert not served.thread.is_alive()
        stream.rest()  # ends in good order, or reading it would fail


def test_a_decision_in_the_ledger_is_heard_by_whoever_looks(world: World, console: Console) -> None:
    """From the transaction of an approval to the browser, through the real ledger."""
    world.to_approval()
    console.app.state.streams = Streams(console.ports.fleet, QUICK)
    bob: Person = world.person("bob")
    with running(console.app) as served, follow(served, console.of(bob)) as stream:
        assert _next(stream, "hello") == []
        assert _next(stream, "hello") == []  # it listens now
        world.approve()
        assert str(world.key) in _next_change(stream)


def _settle(fleet: FakeFleet, *streams: Stream) -> None:
    """Until a change would reach every one of them."""
    for stream in streams:
        assert stream.heard()[0] == "hello"
    until(lambda: fleet.listeners == 1)


def _next(stream: Stream, event: str) -> list[str]:
    """What the next event of this name names."""
    while True:
        name, keys = stream.heard()
        if name == event:
            return keys


def _next_change(stream: Stream) -> list[str]:
    return _next(stream, "changed")


def _status(served: Running, browser: Browser) -> int:
    with follow(served, browser) as stream:
        return stream.answer.status_code
