"""A webhook hastens what looking finds anyway, and does nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select, text

from keyturn.domain.gate import GateKind
from keyturn.domain.integration import IntegrationKey
from keyturn.domain.webhook import AccountEvent
from keyturn.errors import KeyturnError, RefusedError, UnavailableError
from keyturn.ledger.tables import integrations
from keyturn.ports import RunState
from keyturn.services.hasten import APART_S, Hastening
from tests.services.world import World

_numbers = count(1)


def hastening(world: World) -> Hastening:
    """The service, with a fake Prefect."""
    ports = world.ports
    return Hastening(ports.ledger, ports.observatory, world.runs, ports.visits, world.clock)


def event(world: World, **changes: Any) -> AccountEvent:
    """Something happened to an account of this world's origin owner."""
    said = {
        "name": "account.created",
        "account_id": "account-nobody-knows",
        "owner_id": f"{world.key.tenant}-1",
        "provider": "gong",
        "sent_at": world.clock.now(),
    }
    return AccountEvent(**(said | changes))


def take(world: World, digest: str = "", **changes: Any) -> list[IntegrationKey]:
    """A webhook comes in, a new one unless its digest is given."""
    return list(hastening(world).take(event(world, **changes), digest or f"{world.key}/{next(_numbers)}"))


def is_due(world: World) -> bool:
    """Whether the watch takes the integration on before all others."""
    asked = select(integrations.c.hastened_at).where(integrations.c.key == str(world.key))
    with world.ports._engine.connect() as connection:
        return connection.execute(asked).scalar_one() is not None


def checked(world: World) -> None:
    """The watch has just taken everything on."""
    world.ports.observatory.claim(world.clock.now(), world.clock.now(), 10_000)
    assert not is_due(world)


@pytest.fixture
def world(new_world: Callable[..., World], url: str) -> World:
    """An integration's world with a ledger of its own: the watch is asked for once for all integrations in one."""
    return new_world(LEDGER__URL=url)


@pytest.fixture
def waiting(world: World) -> World:
    """A run is suspended until somebody gives consent; the watch has just been there."""
    world.to_consent()
    world.runs.resumes.clear()
    checked(world)
    assert world.run_state is RunState.SUSPENDED
    return world


def test_the_run_that_waits_for_the_link_goes_on(waiting: World) -> None:
    """The origin owner leads to it: the run is resumed, the integration is due, and the watch is asked for."""
    assert take(waiting) == [waiting.key]
    assert waiting.runs.resumes == [waiting.run_id]
    assert (is_due(waiting), waiting.runs.rounds) == (True, 1)
    assert waiting.gate(GateKind.CONSENT)  # nothing is believed: the gate is as open as before


def test_nothing_of_the_payload_is_kept(waiting: World) -> None:
    """A webhook leaves no word of it in gate, receipts or trail, however often it comes."""
    before = waiting.gate(GateKind.CONSENT), waiting.stages, waiting.events
    take(waiting, account_id="account-of-a-liar")
    assert (waiting.gate(GateKind.CONSENT), waiting.stages, waiting.events) == before


def test_a_linked_account_leads_to_its_integration(world: World) -> None:
    """Once it was linked, the account's id is enough; no run waits, so none is resumed."""
    account = world.linked()
    world.go_on()
    world.runs.resumes.clear()
    checked(world)
    assert take(world, name="account.error", account_id=account, owner_id="") == [world.key]
    assert (world.runs.resumes, is_due(world), world.runs.rounds) == ([], True, 1)


def test_an_account_that_nobody_knows(waiting: World) -> None:
    """It is nobody's: nothing is hastened, and Prefect is not asked for anything."""
    assert take(waiting, owner_id="somebody-else") == []
    assert (waiting.runs.resumes, is_due(waiting), waiting.runs.rounds) == ([], False, 0)


def test_an_account_of_another_provider(waiting: World) -> None:
    """The same owner links another product: that is nothing to us. An event that names none may be about ours."""
    assert take(waiting, provider="hubspot") == []
    assert not is_due(waiting)
    assert take(waiting, provider="") == [waiting.key]


def test_a_repetition_does_nothing(waiting: World) -> None:
    """The same body again, however much later within its time, hastens nothing."""
    sent_at = waiting.clock.now()
    assert take(waiting, "one digest", sent_at=sent_at) == [waiting.key]
    waiting.clock.move(minutes=14)
    checked(waiting)
    assert take(waiting, "one digest", sent_at=sent_at) == []
    assert (len(waiting.runs.resumes), is_due(waiting)) == (1, False)


def test_a_repetition_is_known_as_long_as_it_is_in_time(waiting: World) -> None:
    """One from a clock that is ahead is in time for twenty minutes, and is remembered for as long."""
    sent_at = waiting.clock.now() + timedelta(minutes=5)
    assert take(waiting, "from ahead", sent_at=sent_at) == [waiting.key]
    waiting.clock.move(minutes=19, seconds=59)
    assert take(waiting, "from ahead", sent_at=sent_at) == []


def test_the_watch_once_in_ten_seconds(waiting: World) -> None:
    """Of a burst of different events each may be the one that matters; the watch is asked for once in ten seconds."""
    assert [len(take(waiting)) for _ in range(3)] == [1, 1, 1]
    assert (len(waiting.runs.resumes), waiting.runs.rounds) == (3, 1)
    checked(waiting)
    assert take(waiting) == [waiting.key]  # what happened after the watch had been there is not lost
    assert (is_due(waiting), waiting.runs.rounds) == (True, 1)
    waiting.clock.move(seconds=APART_S)
    assert take(waiting) == [waiting.key]
    assert waiting.runs.rounds == 2


def test_a_fault_of_the_ledger_swallows_nothing(waiting: World) -> None:
    """StackOne sends again what was not taken, and that is no repetition."""
    engine = waiting.ports._engine
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE integrations RENAME COLUMN hastened_at TO away"))
    with waiting.refused(KeyturnError):
        take(waiting, "one digest")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE integrations RENAME COLUMN away TO hastened_at"))
    assert take(waiting, "one digest") == [waiting.key]
    assert is_due(waiting)


def test_when_it_was_looked_at_stays_known(waiting: World) -> None:
    """The fleet does not say "never checked" of what a webhook is about, and the gauges count no unchecked one."""
    before = waiting.ports.observatory.health(waiting.key).checked_at
    unchecked = waiting.ports.gauges.read().unchecked
    take(waiting)
    assert waiting.ports.observatory.health(waiting.key).checked_at == before is not None
    row = waiting.ports.fleet.row(waiting.key)
    assert row is not None
    assert row.checked_at == before
    assert waiting.ports.gauges.read().unchecked == unchecked == 0
    assert waiting.ports.observatory.claim(waiting.clock.now(), waiting.clock.now() - timedelta(days=1), 5) == [
        waiting.key
    ]
    assert not is_due(waiting)


@pytest.mark.parametrize(("seconds", "says"), [(-901, "15 minutes ago"), (301, "5 minutes from now")])
def test_out_of_time(waiting: World, seconds: int, says: str) -> None:
    """A recorded webhook that is played back later is refused, whatever its signature, and does nothing."""
    with waiting.refused(RefusedError, says):
        take(waiting, sent_at=waiting.clock.now() + timedelta(seconds=seconds))
    assert (waiting.runs.resumes, is_due(waiting)) == ([], False)


def test_prefect_is_away(waiting: World) -> None:
    """The integration is due all the same: the next round that Prefect starts takes it on."""
    waiting.runs.failures += [UnavailableError("Prefect", "cannot be reached")] * 2
    assert take(waiting) == [waiting.key]
    assert is_due(waiting)
    assert waiting.runs.failures == []


def test_a_halted_or_ended_attempt_is_left_alone(waiting: World) -> None:
    """Nobody but a person moves an attempt that was given up: its run is not resumed by a webhook."""
    waiting.ports.ledger.abandon(waiting.attempt.id, waiting.person("alice"), "not needed")
    assert take(waiting) == []
    assert waiting.runs.resumes == []


def test_a_run_that_waits_for_something_else_is_left_alone(world: World) -> None:
    """An account that was linked earlier belongs to an integration whose new attempt waits for an approval."""
    account = world.linked()
    world.go_on()
    world.start(sealed=world.sealed("another note"))
    world.waits()
    world.runs.resumes.clear()
    assert take(world, account_id=account) == [world.key]
    assert world.runs.resumes == []
