"""A healthy integration, and one whose store stops answering half way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from keyturn.domain.inconsistency import Store
from keyturn.domain.profile import Profile
from keyturn.errors import UnavailableError
from keyturn.ports import LivingRun, RunState
from keyturn.services.deep_check.everything import Once
from keyturn.services.deep_check.in_prefect import InPrefect
from keyturn.services.deep_check.told import told
from tests.services.restoring.life import Life, NoRuns


@pytest.fixture
def grown(life: Life) -> Iterator[Life]:
    """A life in the grace of a turned secret."""
    life.live()
    yield life
    life.world.ports.ledger.close()  # type: ignore[attr-defined]  # the real one
    life.stores.remove()


def test_healthy_is_silent(grown: Life) -> None:
    """Turned, retired, and onboarded anew at each question: no store has anything to say, long after either."""
    world = grown.world
    assert stores(grown) == ""
    grown.finish()
    assert stores(grown) == ""
    world.start()
    world.waits()
    assert stores(grown) == ""
    world.approve()
    world.waits()
    assert stores(grown) == ""
    world.submit(grown.turned.click(0))
    world.run()
    assert stores(grown) == ""
    world.consent(world.link())
    world.ends()
    assert stores(grown) == ""
    assert world.pointer.previous
    assert world.pointer.grace_ends_at == ""
    grown.turned.pass_time(days=30)
    assert stores(grown) == ""


def stores(life: Life) -> str:
    """What is said of Vault, Prefect and StackOne."""
    return "".join(life.said(store) for store in (Store.VAULT, Store.PREFECT, Store.STACKONE))


def test_what_was_found_before_a_store_went_away_is_kept(grown: Life) -> None:
    """Two profiles are named the same, and the account cannot be asked for: the first is known, the rest unknown."""
    world = grown.world
    twice = [p for p in world.ports.hub.profiles("gong") if p.name == world.profile_name]

    class HalfAway:
        def profiles(self, connector: str) -> list[Profile]:
            assert connector
            return [*twice, replace(twice[0], id="another")]

        def account(self, account_id: str) -> None:
            raise UnavailableError("StackOne", f"did not answer for {account_id}", "Try again.")

    seen = grown.compare(HalfAway())  # type: ignore[arg-type]  # what is asked of it here
    found = [one for one in seen.found if one.store is Store.STACKONE]
    assert [one.known for one in found] == [True, False]
    assert "2 profiles are named" in found[0].found


def test_what_has_settled_at_a_second_look_is_not_said(grown: Life) -> None:
    """Runs go on while the stores are read, so one is ahead of another for a moment."""
    world = grown.world
    real = world.ports.hub
    looks = []

    class Settling:
        def profiles(self, connector: str) -> list[Profile]:
            looks.append(connector)
            mine = [p for p in real.profiles(connector) if p.name == world.profile_name]
            return [*mine, replace(mine[0], id="another")] if len(looks) == 1 else mine

        def account(self, account_id: str) -> object:
            return real.account(account_id)

    seen = grown.compare(Settling())  # type: ignore[arg-type]  # what is asked of it here
    assert len(looks) == 2
    assert [one for one in seen.found if one.store is Store.STACKONE] == []


def test_a_fleet_is_listed_once(grown: Life) -> None:
    """Runs and profiles are listed once, each integration gets its own, and no run is asked for that was listed."""
    world, listed = grown.world, []
    known = told(world.ports.ledger, world.key, world.profile_name)
    assert known.active
    assert known.active.flow_run_id
    mine = LivingRun(known.active.flow_run_id, RunState.RUNNING, str(world.key), str(known.active.id))

    class Runs(NoRuns):
        def living(self) -> list[LivingRun]:
            listed.append("runs")
            return [mine, replace(mine, key="somebody/else")]

    class Asked:
        def state(self, run_id: object) -> RunState:
            raise AssertionError(run_id)

    once = Once(Runs(), world.ports.hub)
    assert [once.living(world.key), once.living(world.key)] == [[mine], [mine]]
    assert listed == ["runs"]
    assert [p.name for p in once.profiles(known)] == [world.profile_name]
    compared = InPrefect(known, Asked(), once.living(world.key), world.clock.now())  # type: ignore[arg-type]  # one call
    assert compared.compare() == []
