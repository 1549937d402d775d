"""The plan: what is there, what is different, what would be done; and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.services.plan import Plan, Planning
from keyturn.wiring import Ports
from tests.services.world import World


def plan(world: World, note: str = "Calls in StackOne", ports: Ports | None = None) -> Plan:
    """The plan for the manifest with that description."""
    used = ports or world.ports
    return Planning(used.ledger, used.secrets, used.hub, used.writers).plan(world.sealed(note))


def facts(made: Plan) -> dict[str, str]:
    """What was found, by what it is about."""
    return {fact.about: fact.says for fact in made.facts}


def test_new_integration(world: World) -> None:
    """Of a new integration nothing is there, and the plan says which writer would be used and why."""
    made = plan(world)
    assert all(fact.known for fact in made.facts)
    assert facts(made)["ledger"] == "never onboarded"
    assert facts(made)["Vault"] == "no credential"
    assert facts(made)["StackOne profile"] == f"no profile named '{world.profile_name}'; it would be created"
    assert facts(made)["StackOne accounts"] == "0 linked accounts would be touched"
    assert facts(made)["profile writer"].startswith("api: ")
    assert made.differences == ("everything is new",)
    assert made.steps[1] == "wait for 1 approval(s) by approver"


def test_onboarded_integration(world: World) -> None:
    """Of an integration that is there, the plan says what would be touched, and what differs."""
    world.completed()
    made = facts(plan(world))
    assert "is completed" in made["ledger"]
    assert made["Vault"] == "current: version 1"
    assert "its credentials would be replaced" in made["StackOne profile"]
    assert made["StackOne accounts"] == "1 linked account would be touched"
    assert plan(world).differences == ("nothing has changed since it was registered",)
    assert plan(world, "New words").differences == ("manifest.gong.description: Calls in StackOne → New words",)


def test_several_profiles(world: World) -> None:
    """Two profiles with our name are seen before anybody starts a run."""
    for _ in range(2):
        world.twins.stackone_admin.create_profile(world.profile_name, "of-somebody", "kt-of-somebody-else", [])
    assert "a run would stop there" in facts(plan(world))["StackOne profile"]


def test_nothing_changes(world: World) -> None:
    """Planning leaves no trace."""
    plan(world)
    assert world.ports.ledger.registered(world.key) is None
    assert world.twins.effects(world.twins.stackone) == {}
    assert world.pointer.revision == 0


def test_server_that_is_away(world: World, new_ports: Callable[..., Ports]) -> None:
    """What cannot be looked up says why, and the rest of the plan is there."""
    ports = new_ports(STACKONE__API_KEY="v1.local.a-wrong-key")
    made = plan(world, ports=ports)
    assert [fact.about for fact in made.facts if not fact.known] == [
        "StackOne profile",
        "StackOne accounts",
        "profile writer",
    ]
    assert "KEYTURN_STACKONE__API_KEY" in facts(made)["StackOne profile"]
    assert facts(made)["Vault"] == "no credential"
