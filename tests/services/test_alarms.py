"""What people are told because time has passed, each once and not a minute early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keyturn.domain.attempt import Halt, Stage, Terms, Wish
from keyturn.domain.gate import GateKind
from keyturn.domain.notice import Event, Severity
from keyturn.services.alarms import alarm, remind
from tests.services.fleet import ALICE, Fleet

MINUTE = timedelta(minutes=1)


def reminded(fleet: Fleet) -> int:
    """One round of the watch; how many notices are new."""
    return remind(fleet.ledger, fleet.outbox, fleet.clock)


def alarmed(fleet: Fleet) -> int:
    """The same over the graces."""
    return alarm(fleet.ledger, fleet.outbox, fleet.clock)


def test_a_gate_that_nobody_answers(fleet: Fleet) -> None:
    """Reminded after 1 and 3 working days, escalated after 5, over a weekend; each told once, and without names."""
    key = fleet.onboarded("acme")
    gate = fleet.asked(fleet.turning(key), GateKind.GONG_ROTATION)
    news = []
    for day in (3, 5, 7, 8, 9):  # of March 2026; it is asked on Monday, the 2nd, at nine
        fleet.move_to(datetime(2026, 3, day, 9, tzinfo=UTC) - MINUTE)
        before = reminded(fleet)
        fleet.move_to(datetime(2026, 3, day, 9, tzinfo=UTC))
        news.append((before, reminded(fleet), reminded(fleet)))
    assert news == [(0, 1, 0), (0, 1, 0), (0, 0, 0), (0, 0, 0), (0, 1, 0)]
    told = [*fleet.told(Event.GATE_REMINDER, key), *fleet.told(Event.GATE_ESCALATED, key)]
    assert [n.severity for n in told] == [Severity.WARNING, Severity.WARNING, Severity.ERROR]
    run = fleet.attempt(key)
    facts = {"kind": "gong_rotation", "groups": "gong_admin", "since": "2026-03-02 09:00 UTC"}
    page = {"attempt": str(run.id), "run": str(run.flow_run_id)}
    assert [n.facts for n in told] == [facts | page] * 3
    assert all(str(gate.id) in n.about for n in told)


def test_nobody_is_reminded_of_what_nobody_can_answer(fleet: Fleet) -> None:
    """Not of a grace that has to pass, and not of the questions of a halted rotation."""
    run = fleet.turning(fleet.onboarded("acme"))
    fleet.asked(run, GateKind.GRACE)
    halted = fleet.turning(fleet.onboarded("initech"))
    fleet.asked(halted, GateKind.PROOF)
    fleet.ledger.halt(halted, Halt.ORPHANED, "lost")
    fleet.clock.move(days=10)
    assert reminded(fleet) == 0


def test_a_grace_that_runs_out_unverified(fleet: Fleet) -> None:
    """At 50, 75 and 90 % it is told, more urgent each time and once each; also when the rotation is halted."""
    key = fleet.onboarded("acme")
    run = fleet.turning(key)
    began = fleet.clock.now()
    ends = fleet.clicked(run)
    for share, severity in ((0.5, Severity.WARNING), (0.75, Severity.ERROR), (0.9, Severity.CRITICAL)):
        fleet.move_to(began + share * (ends - began) - MINUTE)
        assert alarmed(fleet) == 0
        fleet.clock.move(minutes=1)
        assert (alarmed(fleet), alarmed(fleet)) == (1, 0)
        last = fleet.told(Event.ROTATION_UNVERIFIED, key)[-1]
        assert (last.severity, last.facts["share"]) == (severity, f"{share:.0%}")
        assert last.facts["ends"] == "2026-03-09 09:00 UTC"
        if fleet.attempt(key).moves:
            fleet.ledger.halt(run, Halt.ORPHANED, "lost")
    assert last.facts["halt"] == "orphaned"


def test_who_is_not_alarmed(fleet: Fleet) -> None:
    """Nobody about a rotation that is verified, that waits for its click, or that a person has given up."""
    verified = fleet.turning(fleet.onboarded("verified"))
    fleet.clicked(verified)
    fleet.done(verified, Stage.VERIFY)
    fleet.turning(fleet.onboarded("waits"))
    given_up = fleet.onboarded("given-up")
    fleet.clicked(fleet.turning(given_up))
    fleet.rotating.abandon(given_up, ALICE, "no")
    fleet.clock.move(days=7)
    assert alarmed(fleet) == 0


def test_a_click_whose_secret_never_came(fleet: Fleet) -> None:
    """The grace runs although nothing was handed in that could be used: it is told as urgently as any other."""
    key = fleet.onboarded("acme")
    run = fleet.turning(key)
    fleet.asked(run, GateKind.GONG_ROTATION, grace_hours=168)
    began = fleet.clock.now()
    fleet.clock.move(hours=100)
    assert alarmed(fleet) == 0, "nobody has clicked, as far as is known"
    fleet.ledger.wish(run.attempt_id, ALICE, Wish.LOST_SECRET, "closed the window")
    assert alarmed(fleet) == 1
    fleet.move_to(began, hours=152)
    assert alarmed(fleet) == 1
    last = fleet.told(Event.ROTATION_UNVERIFIED, key)[-1]
    assert (last.severity, last.facts["share"]) == (Severity.CRITICAL, "90%")
    assert "keyturn submit" in last.facts["remedy"]


def test_no_grace_at_all_is_told_at_once(fleet: Fleet) -> None:
    """A compromised secret is dead from the click on: it pages at once, and the milder alarms are no news then."""
    key = fleet.onboarded("acme")
    fleet.clicked(fleet.turning(key, Terms(compromised=True)), hours=0)
    assert (alarmed(fleet), alarmed(fleet)) == (1, 0)
    (notice,) = fleet.told(Event.ROTATION_UNVERIFIED, key)
    assert notice.severity is Severity.CRITICAL
