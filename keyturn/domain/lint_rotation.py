"""Lint of when and how the secret is turned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from zoneinfo import available_timezones

from keyturn.domain.finding import Finding, error, notice, warning
from keyturn.domain.manifest import Blackout, Day, Manifest, Rotation, Window
from keyturn.domain.rotation import grace_hours
from keyturn.domain.scopes import nearest

_HOURS_A_DAY = 24
_MINUTES_A_DAY = 24 * 60
_SHORTEST_WINDOW = 60  # minutes
_A_DAY = timedelta(days=1)
_WEEK = tuple(Day)
_NO_PLACES = frozenset({"localtime", "Factory"})  # among the files of some machines, and different on each


def rotation_findings(manifest: Manifest) -> Iterator[Finding]:
    """Everything to say about the rotation."""
    rotation = manifest.rotation
    yield from _grace(rotation)
    yield from _stagger(rotation)
    if rotation.window is not None:
        yield from _window(rotation.window)
    yield from _blackout(rotation)
    if rotation.proof_owner.id == manifest.stackone.origin_owner.id:
        message = f"{rotation.proof_owner.id} is whose data the linked account is, too"
        remedy = "Name another one: the account that proves a secret must not be taken for the customer's."
        yield error("canary-owner", "rotation.canary_owner.id", message, remedy)


def _grace(rotation: Rotation) -> Iterator[Finding]:
    hours = grace_hours(rotation.grace_hours, compromised=False, emergency=0)
    if hours > rotation.grace_hours:
        message = f"verification needs {hours} hours, so {hours} will be used instead of {rotation.grace_hours}"
        yield warning("rotation", "rotation.grace_hours", message, f"Write {hours} or more; Gong allows 168.")
    if hours >= max(1, rotation.every_days - rotation.stagger_days) * _HOURS_A_DAY:
        message = f"the next rotation falls inside the grace of {hours} hours"
        remedy = "Rotate less often or shorten the grace: rotating inside a grace kills the older secret at once."
        yield error("rotation", "rotation", message, remedy)


def _stagger(rotation: Rotation) -> Iterator[Finding]:
    days, every = rotation.stagger_days, rotation.every_days
    if days >= every:
        message = f"{days} days of stagger leave nothing of the {every} days between rotations"
        yield error("rotation", "rotation.stagger_days", message, "Let it be a small part of every_days.")
    if rotation.canary and not days:
        message = "without stagger_days the canary falls due no earlier than the others"
        yield notice("canary", "rotation.canary", message, "Give it as many as the others have: a canary takes all.")


def _window(window: Window) -> Iterator[Finding]:
    if window.timezone not in _zones():
        near = nearest(window.timezone, _zones())
        remedy = f"Did you mean {near}?" if near else "Use a name like Europe/Berlin, or UTC."
        yield error("window", "rotation.window.timezone", f"{window.timezone} is not a time zone", remedy)
    if not window.days:
        yield error("window", "rotation.window.days", "the window never opens", "Name a day, as in [tue, wed].")
    minutes = _length(window)
    if minutes == 0:
        remedy = "Let until be later; 24:00 is the end of the day."
        yield error("window", "rotation.window", f"the window is empty: {window.from_} to {window.until}", remedy)
    elif minutes < _SHORTEST_WINDOW:
        message = f"the window is open for {minutes} minutes only"
        yield warning("window", "rotation.window", message, "Give it an hour: rotations are looked for now and then.")


def _blackout(rotation: Rotation) -> Iterator[Finding]:
    for index, blackout in enumerate(rotation.blackout):
        if blackout.until < blackout.from_:
            message = f"ends on {blackout.until}, before it begins on {blackout.from_}"
            yield error("blackout", f"rotation.blackout.{index}", message, "Exchange the two dates.")
            continue
        days = _closed_for(rotation, blackout)
        if days > rotation.every_days:
            message = f"no rotation can begin for {days} days, but one is due every {rotation.every_days}"
            remedy = "Shorten it, or leave a day of the window free in between."
            yield error("blackout", f"rotation.blackout.{index}", message, remedy)


def _closed_for(rotation: Rotation, first: Blackout) -> int:
    """For how many days nothing is allowed once a blackout has begun: others and days without window may follow it."""
    allowed = _allowed_days(rotation.window)
    day = _next_allowed(first.until, allowed)
    while day is not None and (over := _blackout_of(rotation.blackout, day)):
        day = _next_allowed(over.until, allowed)
    return (day - first.from_).days if day is not None else 0


def _blackout_of(blackouts: Sequence[Blackout], day: date) -> Blackout | None:
    return next((blackout for blackout in blackouts if blackout.from_ <= day <= blackout.until), None)


def _next_allowed(day: date, allowed: frozenset[Day]) -> date | None:
    later = (day + n * _A_DAY for n in range(1, 8))
    return next((each for each in later if _WEEK[each.weekday()] in allowed), None)


def _allowed_days(window: Window | None) -> frozenset[Day]:
    """Days on which something is allowed at some time; after midnight it is the day after."""
    if window is None:
        return frozenset(Day)
    over_midnight = window.until < window.from_ and window.until != "00:00"
    after = {_WEEK[(_WEEK.index(day) + 1) % len(_WEEK)] for day in window.days if over_midnight}
    return frozenset(window.days) | after


def _length(window: Window) -> int:
    """In minutes."""
    opens, closes = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (window.from_, window.until))
    return closes - opens if opens <= closes else closes - opens + _MINUTES_A_DAY


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_PLACES
