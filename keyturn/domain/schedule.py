"""When something is due: rotations by a manifest's policy, reminders by working days.

Moments are given back in UTC, whatever zone they came with. A window is what the clock on the wall says in its place:
on a day when clocks are put forward, a window inside the hour that is left out does not open; when they are put back,
one inside the hour that comes twice opens twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Blackout, Day, Notification, Rotation, Window
from keyturn.errors import ConfigurationError

_DAY = timedelta(days=1)
_HORIZON = timedelta(days=2 * 366)
_WEEK = tuple(Day)


@dataclass(frozen=True, slots=True)
class Reminders:
    """When people are called to an open gate again.

    Attributes:
        remind: one moment a reminder.
        rearm: when the question is asked afresh.
    """

    remind: tuple[datetime, ...]
    escalate: datetime
    rearm: datetime


def due_at(key: IntegrationKey, rotation: Rotation, last_turned_at: datetime) -> datetime:
    """When the secret's next turn is due: never later than the policy says, earlier by the integration's stagger."""
    return last_turned_at.astimezone(UTC) + timedelta(days=rotation.every_days - stagger_of(key, rotation))


def stagger_of(key: IntegrationKey, rotation: Rotation) -> int:
    """How many days earlier than the policy says: 0 to `stagger_days`, by the key's hash, so it is always the same.

    A canary takes all of them. Otherwise integrations of its own policy could fall due before it.
    """
    if rotation.canary:
        return rotation.stagger_days
    drawn = int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:8])
    return drawn % (rotation.stagger_days + 1)


def in_window(rotation: Rotation, moment: datetime) -> bool:
    """Whether a rotation may begin now: inside the window, and on no blacked-out day."""
    return not why_closed(rotation, moment)


def why_closed(rotation: Rotation, moment: datetime) -> str:
    """Why no rotation may begin at this moment, a clause; empty when one may.

    Raises:
        ConfigurationError: this machine does not know the time zone.
    """
    return _why_closed(rotation, moment.astimezone(_zone(rotation)))


def opens_at(rotation: Rotation, moment: datetime) -> datetime | None:
    """The first moment from this one on at which a rotation may begin, in UTC; `None` if there is none for two years.

    Raises:
        ConfigurationError: this machine does not know the time zone.
    """
    zone, start = _zone(rotation), moment.astimezone(UTC)
    if not _why_closed(rotation, start.astimezone(zone)):
        return start
    end = start + _HORIZON
    while start < end:
        inside = [m for m in _turning_points(rotation, zone, start) if start <= m <= start + _DAY]
        opening = [m for m in inside if not _why_closed(rotation, m.astimezone(zone))]
        if opening:
            return min(opening)
        start += _DAY
    return None


def remind_at(opened_at: datetime, notification: Notification) -> Reminders:
    """When people are reminded of a gate, when it is escalated, and when it is asked afresh."""
    return Reminders(
        tuple(after_working_days(opened_at, days) for days in notification.remind_after_days),
        after_working_days(opened_at, notification.escalate_after_days),
        after_working_days(opened_at, notification.rearm_after_days),
    )


def after_working_days(moment: datetime, days: int) -> datetime:
    """The moment that many working days later (Monday to Friday, UTC), at the same time of day."""
    moment = moment.astimezone(UTC)
    while days:
        moment += _DAY
        days -= _is_working_day(moment)
    return moment


def working_days_between(began: datetime, ended: datetime) -> int:
    """How many working days later something was: the inverse of `after_working_days`."""
    first, last = began.astimezone(UTC), ended.astimezone(UTC)
    return sum(_is_working_day(first + n * _DAY) for n in range(1, (last - first) // _DAY + 1))


def as_long_again(began: datetime, ended: datetime, now: datetime) -> datetime:
    """As many working days after now as there were between two moments; less than one of them is counted in hours."""
    days = working_days_between(began, ended)
    elapsed = ended.astimezone(UTC) - began.astimezone(UTC)
    return after_working_days(now, days) if days else now.astimezone(UTC) + elapsed


def _is_working_day(moment: datetime) -> bool:
    return moment.weekday() < 5  # noqa: PLR2004  Saturday is 5


def _zone(rotation: Rotation) -> ZoneInfo:
    name = rotation.window.timezone if rotation.window else "UTC"
    try:
        return ZoneInfo(name)
    except (ValueError, LookupError, OSError):  # OSError: the name of a folder of zones
        raise ConfigurationError(
            name, "is no time zone that this machine knows", "Check its spelling, or bring tzdata up to date."
        ) from None


def _why_closed(rotation: Rotation, local: datetime) -> str:
    blackout = next((b for b in rotation.blackout if b.from_ <= local.date() <= b.until), None)
    if blackout is not None:
        return _words_of_blackout(blackout)
    window = rotation.window
    return "" if window is None or _is_open(window, local) else _words_of_window(window)


def _is_open(window: Window, local: datetime) -> bool:
    clock = local.time().isoformat("minutes")
    today, yesterday = (_WEEK[day.weekday()] in window.days for day in (local, local - _DAY))
    if window.from_ <= window.until:
        return today and window.from_ <= clock < window.until
    return (today and window.from_ <= clock) or (yesterday and clock < window.until)


def _words_of_blackout(blackout: Blackout) -> str:
    return f"no rotations until the end of {blackout.until}" + (f": {blackout.reason}" if blackout.reason else "")


def _words_of_window(window: Window) -> str:
    days = "every day" if set(window.days) == set(_WEEK) else ", ".join(d for d in _WEEK if d in window.days)
    return f"outside the window: {days}, {window.from_} to {window.until} {window.timezone}"


def _turning_points(rotation: Rotation, zone: ZoneInfo, start: datetime) -> Iterator[datetime]:
    """The moments of the coming 24 hours, and a few around them, from which on things may be open that were not."""
    change = _clock_change(zone, start, start + _DAY)
    if change is not None:
        yield change
    opening = time.fromisoformat(rotation.window.from_) if rotation.window else time()
    first = start.astimezone(zone).date()
    for day in (first, first + _DAY, first + 2 * _DAY):
        for clock in (time(), opening):
            yield from _moments(day, clock, zone)


def _moments(day: date, clock: time, zone: ZoneInfo) -> Iterator[datetime]:
    """When the clock on the wall shows this: once, twice when it was put back, near it when that was left out."""
    for fold in (0, 1):
        yield datetime.combine(day, clock.replace(fold=fold), zone).astimezone(UTC)


def _clock_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """When clocks are put forward or back between two moments, to the second."""
    before = _offset(zone, start)
    if before == _offset(zone, end):
        return None
    while end - start > timedelta(seconds=1):
        middle = start + (end - start) // 2
        start, end = (middle, end) if _offset(zone, middle) == before else (start, middle)
    return end.replace(microsecond=0)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
