from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.domain.finding import Finding
from keyturn.domain.lint import lint
from keyturn.domain.manifest import Manifest
from keyturn.domain.rotation import PROOF_TIME

OFFICE = {"days": ["mon", "tue"], "from": "09:00", "until": "17:00", "timezone": "Europe/Berlin"}


def findings(rotation: dict[str, Any], **fields: Any) -> list[Finding]:
    """What lint says about a manifest with this rotation, apart from what it says about the rest."""
    gong = {
        "name": "StackOne",
        "description": "Reads people.",
        "short_description": "Reads",
        "logo": "logo.png",
        "scopes": ["api:users:read"],
        "privacy_policy_url": "https://acme.com/privacy",
        "terms_url": "https://acme.com/terms",
        "help_url": "https://acme.com/help",
        "contact_emails": ["it@acme.com"],
        "domains": ["acme.com"],
        "trusted_ips": {"access_token": ["8.8.8.8"], "refresh_token": ["8.8.8.8"]},
    }
    stackone = {"origin_owner": {"id": "acme", "name": "Acme"}}
    body = {"tenant": "acme", "environment": "production", "gong": gong, "stackone": stackone, "rotation": rotation}
    return lint(Manifest.model_validate({**body, **fields}))


def texts(rotation: dict[str, Any]) -> list[str]:
    """The same, as people read it."""
    return [f"{finding.severity} {finding}" for finding in findings(rotation)]


def window(**changes: Any) -> dict[str, Any]:
    """A rotation with the usual window, changed."""
    return {"window": {**OFFICE, **changes}}


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (
            window(timezone="Europe/Berln"),
            "error rotation.window.timezone: Europe/Berln is not a time zone → Did you mean Europe/Berlin?",
        ),
        (
            window(timezone="+02:00"),
            "error rotation.window.timezone: +02:00 is not a time zone → Use a name like Europe/Berlin, or UTC.",
        ),
        (
            window(timezone="localtime"),
            "error rotation.window.timezone: localtime is not a time zone → Use a name like Europe/Berlin, or UTC.",
        ),
        (
            window(days=[]),
            "error rotation.window.days: the window never opens → Name a day, as in [tue, wed].",
        ),
        (
            window(days=["mon", "tue", "mon"]),
            "warning rotation.window.days.2: mon is there already → Remove one of the two.",
        ),
        (
            window(until="09:00"),
            (
                "error rotation.window: the window is empty: 09:00 to 09:00 → "
                "Let until be later; 24:00 is the end of the day."
            ),
        ),
        (
            window(**{"from": "23:30", "until": "00:15"}),
            (
                "warning rotation.window: the window is open for 45 minutes only → "
                "Give it an hour: rotations are looked for now and then."
            ),
        ),
        (
            {"blackout": [{"from": "2026-12-24", "until": "2026-12-20"}]},
            "error rotation.blackout.0: ends on 2026-12-20, before it begins on 2026-12-24 → Exchange the two dates.",
        ),
        (
            {"every_days": 30, "blackout": [{"from": "2026-12-01", "until": "2026-12-31"}]},
            (
                "error rotation.blackout.0: no rotation can begin for 31 days, but one is due every 30 → "
                "Shorten it, or leave a day of the window free in between."
            ),
        ),
        (
            {"every_days": 30, "stagger_days": 30},
            (
                "error rotation.stagger_days: 30 days of stagger leave nothing of the 30 days between rotations → "
                "Let it be a small part of every_days."
            ),
        ),
        (
            {"every_days": 14, "stagger_days": 7},
            (
                "error rotation: the next rotation falls inside the grace of 168 hours → "
                "Rotate less often or shorten the grace: rotating inside a grace kills the older secret at once."
            ),
        ),
        (
            {"every_days": 1, "grace_hours": 1},
            (
                "error rotation: the next rotation falls inside the grace of 26 hours → "
                "Rotate less often or shorten the grace: rotating inside a grace kills the older secret at once."
            ),
        ),
        (
            {"grace_hours": 25},
            (
                "warning rotation.grace_hours: verification needs 26 hours, so 26 will be used instead of 25 → "
                "Write 26 or more; Gong allows 168."
            ),
        ),
        (
            {"canary": True},
            (
                "notice rotation.canary: without stagger_days the canary falls due no earlier than the others → "
                "Give it as many as the others have: a canary takes all."
            ),
        ),
        (
            {"canary_owner": {"id": "acme", "name": "Proof"}},
            (
                "error rotation.canary_owner.id: acme is whose data the linked account is, too → "
                "Name another one: the account that proves a secret must not be taken for the customer's."
            ),
        ),
        (
            {"blackout": [{"from": "2026-12-24", "until": "2026-12-26", "reason": "hol\u202eidays"}]},
            "error rotation.blackout.0.reason: contains U+202E, which nobody can see → Type it again.",
        ),
    ],
)
def test_each_fault_is_found_at_its_field_and_comes_with_a_remedy(rotation: dict[str, Any], expected: str) -> None:
    """What is wrong, where, and what a person does about it."""
    assert expected in texts(rotation)


@pytest.mark.parametrize(
    "rotation",
    [
        {},
        {"grace_hours": int(PROOF_TIME / timedelta(hours=1))},
        {"window": {"timezone": "UTC"}},
        window(),
        window(**{"from": "22:00", "until": "06:00"}),
        window(**{"from": "22:00", "until": "00:00"}),
        window(**{"from": "23:00", "until": "24:00"}),
        {"canary": True, "stagger_days": 7, "emergency_grace_hours": 1},
        {"blackout": [{"from": "2026-12-24", "until": "2026-12-24"}]},
        {"every_days": 30, "blackout": [{"from": "2026-12-01", "until": "2026-12-30"}]},
        {"canary_owner": {"id": "acme-proof", "name": "Proof"}},
    ],
)
def test_what_is_right_is_left_alone(rotation: dict[str, Any]) -> None:
    """Nothing is said when there is nothing to say."""
    assert texts(rotation) == []


def test_the_derived_proof_owner_is_looked_at_as_well() -> None:
    """An integration whose own account has its name would be taken for a proof."""
    stackone = {"origin_owner": {"id": "keyturn-canary", "name": "Acme"}}
    assert [f.where for f in findings({}, stackone=stackone)] == ["rotation.canary_owner.id"]


def closed(rotation: dict[str, Any]) -> list[tuple[str, str]]:
    """Which blackouts last too long."""
    return [(f.where, f.message) for f in findings(rotation) if f.rule == "blackout"]


def test_blackouts_that_follow_each_other_count_as_one() -> None:
    """Also when only days without a window lie between them: 8 December is a Tuesday."""
    blackout = [{"from": "2026-12-09", "until": "2026-12-15"}, {"from": "2026-12-07", "until": "2026-12-08"}]
    rotation = {"every_days": 13, "grace_hours": 26, "blackout": blackout}
    assert closed({**rotation, **window()}) == [
        ("rotation.blackout.1", "no rotation can begin for 14 days, but one is due every 13")
    ]
    assert closed({**rotation, **window(days=["mon", "wed"])}) == []
    assert closed(rotation) == []


def test_a_window_over_midnight_reaches_into_the_day_after_it() -> None:
    """It opens on Tuesdays, and Wednesday morning is left when all Tuesdays are blacked out."""
    blackout = [{"from": f"2026-12-{day:02}", "until": f"2026-12-{day:02}"} for day in (1, 8, 15)]
    rotation = {"every_days": 8, "grace_hours": 26, "blackout": blackout}
    assert closed({**rotation, **window(**{"days": ["tue"], "from": "22:00", "until": "06:00"})}) == []
    assert closed({**rotation, **window(**{"days": ["tue"], "from": "22:00", "until": "00:00"})}) != []


dates = st.dates(date(2026, 1, 1), date(2027, 1, 1))


@settings(deadline=None)
@given(
    st.lists(st.tuples(dates, dates), max_size=5),
    st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), unique=True),
    st.integers(1, 60),
)
def test_too_long_is_what_counting_days_says(ranges: list[tuple[date, date]], days: list[str], every: int) -> None:
    """Whatever the blackouts, their order and the window's days."""
    blackout = [{"from": first, "until": last} for first, last in ranges]
    week = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

    def is_open(day: date) -> bool:
        return week[day.weekday()] in days and not any(first <= day <= last for first, last in ranges)

    def length(day: date) -> int:
        return next((n for n in range(800) if is_open(day + timedelta(days=n))), 0)

    expected = {
        f"rotation.blackout.{index}"
        for index, (first, last) in enumerate(ranges)
        if first > last or (days and length(first) > every)
    }
    rotation = {"every_days": every, "blackout": blackout, **window(days=days)}
    assert {where for where, _ in closed(rotation)} == expected
