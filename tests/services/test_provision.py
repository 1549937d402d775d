"""Stage `create_profile`: exactly one profile with our name that holds the stored pair, by API or by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyturn.domain.attempt import AttemptState, Receipt, Stage
from keyturn.domain.gate import Gate, GateKind, GateState
from keyturn.errors import ConfigurationError, GateClosedError, NotPermittedError, StageFailedError
from tests.services.search import CANARY
from tests.services.world import World


def created(world: World, name: str, client_id: str = "of-somebody", secret: str = "kt-of-somebody-else") -> str:
    """A profile that somebody made by hand; its id."""
    world.twins.stackone_admin.create_profile(name, client_id, secret, ["api:users:read"])
    return str(world.twins.profiles()[-1]["id"])


def test_new_profile(world: World) -> None:
    """Without a matching profile one is made, read back, and its receipt says which and why this writer."""
    world.stored()
    world.run(Stage.CREATE_PROFILE)
    profile, body = world.twins.profiles()[0], world.receipt(Stage.CREATE_PROFILE).body
    assert (profile["name"], profile["active"]) == (world.profile_name, True)
    assert (body["profile_id"], body["updated_at"], body["writer"]) == (profile["id"], profile["updated_at"], "api")
    assert "connector_profiles" in str(body["why"])


@pytest.mark.parametrize(
    "options",
    [{"write_api": "v2"}, {"write_fields": "flat_camel"}, {"write_fields": "nested"}],
    ids=lambda options: next(iter(options.values())),
)
def test_other_shapes_of_the_write_api(world: World, options: dict[str, str]) -> None:
    """Whatever the live document offers is used, and the pair ends up where it belongs: the link works."""
    world.twins.options(world.twins.stackone, **options)
    world.to_consent()
    assert world.receipt(Stage.CREATE_PROFILE).body["writer"] == "api"
    assert world.consent(world.link()) == "authenticated"


def test_write_api_that_cannot_be_mapped(world: World) -> None:
    """A write API whose fields nobody can name is not guessed at: a person is asked."""
    world.twins.options(world.twins.stackone, write_api="unmappable")
    world.handed_in()
    assert world.waits().kind is GateKind.STACKONE_FORM
    assert world.twins.profiles() == []


def test_existing_profile_gets_the_pair(world: World) -> None:
    """A profile that has our name already is not trusted: its credentials are replaced, and no second one is made."""
    profile_id = created(world, world.profile_name)
    world.to_consent()
    assert world.receipt(Stage.CREATE_PROFILE).body["profile_id"] == profile_id
    assert [profile["id"] for profile in world.twins.profiles()] == [profile_id]
    assert world.consent(world.link()) == "authenticated"


def test_existing_profile_on_a_later_page(world: World) -> None:
    """The profile is found although twenty-five others come before it in the list."""
    for number in range(26):
        created(world, f"Another {number}")
    profile_id = created(world, world.profile_name)
    world.stored()
    world.run(Stage.CREATE_PROFILE)
    assert world.receipt(Stage.CREATE_PROFILE).body["profile_id"] == profile_id
    assert len(world.twins.profiles()) == 27


@pytest.mark.parametrize("write_api", ["v1", "off"])
def test_several_profiles_with_our_name(world: World, write_api: str) -> None:
    """With two matching profiles nothing is written, by neither writer, and their ids are named."""
    world.twins.options(world.twins.stackone, write_api=write_api)
    ids = [created(world, world.profile_name) for _ in range(2)]
    before = world.twins.profiles()
    world.handed_in()
    with world.refused(StageFailedError, "2 StackOne profiles are named") as told:
        world.run()
    assert all(profile_id in told.value.problem for profile_id in ids)
    assert world.twins.profiles() == before
    world.twins.stackone_admin.press(ids[0], "delete")
    assert world.waits().kind in (GateKind.CONSENT, GateKind.STACKONE_FORM)


def test_disabled_profile(world: World) -> None:
    """A disabled profile is no success, and goes on once it is enabled; it is found although lists may hide it."""
    profile_id = created(world, world.profile_name)
    world.twins.stackone_admin.press(profile_id, "disable")
    world.handed_in()
    with world.refused(StageFailedError, "is disabled") as told:
        world.run()
    assert "Enable it in StackOne" in told.value.remedy
    assert Stage.CREATE_PROFILE not in world.stages
    world.twins.stackone_admin.press(profile_id, "enable")
    assert world.waits().kind is GateKind.CONSENT
    assert len(world.twins.profiles()) == 1


def test_another_connectors_profile_of_our_name(world: World) -> None:
    """A profile of another connector is not ours, whatever it is called."""
    page = world.twins.stackone_admin._browser
    form = {"connector": "hubspot", "type": "oauth2", "name": world.profile_name, "client_id": "i"}
    page.post("/dashboard/connector-profiles", data=form | {"client_secret": "s"})
    made = len(world.twins.profiles())
    world.to_consent()
    assert len(world.twins.profiles()) == made + 1


def test_form_asks_a_person(world: World) -> None:
    """Without a write API the gate says why, and which name the profile must get."""
    gate = world.to_form()
    assert (gate.groups, gate.needed) == (("gong_admin", "operator"), 1)
    assert gate.question["profile_name"] == world.profile_name
    assert gate.question["baseline"] == {}
    assert gate.question["why"]
    assert world.twins.profiles() == []


def test_form_waits(world: World) -> None:
    """As long as nobody fills in the form, the run goes on waiting at the same gate."""
    gate = world.to_form()
    assert world.waits() == gate


def test_form_filled_in(world: World) -> None:
    """A new profile with our name closes the gate by itself."""
    world.to_form()
    world.fill_in_stackone()
    result = world.run(Stage.CREATE_PROFILE)
    assert isinstance(result, Receipt)
    assert result.body["profile_id"] == world.twins.profiles()[0]["id"]
    gate = world.gates(GateKind.STACKONE_FORM)[0]
    assert (gate.state, gate.reason) == (GateState.APPROVED, "the profile was seen in StackOne")


def test_form_filled_in_under_another_name(world: World) -> None:
    """A profile with another name is not taken for ours."""
    gate = world.to_form()
    world.fill_in_stackone("Gong of somebody")
    assert world.waits() == gate


def test_form_for_an_existing_profile(world: World) -> None:
    """A profile that was there before must be edited: that it exists proves nothing about its credentials."""
    profile_id = created(world, world.profile_name)
    gate = world.to_form()
    assert list(gate.question["baseline"]) == [profile_id]  # type: ignore[call-overload]
    assert world.waits() == gate
    client_id, secret = world.revealed()
    world.twins.stackone_admin.edit_profile(profile_id, client_id=client_id, client_secret=secret)
    assert world.waits().kind is GateKind.CONSENT
    assert world.consent(world.link()) == "authenticated"


def test_form_filled_in_twice(world: World) -> None:
    """Two profiles made by hand are reported, and when one is removed the other is taken."""
    world.to_form()
    world.fill_in_stackone()
    world.fill_in_stackone()
    with world.refused(StageFailedError, "2 StackOne profiles are named"):
        world.run()
    world.twins.stackone_admin.press(world.twins.profiles()[0]["id"], "delete")
    assert world.waits().kind is GateKind.CONSENT


def test_form_declined(world: World) -> None:
    """Whoever is asked to fill in the form can decline, and the attempt ends."""
    world.to_form()
    world.reject("grace", "we use another project")
    with world.refused(StageFailedError, "stackone_form was rejected by userpass-grace: we use another project"):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_form_asked_afresh(world: World) -> None:
    """The fresh question remembers what was there at the beginning, so the profile made meanwhile counts."""
    old = world.to_form()
    world.fill_in_stackone()
    world.clock.move(days=40)
    world.ports.ledger.rearm(world.clock.now())
    assert world.gate(GateKind.STACKONE_FORM).id != old.id
    assert world.waits().kind is GateKind.CONSENT


def test_writer_set_to_assisted(new_world: Callable[..., World]) -> None:
    """The setting has a person asked even where StackOne offers a write API."""
    world = new_world(STACKONE__PROFILE_WRITER="assisted")
    world.handed_in()
    gate = world.waits()
    assert (gate.kind, gate.question["why"]) == (GateKind.STACKONE_FORM, "the setting profile_writer is `assisted`")


def test_writer_set_to_api_without_one(new_world: Callable[..., World]) -> None:
    """The setting `api` does not conjure up an API: it is a fault of the settings, in words that say so."""
    world = new_world(STACKONE__PROFILE_WRITER="api")
    world.twins.options(world.twins.stackone, write_api="off")
    world.handed_in()
    with world.refused(ConfigurationError, "is `api`, but"):
        world.run()
    assert world.twins.profiles() == []


def test_reveal_opens_once(world: World) -> None:
    """The pair is shown to whoever fills in the form, by a token that opens once, and the trail says to whom."""
    world.to_form()
    client_id, secret = world.revealed()
    assert (len(client_id), secret) == (20, CANARY)
    entry = next(entry for entry in world.trail if entry.event == "credential.revealed")
    assert entry.actor == world.person("grace").id
    assert set(entry.detail) >= {"accessor", "ttl_s"}


def test_reveal_to_somebody_else(world: World) -> None:
    """Nobody of another group is shown the pair."""
    world.to_form()
    with world.refused(NotPermittedError, "userpass-bob is in none of the groups gong_admin, operator"):
        world.revealed("bob")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_reveal_at_another_time(world: World, moment: str) -> None:
    """The pair is shown only while the form is to be filled in."""
    if moment == "before":
        world.to_intake()
    else:
        world.to_consent()
    with world.refused(GateClosedError):
        world.revealed()


def test_pair_is_not_kept_by_the_gate(world: World) -> None:
    """What the gate says about the form has no field for the pair."""
    gate = world.to_form()
    assert isinstance(gate, Gate)
    assert set(gate.question) == {"baseline", "why", "profile_name"}
