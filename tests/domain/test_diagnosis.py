"""Observations together are a cause; what is not known never makes one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.domain.diagnosis import _REMEDIES, Circumstances, diagnose, not_seen, undecided
from keyturn.domain.health import (
    PROFILE_CAUSES,
    SUBJECT_OF,
    Cause,
    Condition,
    Observation,
    Outcome,
    Subject,
    progress,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OK, BAD, UNKNOWN = Outcome.OK, Outcome.BAD, Outcome.UNKNOWN
KEY = "acme/production"
HINTS = {Subject.PAIR: Cause.SECRET_RESET, Subject.ACCOUNTS: Cause.CONSENT_LOST}


def look(subject: Subject, outcome: Outcome, hint: Cause | None = None) -> Observation:
    """One look; a bad one hints at what a bad one usually hints at."""
    usual = HINTS.get(subject) if outcome is BAD else None
    return Observation(subject, outcome, f"{subject} is {outcome}", NOW, hint or usual)


def round_of(pair: Outcome, accounts: Outcome, profile: Cause | None = None) -> list[Observation]:
    """A look at the pair, the accounts and the profile."""
    seen = look(Subject.PROFILE, BAD if profile else OK, profile)
    return [look(Subject.PAIR, pair), look(Subject.ACCOUNTS, accounts), seen]


def causes(observations: list[Observation], **known: object) -> list[Cause]:
    """The causes that a round amounts to."""
    return [d.cause for d in diagnose(observations, Circumstances(KEY, NOW, **known))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pair", "accounts", "expected"),
    [
        (OK, OK, []),
        (BAD, OK, [Cause.SECRET_RESET]),
        (OK, BAD, [Cause.CONSENT_LOST]),
        (BAD, BAD, [Cause.CONNECTION_DOWN]),
        (UNKNOWN, OK, []),
        (OK, UNKNOWN, []),
        (UNKNOWN, UNKNOWN, []),
        (UNKNOWN, BAD, [Cause.ACCOUNTS_FAILING]),
        (BAD, UNKNOWN, [Cause.SECRET_RESET]),
    ],
)
def test_pair_and_accounts_together(pair: Outcome, accounts: Outcome, expected: list[Cause]) -> None:
    """Each of the nine combinations has its own meaning, and an unknown pair is no consent that was lost."""
    assert causes(round_of(pair, accounts)) == expected


def test_nothing_was_seen() -> None:
    """No observation is no drift, and decides nothing."""
    assert causes([]) == []
    assert undecided([]) == set(SUBJECT_OF)


@pytest.mark.parametrize("profile", [Cause.PROFILE_GONE, Cause.PROFILE_DISABLED])
def test_a_profile_that_does_not_work_explains_its_accounts(profile: Cause) -> None:
    """Accounts of a gone or disabled profile are no cause of their own, and decide nothing about consent."""
    assert causes(round_of(OK, BAD, profile)) == [profile]
    assert causes(round_of(BAD, BAD, profile)) == [Cause.SECRET_RESET, profile]
    assert Cause.CONSENT_LOST in undecided(round_of(OK, BAD, profile))


def test_an_edited_profile_does_not_explain_its_accounts() -> None:
    """Failing accounts beside a profile that was edited are both told."""
    found = causes(round_of(OK, BAD, Cause.PROFILE_EDITED))
    assert found == [Cause.CONSENT_LOST, Cause.PROFILE_EDITED]


@pytest.mark.parametrize(
    ("fine_before", "words"),
    [
        (timedelta(minutes=15), "at most 23 hours are left"),
        (timedelta(hours=23, minutes=30), "at most 0 hours are left"),
        (timedelta(days=3), "at most 0 hours are left"),
    ],
)
def test_hours_left(fine_before: timedelta, words: str) -> None:
    """A secret that was reset comes with the hours that accounts live on, counted from when it was last taken."""
    seen = round_of(BAD, OK)
    drift = diagnose(seen, Circumstances(KEY, NOW, NOW - fine_before))[0]
    assert words in drift.evidence
    assert "for at most 24 hours" in diagnose(seen, Circumstances(KEY, NOW))[0].evidence
    assert "not known" in diagnose(round_of(BAD, UNKNOWN), Circumstances(KEY, NOW))[0].evidence


def test_remedy_follows_the_circumstances() -> None:
    """A refused pair is cured by the rotation under way, by the secret that waits, or by a new rotation."""
    seen = round_of(BAD, OK)
    plain, waiting, turning = (
        diagnose(seen, Circumstances(KEY, NOW, None, w, t))[0].remedy
        for w, t in ((False, False), (True, False), (True, True))
    )
    assert "was reset in Gong" in plain
    assert "takes it over" in waiting
    assert "Finish the rotation under way" in turning
    assert all(f"{KEY}`" in remedy for remedy in (plain, waiting, turning))


def test_a_pair_that_is_dead_on_purpose() -> None:
    """Refused without a hint is no drift by itself; with failing accounts the connection is down all the same."""
    pair = Observation(Subject.PAIR, BAD, "on purpose", NOW)
    assert causes([pair, look(Subject.ACCOUNTS, OK)], turning=True) == []
    assert causes([pair, look(Subject.ACCOUNTS, BAD)], turning=True) == [Cause.CONNECTION_DOWN]


def test_a_pair_that_is_not_in_vault() -> None:
    """A pair that is missing in Vault was not refused by Gong."""
    pair = look(Subject.PAIR, BAD, Cause.SECRET_MISSING)
    assert causes([pair, look(Subject.ACCOUNTS, OK)]) == [Cause.SECRET_MISSING]
    assert causes([pair, look(Subject.ACCOUNTS, BAD)]) == [Cause.ACCOUNTS_FAILING, Cause.SECRET_MISSING]


def test_a_cause_is_decided_by_its_subject() -> None:
    """What was seen in order decides all its causes; what was not decides none."""
    assert undecided([look(s, OK) for s in Subject]) == set()
    open_causes = undecided([look(s, OK) for s in Subject if s is not Subject.RETIRED])
    assert open_causes == {Cause.RETIRED_WORKS}


@pytest.mark.parametrize(
    ("pair", "over"),
    [
        (OK, {Cause.CONNECTION_DOWN, Cause.ACCOUNTS_FAILING}),
        (BAD, {Cause.CONSENT_LOST, Cause.ACCOUNTS_FAILING}),
        (UNKNOWN, set()),
    ],
)
def test_the_pair_decides_why_accounts_fail(pair: Outcome, over: set[Cause]) -> None:
    """Of the causes that failing accounts can have, what is seen of the pair ends those that it disproves."""
    why = {Cause.CONNECTION_DOWN, Cause.CONSENT_LOST, Cause.ACCOUNTS_FAILING}
    assert why - undecided(round_of(pair, BAD)) == over
    assert why <= undecided(round_of(pair, UNKNOWN))
    assert why <= undecided(round_of(pair, BAD, Cause.PROFILE_DISABLED))


def test_a_pair_that_is_not_in_vault_decides_nothing_about_accounts() -> None:
    """Whether Gong would take it is not known then."""
    pair = look(Subject.PAIR, BAD, Cause.SECRET_MISSING)
    assert {Cause.CONNECTION_DOWN, Cause.CONSENT_LOST} <= undecided([pair, look(Subject.ACCOUNTS, BAD)])


def test_a_pair_that_gong_refuses_is_in_vault() -> None:
    """Only what is there can be refused; a look that failed proves nothing."""
    assert Cause.SECRET_MISSING not in undecided(round_of(BAD, OK))
    assert Cause.SECRET_MISSING in undecided(round_of(UNKNOWN, OK))
    assert Cause.SECRET_MISSING in undecided([look(Subject.PAIR, BAD, Cause.SECRET_MISSING)])


def played(*rounds: tuple[Outcome, Outcome]) -> set[Cause]:
    """What stands after rounds with these looks at the pair and the accounts."""
    known: dict[Cause, Condition] = {}
    for minute, (pair, accounts) in enumerate(rounds):
        seen, now = round_of(pair, accounts), NOW + timedelta(minutes=minute)
        drifts = diagnose(seen, Circumstances(KEY, now))
        unknown = undecided(seen) - {d.cause for d in drifts}
        known |= {c.cause: c for c in progress(list(known.values()), drifts, unknown, now)[0]}
    return {c.cause for c in known.values() if c.raised}


@pytest.mark.parametrize(
    ("rounds", "stand"),
    [
        ([(BAD, BAD)] * 2 + [(OK, BAD)], {Cause.CONNECTION_DOWN}),
        ([(BAD, BAD)] * 2 + [(OK, BAD)] * 2, {Cause.CONSENT_LOST}),
        ([(OK, BAD)] * 2 + [(BAD, BAD)] * 2, {Cause.CONNECTION_DOWN}),
        ([(UNKNOWN, BAD)] * 2 + [(OK, BAD)] * 2, {Cause.CONSENT_LOST}),
        ([(UNKNOWN, BAD)] * 2 + [(BAD, BAD)] * 2, {Cause.CONNECTION_DOWN}),
        ([(BAD, BAD)] * 2 + [(UNKNOWN, BAD)] * 9, {Cause.CONNECTION_DOWN}),
        ([(OK, BAD)] * 2 + [(UNKNOWN, BAD)] * 9, {Cause.CONSENT_LOST}),
        ([(BAD, BAD)] * 2 + [(OK, UNKNOWN)] * 9, {Cause.CONNECTION_DOWN}),
        ([(BAD, BAD)] * 2 + [(UNKNOWN, UNKNOWN)] * 9, {Cause.CONNECTION_DOWN}),
        ([(BAD, BAD)] * 2 + [(OK, OK)] * 2, set()),
    ],
)
def test_no_cause_stands_beside_its_opposite(rounds: list[tuple[Outcome, Outcome]], stand: set[Cause]) -> None:
    """Failing accounts have one cause at a time, it changes on what is seen twice, and never on what is not known."""
    assert played(*rounds) == stand


@pytest.mark.parametrize("hint", PROFILE_CAUSES)
def test_a_grave_fault_hides_lesser_ones(hint: Cause) -> None:
    """A fault of the profile proves the graver ones gone, and says nothing of those it hides."""
    said_nothing_of = undecided([look(Subject.PROFILE, BAD, hint)]) & set(PROFILE_CAUSES)
    assert said_nothing_of == set(PROFILE_CAUSES[PROFILE_CAUSES.index(hint) :])


def test_a_look_that_failed_keeps_not_seen() -> None:
    """While a look fails, NOT_SEEN is not over; what merely cannot be told is no failed look."""
    assert Cause.NOT_SEEN in undecided([look(Subject.PAIR, UNKNOWN, Cause.NOT_SEEN)])
    assert Cause.NOT_SEEN not in undecided([look(Subject.PAIR, UNKNOWN)])


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_remedy(cause: Cause) -> None:
    """Each remedy is a sentence that names a command for this very integration."""
    remedy = _REMEDIES[cause].format(key=KEY)
    assert "`keyturn " in remedy
    assert "{" not in remedy
    assert "keyturn doctor" in not_seen([Subject.PAIR], "away", KEY).remedy
