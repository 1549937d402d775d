from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Day, Notification, Rotation
from keyturn.domain.schedule import (
    after_working_days,
    as_long_again,
    due_at,
    in_window,
    opens_at,
    remind_at,
    stagger_of,
    why_closed,
    working_days_between,
)
from keyturn.errors import ConfigurationError

WEEK = tuple(Day)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = IntegrationKey("acme", "production")
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),  # half an hour
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a whole day left out, 30 December
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # midnight left out
    ("America/Sao_Paulo", datetime(2019, 2, 17, 2, tzinfo=UTC)),  # the hour before midnight twice
    ("Asia/Kathmandu", datetime(2026, 5, 1, tzinfo=UTC)),  # no change, but a quarter of an hour off
    ("UTC", datetime(2026, 12, 31, 23, tzinfo=UTC)),
]


def rotation(**fields: Any) -> Rotation:
    """A policy with a few fields given."""
    return Rotation.model_validate(fields)


def at(zone: str, text: str, fold: int = 0) -> datetime:
    """A moment by the clock on the wall."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


quarters = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")


@st.composite
def policies(draw: st.DrawFn) -> tuple[Rotation, datetime]:
    """A policy with a window, and a moment near a day on which clocks are changed there."""
    zone, change = draw(st.sampled_from(CHANGES))
    moment = change + draw(st.timedeltas(-3 * DAY, 3 * DAY))
    window = {
        "days": draw(st.lists(st.sampled_from(WEEK), min_size=1, max_size=7, unique=True)),
        "from": draw(quarters),
        "until": draw(quarters | st.just("24:00")),
        "timezone": zone,
    }
    start = change.date() + draw(st.integers(-3, 3)) * DAY
    blackout = draw(st.sampled_from([[], [{"from": start, "until": start + draw(st.integers(0, 4)) * DAY}]]))
    return rotation(window=draw(st.sampled_from([window, window, window, None])), blackout=blackout), moment


def opening(policy: Rotation, moment: datetime) -> bool:
    """In other words than the code's: whether the wall shows a time between the opening and the closing of a day."""
    window = policy.window
    wall = moment.astimezone(ZoneInfo(window.timezone if window else "UTC")).replace(tzinfo=None)
    if any(blackout.from_ <= wall.date() <= blackout.until for blackout in policy.blackout):
        return False
    return window is None or any(
        opens <= wall < closes for opens, closes in (hours(window, wall.date() - n * DAY) for n in (0, 1))
    )


def hours(window: Any, day: date) -> tuple[datetime, datetime]:
    """When the window that opens on a day opens and closes there; an empty one on other days."""
    midnight = datetime.combine(day, time())
    opens, closes = (midnight + int(c[:2]) * HOUR + int(c[3:]) * HOUR / 60 for c in (window.from_, window.until))
    if WEEK[day.weekday()] not in window.days:
        return midnight, midnight
    return opens, closes + DAY if closes < opens else closes


# --- due ------------------------------------------------------------------------------------------------------------

keys = st.builds(IntegrationKey, st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(["production", "dev"]))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  its zone is drawn


@given(keys, moments, st.timedeltas(timedelta(0), 800 * DAY), st.integers(2, 730), st.data())
def test_due_is_never_later_than_the_policy_and_moves_with_the_last_turn(
    key: IntegrationKey, turned: datetime, later: timedelta, every: int, data: st.DataObject
) -> None:
    """Between the policy's days and the stagger before them; a later turn makes the next one later by as much."""
    stagger = data.draw(st.integers(0, every - 1))
    policy = rotation(every_days=every, stagger_days=stagger, canary=data.draw(st.booleans()))
    due = due_at(key, policy, turned)
    assert turned < turned + (every - stagger) * DAY <= due <= turned + every * DAY
    assert due_at(key, policy, turned + later) == due + later
    assert due_at(key, policy, turned) == due


def test_without_stagger_the_secret_is_due_to_the_minute() -> None:
    """Ninety days are ninety times 24 hours, whatever clocks do in between."""
    turned = at("Europe/Berlin", "2026-01-10T12:00")
    assert due_at(KEY, rotation(), turned) == datetime(2026, 4, 10, 11, 0, tzinfo=UTC)


def test_a_fleet_that_was_registered_on_one_day_does_not_fall_due_on_one_day() -> None:
    """Each of the days gets its share of a thousand integrations."""
    policy = rotation(stagger_days=9)
    drawn = Counter(stagger_of(IntegrationKey(f"tenant-{n}", "production"), policy) for n in range(1000))
    assert set(drawn) == set(range(10))
    assert min(drawn.values()) > 60
    assert max(drawn.values()) < 140


def test_the_stagger_of_an_integration_stays_from_release_to_release() -> None:
    """Another number would make a whole fleet due at other times than were told."""
    policy = rotation(every_days=730, stagger_days=729)
    keys = ["acme/production", "acme/sandbox", "globex/production"]
    assert [stagger_of(IntegrationKey.parse(key), policy) for key in keys] == [160, 347, 380]


def test_a_canary_falls_due_before_all_others() -> None:
    """It takes the whole stagger; otherwise it would protect only those that happen to be later."""
    canary = rotation(stagger_days=9, canary=True)
    assert stagger_of(KEY, canary) == 9
    assert all(stagger_of(IntegrationKey(f"t{n}", "x"), rotation(stagger_days=9)) <= 9 for n in range(50))


# --- windows --------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(policies())
def test_the_window_is_what_the_clock_on_the_wall_says(case: tuple[Rotation, datetime]) -> None:
    """On every day, those on which clocks change and those after midnight included."""
    policy, moment = case
    for step in range(0, 48 * 4, 3):
        assert in_window(policy, moment + step * HOUR / 4) is opening(policy, moment + step * HOUR / 4)


@settings(max_examples=150, deadline=None)
@given(policies())
def test_the_next_opening_is_in_the_window_and_there_is_none_before(case: tuple[Rotation, datetime]) -> None:
    """Checked at every quarter of an hour, at which windows open, and just before the opening."""
    policy, moment = case
    opens = opens_at(policy, moment)
    if opens is None:
        assert policy.window is not None
        assert policy.window.from_ == policy.window.until
        return
    assert moment <= opens < moment + 21 * DAY
    assert opening(policy, opens)
    assert opens == moment or not opening(policy, opens - timedelta(microseconds=1))
    quarter = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0) + HOUR / 4
    while quarter < opens:
        assert not opening(policy, quarter)
        quarter += HOUR / 4


@settings(max_examples=100, deadline=None)
@given(policies(), st.timedeltas(timedelta(0), 3 * DAY))
def test_waiting_never_makes_the_next_opening_earlier(case: tuple[Rotation, datetime], later: timedelta) -> None:
    """And an opening that lies ahead stays the next one until it is there."""
    policy, moment = case
    first, second = opens_at(policy, moment), opens_at(policy, moment + later)
    if first is None or second is None:
        assert first == second
    else:
        assert second == first if moment + later <= first else second >= moment + later


@pytest.mark.parametrize(
    ("zone", "clock", "moment", "opens"),
    [
        # put forward at 2:00: all of the window is left out, so it opens a day later
        ("Europe/Berlin", ("02:00", "03:00"), "2026-03-29T00:00", "2026-03-30T02:00"),
        # half of it is left out, so it opens when the clock comes out on the other side
        ("Europe/Berlin", ("02:30", "04:00"), "2026-03-29T00:00", "2026-03-29T03:00"),
        ("Australia/Lord_Howe", ("02:15", "02:45"), "2026-10-04T00:00", "2026-10-04T02:30"),
        # a Friday that there never was
        ("Pacific/Apia", ("09:00", "17:00"), "2011-12-29T18:00", "2011-12-31T09:00"),
        # no midnight on this day
        ("America/Sao_Paulo", ("00:00", "02:00"), "2018-11-03T12:00", "2018-11-04T01:00"),
        # over midnight, and over a Sunday that has 23 hours
        ("America/New_York", ("22:00", "06:00"), "2026-03-08T06:00", "2026-03-08T22:00"),
    ],
)
def test_a_window_on_a_day_when_clocks_are_put_forward(
    zone: str, clock: tuple[str, str], moment: str, opens: str
) -> None:
    """What does not exist does not open; what is left of a window does."""
    policy = rotation(window={"from": clock[0], "until": clock[1], "timezone": zone})
    assert opens_at(policy, at(zone, moment)) == at(zone, opens).astimezone(UTC)


def test_no_opening_is_lost_where_one_day_of_looking_ends() -> None:
    """It looks 24 hours at a time, which may end at the very change of clocks, or reach into the day after the next."""
    policy = rotation(window={"from": "02:30", "until": "04:00", "timezone": "Europe/Berlin"})
    change = at("Europe/Berlin", "2026-03-29T03:00").astimezone(UTC)
    assert opens_at(policy, change - DAY + 3 * HOUR) == change
    assert opens_at(policy, change - DAY) == change - DAY + HOUR / 2
    policy = rotation(window={"days": ["sun"], "from": "02:30", "until": "04:00", "timezone": "Europe/Berlin"})
    assert opens_at(policy, change - DAY) == opens_at(policy, change - 3 * DAY) == change
    policy = rotation(window={"days": ["mon"], "until": "02:00", "timezone": "America/New_York"})
    assert opens_at(policy, at("America/New_York", "2026-03-07T23:30")) == at("America/New_York", "2026-03-09T00:00")


def test_a_window_in_the_hour_that_comes_twice_opens_twice() -> None:
    """From 2:15 until 2:45 by the clock on the wall, in summer time and then in winter time."""
    policy = rotation(window={"from": "02:15", "until": "02:45", "timezone": "Europe/Berlin"})
    summer, winter = (at("Europe/Berlin", "2026-10-25T02:15", fold).astimezone(UTC) for fold in (0, 1))
    assert opens_at(policy, summer - HOUR) == summer
    assert opens_at(policy, summer + HOUR / 2) == winter == summer + HOUR


def test_a_clock_that_is_put_back_into_the_window_opens_it_again() -> None:
    """At 3:00 it is 2:00 again, and the window was open until 2:30."""
    policy = rotation(window={"from": "01:30", "until": "02:30", "timezone": "Europe/Berlin"})
    closed = at("Europe/Berlin", "2026-10-25T02:50").astimezone(UTC)
    assert not in_window(policy, closed)
    assert opens_at(policy, closed) == closed + HOUR / 6


def test_blackouts_are_days_of_the_windows_place_and_the_last_one_counts() -> None:
    """In Auckland a day ends half a day before it does in UTC."""
    window = {"timezone": "Pacific/Auckland"}
    policy = rotation(window=window, blackout=[{"from": "2026-12-24", "until": "2026-12-26", "reason": "holidays"}])
    assert opens_at(policy, at("Pacific/Auckland", "2026-12-24T00:00")) == at("Pacific/Auckland", "2026-12-27T00:00")
    assert in_window(policy, at("Pacific/Auckland", "2026-12-23T23:59"))
    told = "no rotations until the end of 2026-12-26: holidays"
    assert why_closed(policy, at("Pacific/Auckland", "2026-12-26T23:59")) == told


def test_without_a_window_only_blackouts_close_and_their_days_are_those_of_utc() -> None:
    """Any time is right by default."""
    assert in_window(rotation(), MONDAY)
    policy = rotation(blackout=[{"from": "2026-03-02", "until": "2026-03-02"}])
    assert opens_at(policy, MONDAY) == datetime(2026, 3, 3, tzinfo=UTC)
    assert why_closed(policy, MONDAY) == "no rotations until the end of 2026-03-02"


def test_why_it_is_closed_names_the_window() -> None:
    """Whoever is told has to know when it opens, and where."""
    policy = rotation(window={"days": ["thu", "tue"], "from": "09:00", "until": "16:30", "timezone": "Europe/Berlin"})
    assert why_closed(policy, MONDAY) == "outside the window: tue, thu, 09:00 to 16:30 Europe/Berlin"
    assert why_closed(policy, MONDAY + DAY) == ""


def test_what_never_opens_within_two_years_is_said_to_be_closed() -> None:
    """Asking does not go on for ever."""
    policy = rotation(blackout=[{"from": "2026-01-01", "until": "2028-12-31"}])
    assert opens_at(policy, MONDAY) is None
    policy = rotation(blackout=[{"from": "2026-01-01", "until": "2028-02-28"}])
    assert opens_at(policy, MONDAY) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Berln", "../../etc/passwd", "America", "Nowhere\x00"])
def test_a_zone_that_this_machine_does_not_know_is_an_error_that_says_so(zone: str) -> None:
    """The machine that sealed the manifest may have had newer zones."""
    with pytest.raises(ConfigurationError, match=r"is no time zone that this machine knows → .*tzdata"):
        opens_at(rotation(window={"timezone": zone}), MONDAY)


# --- working days ---------------------------------------------------------------------------------------------------


def test_reminders_over_five_working_days() -> None:
    """Opened on a Thursday: Friday and Tuesday a reminder, the Thursday after it is escalated."""
    thursday = MONDAY + 3 * DAY
    calls = remind_at(thursday, Notification())
    assert calls.remind == (thursday + DAY, thursday + 5 * DAY)
    assert calls.escalate == thursday + 7 * DAY
    assert calls.rearm == thursday + 20 * DAY


@pytest.mark.parametrize("day", [5, 6])
def test_what_is_opened_on_a_weekend_counts_from_monday(day: int) -> None:
    """One working day after a Saturday is a Monday, at the same hour."""
    assert after_working_days(MONDAY + day * DAY, 1) == MONDAY + 7 * DAY


def test_working_days_over_ninety_days() -> None:
    """Ninety days that begin on a Monday have 64 working days ahead of them."""
    assert working_days_between(MONDAY, MONDAY + 90 * DAY) == 64
    assert after_working_days(MONDAY, 64) == MONDAY + 88 * DAY


@given(moments, st.integers(1, 300))
def test_working_days_there_and_back(moment: datetime, days: int) -> None:
    """As many lie between as were added, on no weekend, and it takes no more than the weekends longer."""
    later = after_working_days(moment, days)
    assert working_days_between(moment, later) == days
    assert later.weekday() < 5
    assert later.time() == moment.time()
    assert days * DAY <= later - moment <= (days + 2 * (days // 5 + 1)) * DAY


@given(moments, moments, st.integers(1, 60))
def test_what_is_asked_afresh_waits_for_as_many_working_days(opened: datetime, now: datetime, days: int) -> None:
    """Not for as many days: whether weekends lie between depends on when it is asked."""
    assert as_long_again(opened, after_working_days(opened, days), now) == after_working_days(now, days)


def test_less_than_a_working_day_is_counted_in_hours() -> None:
    """Otherwise a question that is asked for an hour would be asked afresh without end."""
    saturday = MONDAY + 5 * DAY
    assert as_long_again(MONDAY, MONDAY + HOUR, saturday) == saturday + HOUR


def test_the_zone_that_a_moment_comes_with_does_not_matter() -> None:
    """A database answers in its own zone, where a day may have 23 hours."""
    opened = at("Europe/Berlin", "2026-03-27T18:00")
    assert after_working_days(opened, 1) == after_working_days(opened.astimezone(UTC), 1)
    assert working_days_between(opened, at("Europe/Berlin", "2026-03-30T18:00")) == 0
    assert as_long_again(opened, at("Europe/Berlin", "2026-03-30T18:00"), MONDAY) == MONDAY + 71 * HOUR
