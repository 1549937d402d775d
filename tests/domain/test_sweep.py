from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.domain.attempt import AttemptKind, Halt
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import Day, Rotation
from keyturn.domain.schedule import in_window
from keyturn.domain.sweep import Active, Candidate, What, plan

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
TUESDAYS = {"days": ["tue"], "from": "09:00", "until": "12:00", "timezone": "Europe/Berlin"}
TURNING = Active(AttemptKind.ROTATION)
VERIFIED = Active(AttemptKind.ROTATION, verified=True)
ORPHANED = Active(AttemptKind.ROTATION, Halt.ORPHANED)
ROLLED_BACK = Active(AttemptKind.ROTATION, Halt.ROLLED_BACK)


def one(name: str, age: int | None = 91, active: Active | None = None, **policy: Any) -> Candidate:
    """An integration whose secret has this age in days."""
    turned = None if age is None else NOW - age * DAY
    return Candidate(IntegrationKey(name, "production"), Rotation.model_validate(policy), turned, active)


def told(*candidates: Candidate, at_once: int = 100) -> dict[str, tuple[What, str]]:
    """What the plan says about each tenant."""
    return {entry.key.tenant: (entry.what, entry.why) for entry in plan(candidates, NOW, at_once)}


def what(*candidates: Candidate, at_once: int = 100) -> dict[str, What]:
    """What the plan does about each tenant."""
    return {tenant: what for tenant, (what, _) in told(*candidates, at_once=at_once).items()}


def test_what_is_due_is_started_and_what_is_not_is_left() -> None:
    """To the second: at the age of 90 days it is due."""
    assert told(one("old"), one("just", 90), one("young", 89)) == {
        "old": (What.START, "due since 2026-03-01"),
        "just": (What.START, "due since 2026-03-02"),
        "young": (What.NOT_DUE, "due on 2026-03-03"),
    }


def test_what_was_never_onboarded_is_never_due() -> None:
    """There is no secret that could be turned, whether somebody is at it or not."""
    expected = (What.NOT_DUE, "no onboarding has been completed")
    assert told(one("new", None), one("begun", None, Active(AttemptKind.ONBOARDING))) == {
        "new": expected,
        "begun": expected,
    }


def test_one_attempt_an_integration() -> None:
    """A rotation that is under way is not started again, and one waits for an onboarding to end."""
    assert told(one("a", 91, TURNING), one("b", 91, VERIFIED), one("c", 91, Active(AttemptKind.ONBOARDING))) == {
        "a": (What.UNDER_WAY, "its rotation is under way"),
        "b": (What.UNDER_WAY, "waits for the end of the grace"),
        "c": (What.WAITS, "its onboarding is under way"),
    }


def test_the_one_that_is_due_longest_comes_first_and_then_the_key_decides() -> None:
    """Those that have no due date are at the end."""
    fleet = [one("new", None), one("b"), one("a"), one("late", 120), one("young", 3)]
    assert [entry.key.tenant for entry in plan(fleet, NOW, 2)] == ["late", "a", "b", "young", "new"]
    assert what(*fleet, at_once=2) == {
        "late": What.START,
        "a": What.START,
        "b": What.WAITS,
        "young": What.NOT_DUE,
        "new": What.NOT_DUE,
    }


def test_no_more_at_once_than_allowed_and_a_grace_that_runs_out_takes_no_place() -> None:
    """Rotations under way are counted until their new secret is verified."""
    fleet = (one("a"), one("b", 91, TURNING), one("c", 91, VERIFIED))
    assert told(*fleet, at_once=1)["a"] == (What.WAITS, "no more than 1 at once")
    assert what(*fleet, at_once=2)["a"] is What.START


def test_only_inside_the_window() -> None:
    """The reason says why not, and from when on."""
    reason = "outside the window: tue, 09:00 to 12:00 Europe/Berlin; opens 2026-03-03 08:00 UTC"
    assert told(one("a", window=TUESDAYS)) == {"a": (What.WAITS, reason)}
    blackout = [{"from": "2026-03-01", "until": "2026-03-04", "reason": "audit"}]
    reason = "no rotations until the end of 2026-03-04: audit; opens 2026-03-05 00:00 UTC"
    assert told(one("a", blackout=blackout)) == {"a": (What.WAITS, reason)}
    never = [{"from": "2026-03-01", "until": "2999-01-01"}]
    assert told(one("a", blackout=never))["a"][1].endswith("; it opens on no day of the next two years")


def test_what_waits_for_its_window_takes_no_place() -> None:
    """One that may begin is not kept back by one that may not."""
    assert what(one("late", 200, window=TUESDAYS), one("a"), at_once=1) == {"late": What.WAITS, "a": What.START}


def test_an_unknown_zone_keeps_only_its_own_integration_from_turning() -> None:
    """The others have nothing to do with it."""
    assert told(one("a", window={"timezone": "Mars/Olympus"}), one("b")) == {
        "a": (What.WAITS, "Mars/Olympus is no time zone that this machine knows"),
        "b": (What.START, "due since 2026-03-01"),
    }


# --- canaries -------------------------------------------------------------------------------------------------------

WAITS_FOR_CANARY = "until the new secret of canary/production is verified: canaries go first"


@pytest.mark.parametrize(
    "canary",
    [
        one("canary", 91, canary=True),
        one("canary", 91, canary=True, window=TUESDAYS),
        one("canary", 91, TURNING, canary=True),
        one("canary", 20, TURNING, canary=True),
        one("canary", 91, Active(AttemptKind.ONBOARDING), canary=True),
        replace(one("canary", 91, canary=True), declined=True),
    ],
)
def test_the_others_wait_for_a_canary_that_is_due_or_under_way(canary: Candidate) -> None:
    """Also for one that waits for its own window, or for people: it is there to be the first."""
    assert told(one("a", 300), canary)["a"] == (What.WAITS, WAITS_FOR_CANARY)


@pytest.mark.parametrize("canary", [one("canary", 20, canary=True), one("canary", 91, VERIFIED, canary=True)])
def test_the_others_do_not_wait_for_a_canary_that_is_fine(canary: Candidate) -> None:
    """It is not due yet, or its new secret is verified."""
    assert what(one("a"), canary)["a"] is What.START


def test_a_canary_does_not_wait_for_a_canary() -> None:
    """They go together, as many as there are places."""
    fleet = [one(f"c{n}", canary=True) for n in range(5)]
    assert Counter(what(*fleet, one("a"), at_once=4).values()) == {What.START: 4, What.WAITS: 2}
    reason = told(*fleet, one("a"))["a"][1]
    assert reason.startswith("until the new secret of c0/production, c1/production, c2/production and 2 more is")


# --- the first failure ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (one("bad", 91, ORPHANED), "bad/production is orphaned"),
        (one("bad", 3, ROLLED_BACK), "bad/production is rolled back"),
        (replace(one("bad", 3), failed=True), "bad/production failed to rotate"),
    ],
)
def test_the_first_failure_stops_all_that_would_be_started(failure: Candidate, why: str) -> None:
    """Canaries too; what is under way goes on, and the reason names the failure."""
    fleet = told(one("a"), one("c", canary=True), one("young", 3), one("b", 91, TURNING), failure)
    reason = f"{why}: nothing is started until that is resolved"
    assert fleet["a"] == fleet["c"] == (What.STOPPED, reason)
    assert fleet["young"][0] is What.NOT_DUE
    assert fleet["b"][0] is What.UNDER_WAY


def test_a_halted_rotation_says_how_it_is_resolved() -> None:
    """Both ways out, ready to be copied."""
    resolve = "`keyturn rotate resume bad/production` or `keyturn rotate abandon bad/production`"
    assert told(one("bad", 91, ORPHANED))["bad"] == (What.STOPPED, f"its rotation is orphaned: {resolve}")


def test_a_new_try_after_a_failure_lets_the_sweep_go_on() -> None:
    """A person started it by name; the sweep need not wait for its end."""
    assert what(replace(one("bad", 91, TURNING), failed=True), one("a")) == {"bad": What.UNDER_WAY, "a": What.START}


def test_a_failed_integration_that_is_due_is_not_started_by_itself_again() -> None:
    """Its failure stops it like all the others."""
    assert what(replace(one("bad"), failed=True)) == {"bad": What.STOPPED}


def test_a_rejected_rotation_is_not_proposed_every_day_and_stops_nobody_else() -> None:
    """People said no; it takes one of them to ask again."""
    fleet = told(replace(one("no"), declined=True), one("a"))
    assert fleet["no"] == (What.WAITS, "its last rotation was rejected: `keyturn rotate no/production` asks again")
    assert fleet["a"][0] is What.START


# --- always ---------------------------------------------------------------------------------------------------------

actives = st.none() | st.builds(
    Active, st.sampled_from(AttemptKind), st.sampled_from([Halt.NONE] * 9 + [Halt.ORPHANED]), st.booleans()
)
policies = st.builds(
    lambda canary, days, stagger: Rotation.model_validate(
        {"canary": canary, "stagger_days": stagger, "window": days and {"days": days, "timezone": "Europe/Berlin"}}
    ),
    st.sampled_from([False] * 7 + [True]),
    st.none() | st.lists(st.sampled_from(tuple(Day)), min_size=1, unique=True),
    st.integers(0, 20),
)
candidates = st.builds(
    Candidate,
    st.builds(IntegrationKey, st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.just("x")),
    policies,
    st.none() | st.integers(0, 120).map(lambda age: NOW - age * DAY),
    actives,
    st.sampled_from([False] * 19 + [True]),
    st.booleans(),
)
fleets = st.lists(candidates, max_size=12, unique_by=lambda candidate: candidate.key)


@settings(deadline=None)
@given(fleets, st.integers(0, 4), st.randoms(use_true_random=False))
def test_whatever_the_fleet_nothing_starts_that_must_not(fleet: list[Candidate], at_once: int, rng: Any) -> None:
    """Everyone has an entry with a reason, in an order that does not depend on how they were listed."""
    entries = plan(fleet, NOW, at_once)
    by_key = {candidate.key: candidate for candidate in fleet}
    assert {entry.key for entry in entries} == set(by_key)
    assert all(entry.why for entry in entries)
    assert plan(rng.sample(fleet, len(fleet)), NOW, at_once) == entries
    started = [by_key[entry.key] for entry in entries if entry.what is What.START]
    for candidate in started:
        assert candidate.active is None
        assert candidate.due_at
        assert candidate.due_at <= NOW
        assert in_window(candidate.rotation, NOW)
    if started:
        assert not any(c.active and c.active.halt is not Halt.NONE for c in fleet)
        assert sum(c.unverified for c in fleet) + len(started) <= at_once
    if any(not candidate.rotation.canary for candidate in started):
        assert not any(c.rotation.canary and (c.unverified or c.is_due(NOW)) for c in fleet)


def test_ninety_days_of_a_fleet_with_daily_sweeps() -> None:
    """Forty integrations of one day: all turned once, in time, few a day, in the window, the canaries before them."""
    window = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "17:00", "timezone": "UTC"}
    policy = {"stagger_days": 14, "window": window}
    begun, turned = NOW, Counter[datetime]()
    fleet = [replace(one(f"t{n:02}", 0, canary=n < 2, **policy), last_turned_at=begun) for n in range(40)]
    order = []
    for day in range(93):
        now = begun + day * DAY
        for entry in plan(fleet, now, 8):
            if entry.what is What.START:
                index = next(i for i, c in enumerate(fleet) if c.key == entry.key)
                fleet[index] = replace(fleet[index], last_turned_at=now)
                order.append(entry.key.tenant)
                turned[now] += 1
    assert len(order) == len(set(order)) == 40
    assert set(order[:2]) == {"t00", "t01"}
    assert max(turned.values()) <= 8
    assert all(now.weekday() < 5 and begun + 76 * DAY <= now <= begun + 92 * DAY for now in turned)
    assert len(turned) >= 8
