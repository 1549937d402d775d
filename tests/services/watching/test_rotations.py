"""A rotation under way changes pair and profile on purpose, and that is no drift; what goes wrong beside it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from keyturn.domain.attempt import Stage, Terms
from keyturn.domain.gate import GateKind
from keyturn.domain.health import Cause, Outcome, Subject
from keyturn.domain.profile import Profile
from keyturn.domain.rotation import RotationState
from keyturn.ports import ConnectorHub
from keyturn.services.profile_list import Profiles
from tests.services.rotation.turned import Turned
from tests.services.watched import Watched


class Outdated:
    """StackOne before there was a profile, until it `has_news`."""

    def __init__(self, hub: ConnectorHub) -> None:
        self.hub, self.has_news = hub, False

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All there are."""
        return self.hub.profiles(connector) if self.has_news else []


@pytest.fixture
def turned(watched: Watched) -> Turned:
    """The rotation of the watched integration's secret."""
    return Turned(watched.world, watched.pair)


def states_while(watched: Watched, turned: Turned) -> list[RotationState]:
    """Play a rotation to its end, and expect a healthy integration in every state; gives the states."""
    world, states = watched.world, []

    def all_is_well() -> None:
        assert turned.state
        states.append(turned.state)
        assert watched.checked(2) == set(), states
        assert set(watched.outcomes().values()) == {Outcome.OK}, states

    turned.start()
    turned.run()
    all_is_well()
    world.approve()
    turned.run()
    all_is_well()
    turned.submit(turned.click())
    all_is_well()
    for stage in (Stage.STAGE_SECRET, Stage.PROBE_SECRET, Stage.APPLY, Stage.VERIFY):
        turned.run(stage)
        all_is_well()
    turned.pass_time(hours=26)
    turned.run()
    all_is_well()
    turned.pass_time(days=7)
    assert turned.run() is None
    all_is_well()
    return states


def test_a_rotation_is_no_drift(watched: Watched, turned: Turned) -> None:
    """From the first question to the end of the grace nothing is raised, and nothing is unknown."""
    states = states_while(watched, turned)
    assert states[0] is RotationState.PLANNED
    assert {RotationState.STAGED, RotationState.APPLIED, RotationState.GRACE} < set(states)
    assert states[-1] is RotationState.DONE
    assert "refuses version 1, as it should" in watched.look(Subject.RETIRED).evidence


def test_applied_while_a_round_goes_on(watched: Watched) -> None:
    """A round's list of profiles is older than what is made later in it, and says nothing of that."""
    world, hub = watched.world, Outdated(watched.world.ports.hub)
    profiles = Profiles(hub, world.clock)  # type: ignore[arg-type]  as far as that goes
    for _ in range(2):  # one for all, and one for somebody's fault
        assert profiles.find("gone", as_expected=lambda _profile: True) is None
    hub.has_news = True
    (checked,) = watched.checking.check_many([world.key], 1, profiles=profiles)
    assert checked.drifts == ()


def test_a_current_secret_that_is_dead_on_purpose(watched: Watched, turned: Turned) -> None:
    """After a click without grace the secret in use is refused: that is said, and is no reset."""
    turned.to_click(Terms(compromised=True))
    pair = turned.click(grace_hours=0)
    turned.submit(pair)
    turned.run(Stage.STAGE_SECRET)
    assert watched.checked() == set()
    seen = watched.look(Subject.PAIR)
    assert (seen.outcome, seen.hint) == (Outcome.BAD, None)
    assert "on purpose" in seen.evidence
    watched.world.twins.account_is(watched.account_id, "error")
    assert watched.checked() == {Cause.CONNECTION_DOWN}
    assert "Finish the rotation under way" in watched.health.raised[0].remedy


def test_a_grace_that_ended_before_its_rotation(watched: Watched, turned: Turned) -> None:
    """A secret whose grace is over is dead on purpose, also when its rotation was not finished in time."""
    turned.to_proof()
    turned.pass_time(days=8)
    assert watched.checked() == set()
    seen = watched.look(Subject.PAIR)
    assert (seen.outcome, seen.hint, "has to be finished" in seen.evidence) == (Outcome.BAD, None, True)


def test_a_click_that_killed_the_secret_at_once(watched: Watched, turned: Turned) -> None:
    """Where a grace was asked for and the secret in use is dead all the same, somebody has to hurry."""
    turned.to_click()
    turned.click(grace_hours=0)
    assert watched.checked() == {Cause.SECRET_RESET}
    assert "before the grace" in watched.health.raised[0].evidence
    assert "Finish the rotation under way" in watched.health.raised[0].remedy


def test_a_rotation_that_was_given_up(watched: Watched, turned: Turned) -> None:
    """When the grace of an abandoned rotation ends, the newer secret in Vault is named as the way out."""
    turned.handed_in(grace_hours=30)
    turned.run(Stage.STAGE_SECRET)
    world = watched.world
    world.ports.ledger.abandon(world.attempt.id, world.person("alice"), "not now")
    assert watched.checked() == set()
    turned.pass_time(hours=31)
    assert watched.checked() == {Cause.SECRET_RESET}
    assert "takes it over" in watched.health.raised[0].remedy


def test_a_form_that_is_filled_in_is_no_edit_by_hand(watched: Watched, turned: Turned) -> None:
    """Without a write API a person edits the profile for the rotation; somebody else's edit afterwards is drift."""
    twins = watched.world.twins
    twins.options(twins.stackone, write_api="off")
    pair = turned.handed_in()
    gate = turned.run()
    assert gate
    assert gate.kind is GateKind.STACKONE_FORM
    twins.stackone_admin.edit_profile(watched.profile_id, client_id=pair.client_id, client_secret=pair.client_secret)
    assert watched.checked() == set()
    turned.run()
    assert watched.checked() == set()
    twins.stackone_admin.edit_profile(watched.profile_id, client_secret="kt-typed-by-hand")
    assert watched.checked() == {Cause.PROFILE_EDITED}
