"""Telling people what is owed to them: each notice to every channel that wants it, until all have taken it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from uuid import UUID

from keyturn.domain import wording
from keyturn.domain.notice import Event, Notice, Owed, Severity
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.ports import Channel, Channels, Clock, Notifier, Outbox, Runs

AT_ONCE = 100
MOST_SINGLE = 10
_FIRST_DELAY, _LONGEST_DELAY = timedelta(minutes=1), timedelta(hours=1)
_GIVEN_UP_AFTER, _FEWEST_TRIES = timedelta(hours=24), 10
_LONGEST_ROUND = timedelta(minutes=5)  # well below the outbox's lease, so that nobody sends the same meanwhile
_FAILURES_IN_A_ROW = 3

Link = Callable[[Notice], str]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round came to.

    Attributes:
        sent: messages that channels took.
        waiting: notices that are tried again later.
        given_up: a sentence for each notice that nobody tries any more although a channel has not taken it.
        problems: a sentence for each thing that went wrong, without secrets.
    """

    sent: int = 0
    waiting: int = 0
    given_up: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def deliver(outbox: Outbox, channels: Channels, notifier: Notifier, clock: Clock, link: Link) -> Delivered:
    """One round. A channel that fails spoils nothing for the others, and never raises.

    Without channels, or while they cannot be read, everything stays owed.

    Args:
        outbox: what is owed.
        channels: who is told.
        notifier: how.
        clock: when to try again.
        link: the page for a notice, or an empty text; from `page_of`.
    """
    try:
        known = channels.channels()
    except KeyturnError as error:
        return Delivered(problems=(str(error),))
    if not known:
        return Delivered()
    owed = outbox.owed(clock.now(), AT_ONCE)
    tour = _Round(notifier, clock, link, clock.now() + _LONGEST_ROUND)
    for channel in known:
        tour.serve(channel, [o for o in owed if _wants(channel, o.notice) and channel.name not in o.delivered])
    return _settled(outbox, clock, known, owed, tour)


def send_test(channels: Sequence[Channel], notifier: Notifier, link: str) -> Mapping[str, str]:
    """Send a test to each channel, whatever else it wants; by name, what is wrong with it, or an empty text."""
    title, body = wording.words(Notice(Event.TEST, Severity.INFO, "", "test"), link)
    return {channel.name: _tried(notifier, channel, title, body, Severity.INFO) for channel in channels}


def named(channels: Sequence[Channel], name: str) -> Sequence[Channel]:
    """The channel with that name.

    Raises:
        ConfigurationError: there is none.
    """
    found = [channel for channel in channels if channel.name == name]
    if not found:
        there_are = ", ".join(channel.name for channel in channels) or "none"
        raise ConfigurationError(f"channel {name}", f"is not in Vault; there are: {there_are}", "Name one of them.")
    return found


def page_of(runs: Callable[[], Runs], base: str, console: str = "") -> Link:
    """Links to what a notice is about: its page in the console if there is one, else its run, else a page for all.

    Args:
        runs: asked only when there is a run to link to.
        base: the page for everything, or empty.
        console: the console's address, or empty.
    """

    def link(notice: Notice) -> str:
        if console and notice.key:
            return f"{console.rstrip('/')}{_path_of(notice)}"
        try:
            run = UUID(notice.facts.get("run", ""))
        except ValueError:
            return base
        return runs().url(run) or base

    return link


def _path_of(notice: Notice) -> str:
    """Where the console shows it. A link only ever opens a page; a decision is a form there."""
    kind, _, rest = notice.about.partition("/")
    gate = rest.partition("/")[0]
    return f"/gates/{gate}" if kind == "gate" and gate else f"/integrations/{notice.key}"


@dataclass(slots=True)
class _Round:
    """What was tried in one round: who took what, and why not."""

    notifier: Notifier
    clock: Clock
    link: Link
    ends_at: datetime
    sent: int = 0
    taken: dict[UUID, set[str]] = field(default_factory=dict)
    failed: dict[UUID, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def serve(self, channel: Channel, wanted: Sequence[Owed]) -> None:
        """Send a message for each notice, or one for all when there are too many."""
        if len(wanted) > MOST_SINGLE:
            self._send(channel, wanted, *wording.digest([o.notice for o in wanted], self.link(_NOTHING)))
            return
        in_a_row = 0
        for owed in wanted:
            # One that the channel cannot take must not keep others from it; a channel that is down is left alone.
            if in_a_row == _FAILURES_IN_A_ROW or self.clock.now() >= self.ends_at:
                return
            taken = self._send(channel, [owed], *wording.words(owed.notice, self.link(owed.notice)))
            in_a_row = 0 if taken else in_a_row + 1

    def _send(self, channel: Channel, owed: Sequence[Owed], title: str, body: str) -> bool:
        severity = max((o.notice.severity for o in owed), key=list(Severity).index)
        problem = _tried(self.notifier, channel, title, body, severity)
        if problem:
            self.problems.append(problem)
        else:
            self.sent += 1
        for one in owed:
            if problem:
                self.failed.setdefault(one.id, []).append(problem)
            else:
                self.taken.setdefault(one.id, set()).add(channel.name)
        return not problem


_NOTHING = Notice(Event.TEST, Severity.INFO, "", "")


def _tried(notifier: Notifier, channel: Channel, title: str, body: str, severity: Severity) -> str:
    try:
        notifier.send(channel, title, body, severity)
    except KeyturnError as error:
        return f"{error.subject} {error.problem}"
    return ""


def _settled(outbox: Outbox, clock: Clock, known: Sequence[Channel], owed: Sequence[Owed], tour: _Round) -> Delivered:
    waiting, given_up = 0, []
    for one in owed:
        delivered = one.delivered | tour.taken.get(one.id, set())
        failure = "; ".join(tour.failed.get(one.id, ()))
        lacking = [c.name for c in known if _wants(c, one.notice) and c.name not in delivered]
        next_try_at = _next_try_at(one, clock.now(), failed=bool(failure)) if lacking else None
        outbox.settle(one.id, delivered, next_try_at, failure)
        waiting += next_try_at is not None
        if lacking and next_try_at is None:
            given_up.append(f"{one.notice.about} was not told to {', '.join(lacking)}: {failure}")
    return Delivered(tour.sent, waiting, tuple(given_up), tuple(dict.fromkeys(tour.problems)))


def _next_try_at(owed: Owed, now: datetime, *, failed: bool) -> datetime | None:
    """When to try again, twice as late each time; `None` when it is a day old and was tried often enough.

    Age alone does not count: after an outage of Vault over a weekend, what is owed has not been tried once.
    """
    tries = owed.tries + failed
    if failed and tries >= _FEWEST_TRIES and now - owed.created_at >= _GIVEN_UP_AFTER:
        return None
    return now + min(_FIRST_DELAY * (1 << min(max(tries - 1, 0), 10)), _LONGEST_DELAY)


def _wants(channel: Channel, notice: Notice) -> bool:
    return notice.severity.reaches(channel.at_least) and any(fnmatchcase(notice.event, p) for p in channel.events)
