"""Observations and conditions in PostgreSQL: raised once whoever looks, shared out among workers, told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select

from keyturn.domain.attempt import AttemptState, Stage, Terms
from keyturn.domain.diagnosis import undecided
from keyturn.domain.gate import GateKind, Person, Policy
from keyturn.domain.health import UNSEEN_ROUNDS, Cause, Drift, Observation, Outcome, Subject, Transition, Turn
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.manifest import SealedManifest
from keyturn.domain.notice import Event, Notice, Severity
from keyturn.errors import RefusedError
from keyturn.ledger.observatory import PostgresObservatory
from keyturn.ledger.repository import PostgresLedger
from keyturn.ledger.tables import integrations, notices, observations
from tests.fakes.clock import FakeClock

Sealed = Callable[..., SealedManifest]
KEY = IntegrationKey("acme", "production")
EDITED = Drift(Cause.PROFILE_EDITED, "profile p1 was edited", "Ask who did it.")


@pytest.fixture
def observatory(engine: Engine, clock: FakeClock) -> PostgresObservatory:
    """Where observations are kept."""
    return PostgresObservatory(engine, clock, lock_timeout_s=20.0)


@pytest.fixture
def registered(ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory) -> PostgresObservatory:
    """One integration is known."""
    ledger.open_attempt(sealed(), None)
    return observatory


def seen(
    clock: FakeClock, subject: Subject = Subject.PROFILE, hint: Cause | None = Cause.PROFILE_EDITED
) -> Observation:
    """A look that found a fault, or failed, or nothing wrong."""
    outcome = {None: Outcome.OK, Cause.NOT_SEEN: Outcome.UNKNOWN}.get(hint, Outcome.BAD)
    return Observation(subject, outcome, f"{subject} is {outcome}", clock.now(), hint, 12)


def observed(observatory: PostgresObservatory, clock: FakeClock, *looks: Observation, drifts: Any = ()) -> list[Turn]:
    """A round, a quarter of an hour after the one before."""
    clock.move(minutes=15)
    return [t.turn for t in observatory.observe(KEY, looks, drifts, undecided(looks))]


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that are sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def told(engine: Engine) -> list[Notice]:
    """All notices there ever were."""
    with engine.connect() as connection:
        rows = connection.execute(select(notices).order_by(notices.c.seq)).all()
    return [Notice(Event(r.event), Severity(r.severity), r.key, r.about, r.facts) for r in rows]


def test_raised_and_cleared(registered: PostgresObservatory, clock: FakeClock, engine: Engine) -> None:
    """Two rounds raise, two clear; each is told once, as urgently, with cause and evidence, and a remedy at first."""
    rounds = [
        observed(registered, clock, seen(clock), drifts=[EDITED]),
        observed(registered, clock, seen(clock), drifts=[EDITED]),
        observed(registered, clock, seen(clock), drifts=[EDITED]),
        observed(registered, clock, seen(clock, hint=None)),
        observed(registered, clock, seen(clock, hint=None)),
    ]
    assert rounds == [[], [Turn.RAISED], [], [], [Turn.CLEARED]]
    first, last = (n for n in told(engine) if n.event in (Event.DRIFT_RAISED, Event.DRIFT_CLEARED))
    facts = {"cause": "profile_edited", "evidence": "profile p1 was edited"}
    assert (first.event, first.severity, first.key) == (Event.DRIFT_RAISED, Severity.WARNING, "acme/production")
    assert first.facts == facts | {"remedy": "Ask who did it."}
    assert (last.event, last.severity, last.facts) == (Event.DRIFT_CLEARED, Severity.WARNING, facts)


def test_health(registered: PostgresObservatory, clock: FakeClock) -> None:
    """Health is the newest look at each subject, what is raised, and when somebody last looked."""
    assert registered.health(KEY).words == "never checked"
    observed(registered, clock, seen(clock), seen(clock, Subject.PAIR, None), drifts=[EDITED])
    looks = seen(clock), seen(clock, Subject.PAIR, Cause.NOT_SEEN)
    observed(registered, clock, *looks, drifts=[EDITED])
    health = registered.health(KEY)
    assert sorted(health.observations, key=lambda o: o.subject) == sorted(looks, key=lambda o: o.subject)
    assert [(c.cause, c.raised, c.since) for c in health.raised] == [(Cause.PROFILE_EDITED, True, clock.now())]
    assert health.checked_at == clock.now()
    assert registered.fleet() == {KEY: health}
    assert registered.health(IntegrationKey("nobody", "production")).words == "never checked"


def test_two_rounds_at_once_raise_once(
    registered: PostgresObservatory, clock: FakeClock, threads: ThreadPoolExecutor, engine: Engine
) -> None:
    """Workers that see the same thing at the same moment raise it once, and people hear of it once."""
    observed(registered, clock, seen(clock), drifts=[EDITED])
    looks = [seen(clock)]
    futures = [threads.submit(registered.observe, KEY, looks, [EDITED], undecided(looks)) for _ in range(8)]
    turned: list[Transition] = [t for future in futures for t in future.result()]
    assert [t.turn for t in turned] == [Turn.RAISED]
    assert [n.event for n in told(engine)].count(Event.DRIFT_RAISED) == 1


def test_all_or_nothing(registered: PostgresObservatory, clock: FakeClock) -> None:
    """A round that cannot be kept whole leaves no observation and no condition behind."""
    observed(registered, clock, seen(clock), drifts=[EDITED])
    before = registered.health(KEY)
    broken = Drift(Cause.PROFILE_EDITED, "with a NUL \0", "")
    with pytest.raises(RefusedError, match="cannot keep"):
        observed(registered, clock, seen(clock), drifts=[broken])
    assert registered.health(KEY) == before


def test_not_seen_takes_five_rounds_of_one_subject(registered: PostgresObservatory, clock: FakeClock) -> None:
    """Failed looks at now this, now that are no alarm; five in a row at one thing are, until it is seen twice."""
    blind = {s: lambda s=s: seen(clock, s, Cause.NOT_SEEN) for s in (Subject.PAIR, Subject.PROFILE)}
    for _ in range(UNSEEN_ROUNDS):
        assert observed(registered, clock, blind[Subject.PAIR](), seen(clock, hint=None)) == []
        assert observed(registered, clock, seen(clock, Subject.PAIR, None), blind[Subject.PROFILE]()) == []
    fine = seen(clock, Subject.PAIR, None)
    turns = [observed(registered, clock, fine, blind[Subject.PROFILE]()) for _ in range(UNSEEN_ROUNDS)]
    assert turns == [[], [], [], [Turn.RAISED], []]
    (condition,) = registered.health(KEY).raised
    assert (condition.cause, condition.evidence) == (Cause.NOT_SEEN, "profile: profile is unknown")
    assert observed(registered, clock, fine, seen(clock, hint=None)) == []
    assert observed(registered, clock, fine, seen(clock, hint=None)) == [Turn.CLEARED]


def test_last_fine(registered: PostgresObservatory, clock: FakeClock) -> None:
    """When a subject was last in order, whatever was seen since."""
    assert registered.last_fine(KEY, Subject.PAIR) is None
    observed(registered, clock, seen(clock, Subject.PAIR, None))
    fine_at = clock.now() - timedelta(minutes=15)  # the look was before its round moved on
    observed(registered, clock, seen(clock, Subject.PAIR, Cause.SECRET_RESET))
    assert registered.last_fine(KEY, Subject.PAIR) == fine_at
    assert registered.last_fine(KEY, Subject.PROFILE) is None


def test_history(registered: PostgresObservatory, clock: FakeClock) -> None:
    """The looks that differ from the one before, of each subject, the newest first, and no more than are asked for."""
    profile = [None, None, Cause.PROFILE_EDITED, Cause.PROFILE_EDITED, Cause.PROFILE_GONE, None]
    pair = [None, None, None, Cause.NOT_SEEN, Cause.NOT_SEEN, Cause.NOT_SEEN]
    for of_profile, of_pair in zip(profile, pair, strict=True):
        observed(registered, clock, seen(clock, hint=of_profile), seen(clock, Subject.PAIR, of_pair))
    found = [(o.subject, o.hint) for o in registered.history(KEY, 20)]
    assert found == [
        (Subject.PROFILE, None),
        (Subject.PROFILE, Cause.PROFILE_GONE),
        (Subject.PAIR, Cause.NOT_SEEN),
        (Subject.PROFILE, Cause.PROFILE_EDITED),
        (Subject.PAIR, None),
        (Subject.PROFILE, None),
    ]
    assert [(o.subject, o.hint) for o in registered.history(KEY, 2)] == found[:2]
    assert registered.history(IntegrationKey("nobody", "production"), 20) == []


def test_history_goes_back_a_bounded_way(registered: PostgresObservatory, clock: FakeClock, engine: Engine) -> None:
    """The thousandth last look is compared with the one before, and nothing further back is read."""
    rows = [{"key": str(KEY), "subject": "pair", "evidence": str(n), "at": clock.now()} for n in range(1003)]
    bad = {1: "bad", 2: "bad"}  # what lies further back than a thousand looks
    with engine.begin() as connection:
        connection.execute(insert(observations), [row | {"outcome": bad.get(n, "ok")} for n, row in enumerate(rows)])
    assert [o.evidence for o in registered.history(KEY, 20)] == ["3"]
    observed(registered, clock, seen(clock, Subject.PAIR, None))
    assert registered.history(KEY, 20) == []


def test_claims_share_the_fleet(
    ledger: PostgresLedger,
    sealed: Sealed,
    observatory: PostgresObservatory,
    clock: FakeClock,
    threads: ThreadPoolExecutor,
) -> None:
    """Workers at once take different integrations on, all of them together, and none twice within the time."""
    for number in range(40):
        ledger.open_attempt(sealed(f"tenant-{number:02}"), None)
    old = clock.now() - timedelta(minutes=15)
    shares = list(threads.map(lambda _: observatory.claim(clock.now(), old, 5), range(8)))
    taken = [key for share in shares for key in share]
    assert len(taken) == len(set(taken))
    while share := observatory.claim(clock.now(), old, 5):  # whoever was passed over while locked is still there
        taken += share
    assert sorted(taken) == list(ledger.integrations())
    clock.move(minutes=15)
    assert len(observatory.claim(clock.now(), clock.now() - timedelta(minutes=15), 100)) == 40


def test_claims_begin_with_who_waited_longest(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory, clock: FakeClock
) -> None:
    """Those never seen come first, then those that were seen longest ago."""
    for tenant in ("first", "second"):
        ledger.open_attempt(sealed(tenant), None)
        clock.move(minutes=1)
        observatory.claim(clock.now(), clock.now(), 1)
    ledger.open_attempt(sealed("third"), None)
    clock.move(minutes=1)
    order = [str(observatory.claim(clock.now(), clock.now() - timedelta(seconds=1), 1)[0]) for _ in range(3)]
    assert order == ["third/production", "first/production", "second/production"]


def test_claims_wait_for_nobody(ledger: PostgresLedger, sealed: Sealed, engine: Engine, clock: FakeClock) -> None:
    """An integration that somebody holds is passed over, and the others are taken on at once."""
    impatient = PostgresObservatory(engine, clock, lock_timeout_s=0.1)
    for tenant in ("free", "held"):
        ledger.open_attempt(sealed(tenant), None)
    with engine.begin() as connection:
        mine = select(integrations).where(integrations.c.key == "held/production")
        connection.execute(mine.with_for_update())
        assert [str(key) for key in impatient.claim(clock.now(), clock.now(), 5)] == ["free/production"]
    assert [str(key) for key in impatient.claim(clock.now(), clock.now() - timedelta(1), 5)] == ["held/production"]


def test_an_attempt_is_opened_while_a_round_is_kept(
    registered: PostgresObservatory, ledger: PostgresLedger, clock: FakeClock, engine: Engine
) -> None:
    """The watch over an integration holds nobody up who works on its attempt."""
    attempt = ledger.attempts(KEY)[0]
    with ledger.exclusive(ledger.begin_execution(attempt.id, None)) as work:
        assert observed(registered, clock, seen(clock), drifts=[EDITED]) == []
        work.write_receipt(Stage.REGISTER, {"digest": attempt.digest})
    with engine.connect() as connection:
        assert len(connection.execute(select(observations.c.id)).all()) == 1


def test_prune(registered: PostgresObservatory, clock: FakeClock, engine: Engine) -> None:
    """The oldest observations go first, so many at a time, and none that is younger."""
    for _ in range(6):
        observed(registered, clock, seen(clock, hint=None))
    young = clock.now() - timedelta(minutes=30)
    assert [registered.prune(young, 3), registered.prune(young, 3), registered.prune(young, 3)] == [3, 1, 0]
    with engine.connect() as connection:
        assert min(connection.execute(select(observations.c.at)).scalars()) >= young


def members_of(observatory: PostgresObservatory) -> dict[str, Any]:
    """The fleet by tenant."""
    return {m.key.tenant: m for m in observatory.members()}


def test_members(
    ledger: PostgresLedger,
    sealed: Sealed,
    observatory: PostgresObservatory,
    clock: FakeClock,
    person: Callable[..., Person],
    policy: Policy,
) -> None:
    """Each integration comes with its newest attempt, that one's stages and gates, policy, and the secret's age."""
    onboarded = ledger.open_attempt(sealed("done"), None).attempt
    run = ledger.begin_execution(onboarded.id, None)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.STORE_SECRET, {"stored_as": "current"})
    stored_at = clock.now()
    ledger.finish(run, AttemptState.COMPLETED, "")
    clock.move(days=1)
    rotation = ledger.open_rotation(sealed("done"), person("alice"), Terms()).attempt
    with ledger.exclusive(ledger.begin_execution(rotation.id, None)) as work:
        work.write_receipt(Stage.PREFLIGHT, {})
        work.open_gate(GateKind.APPROVE, policy, {}, clock.now() + timedelta(days=14))
    ledger.open_attempt(sealed("begun"), None)
    found = members_of(observatory)
    assert list(found) == ["begun", "done"]
    done, begun = found["done"], found["begun"]
    assert (done.attempt, done.done, [g.kind for g in done.gates]) == (
        ledger.attempt(rotation.id),
        {Stage.PREFLIGHT},
        [GateKind.APPROVE],
    )
    assert (done.rotation, done.turned_at) == (sealed("done").manifest.rotation, stored_at)
    assert (begun.attempt, begun.done, begun.gates) == (ledger.attempts(begun.key)[0], frozenset(), ())
    assert (begun.rotation, begun.turned_at) == (None, None)


def test_some_of_the_fleet(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory, clock: FakeClock
) -> None:
    """Whoever shows a page of the fleet asks about that page only; an integration that is not known is left out."""
    one, two, _three = (ledger.open_attempt(sealed(name), None).attempt.key for name in ("one", "two", "three"))
    observatory.observe(two, [seen(clock)], [EDITED], ())
    unknown = IntegrationKey("nobody", "production")
    assert [m.key for m in observatory.members([two, one, unknown])] == [one, two]
    assert {k: len(h.observations) for k, h in observatory.fleet([two, one, unknown]).items()} == {one: 0, two: 1}
    assert (observatory.members([]), observatory.fleet([])) == ([], {})


def test_a_pair_that_waits_for_its_proof_is_not_in_use(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory, clock: FakeClock
) -> None:
    """A pair that was stored as pending counts from when its onboarding is complete; a promotion counts at once."""
    attempt = ledger.open_attempt(sealed("acme"), None).attempt
    run = ledger.begin_execution(attempt.id, None)
    with ledger.exclusive(run) as work:
        work.write_receipt(Stage.STORE_SECRET, {"stored_as": "pending"})
    stored_at = clock.now()
    assert members_of(observatory)["acme"].turned_at is None
    ledger.finish(run, AttemptState.COMPLETED, "")
    assert members_of(observatory)["acme"].turned_at == stored_at
    clock.move(days=1)
    rotation = ledger.open_rotation(sealed("acme"), None, Terms()).attempt
    with ledger.exclusive(ledger.begin_execution(rotation.id, None)) as work:
        work.write_receipt(Stage.PROMOTE, {})
    assert members_of(observatory)["acme"].turned_at == clock.now()


def test_the_fleet_takes_as_many_statements_as_one(
    ledger: PostgresLedger, sealed: Sealed, observatory: PostgresObservatory, clock: FakeClock, engine: Engine
) -> None:
    """However many integrations there are, a glance at all of them costs the same number of statements."""
    numbers = []
    for tenants in (1, 12):
        for number in range(tenants):
            key = ledger.open_attempt(sealed(f"t-{tenants}-{number}"), None).attempt.key
            observatory.observe(key, [seen(clock)], [EDITED], ())
        with counted(engine) as sent:
            assert len(observatory.fleet()) == len(observatory.members())
        numbers.append(len(sent))
    assert numbers[0] == numbers[1] <= 12
