"""Whole journeys, by the command line and the vendors' pages."""

from __future__ import annotations

import json
from typing import Any

from keyturn.domain.attempt import STAGES
from keyturn.domain.integration import IntegrationKey
from keyturn.sandbox.demo import Demo


def play(world: Any, key: IntegrationKey) -> dict[str, Any]:
    """Play an onboarding through."""
    return Demo(world.cast, world.ports, world.heard.append, key).play()


def artifacts(world: Any, key: IntegrationKey) -> dict[str, str]:
    """The Markdown artifacts of an integration by kind."""
    found = world.prefect("POST", "/artifacts/latest/filter", {})
    suffix = f"-{key.tenant}-{key.environment}"
    return {a["key"].removesuffix(suffix): a["data"] for a in found if a["key"] and a["key"].endswith(suffix)}


def test_a_manifest_becomes_a_tested_connection(world: Any) -> None:
    """Eight stages, four layers, one profile, one account, one CURRENT."""
    key = IntegrationKey("acme", "production")
    before = world.effects("stackone")
    report = play(world, key)
    assert report["ok"], report
    assert [s["name"] for s in report["stages"]] == [s.value for s in STAGES]
    assert set(report["verdict"].values()) == {"passed"}
    pointer = world.ports.secrets.pointer(key)
    assert (pointer.current.version, pointer.pending) == (1, None)
    after = world.effects("stackone")
    assert [after[e] - before.get(e, 0) for e in ("profiles_created", "accounts_created")] == [1, 1]


def test_prefect_shows_the_kit_with_its_digest_and_the_verdict(world: Any) -> None:
    """Artifacts say what was asked and what was proven."""
    key = IntegrationKey("acme", "production")
    attempt = world.now(key).attempt
    shown = artifacts(world, key)
    assert attempt.digest in shown["kit"]
    assert "Required authorization scopes" in shown["kit"]
    assert "| L3 |" in shown["verdict"]
    assert "**passed**" in shown["verdict"]


def test_verify_and_status_say_the_same_afterwards(world: Any) -> None:
    """A proven connection exits 0, and every stage is done."""
    alice = world.hands("alice")
    verdict = json.loads(alice.must("verify", "acme/production", "--json"))
    assert verdict["proven"] is True
    status = json.loads(alice.must("status", "acme/production", "--json"))
    assert {s["status"] for s in status["stages"]} == {"done"}


def test_a_second_onboarding_of_the_same_integration_uses_the_same_profile(world: Any) -> None:
    """Found by our own key: the profile gets the new pair, and no second one appears."""
    before = world.effects("stackone")
    report = play(world, IntegrationKey("acme", "production"))
    assert report["ok"], report
    after = world.effects("stackone")
    assert after["profiles_created"] == before["profiles_created"]
    assert after["profiles_updated"] == before.get("profiles_updated", 0) + 1
    pointer = world.ports.secrets.pointer(IntegrationKey("acme", "production"))
    assert (pointer.current.version, pointer.previous.version) == (2, 1)


def test_without_a_write_api_the_same_journey_ends_through_the_assisted_form(world: Any) -> None:
    """A person fills in StackOne's form with a single-use reveal, and the gate closes itself."""
    world.options("stackone", write_api="off")
    try:
        key = world.integration("assisted")
        report = play(world, key)
    finally:
        world.options("stackone", write_api="v1")
    assert report["ok"], report
    made = next(s for s in world.now(key).steps if s.stage == "create_profile")
    assert made.says.endswith("by assisted")
    events = [e.event for e in world.ports.ledger.trail(key)]
    assert events.count("credential.revealed") == 1


def test_scopes_are_derived_from_the_actions_wanted(world: Any) -> None:
    """The manifest of acme/sandbox names actions; its kit names their scopes."""
    plan = json.loads(world.hands("alice").must("plan", "acme/sandbox", "--json"))
    assert "api:users:read" in plan["scopes"]
    assert plan["found"][0] == {"about": "ledger", "known": True, "says": "never onboarded"}
    writer = next(f for f in plan["found"] if f["about"] == "profile writer")
    assert writer["says"].startswith("api:")


def test_doctor_finds_nothing_wrong_and_says_what_live_calls_found(world: Any) -> None:
    """Every dependency and permission, and what a person has to try."""
    done = world.hands("alice").run("doctor", "--live", "--json")
    found = json.loads(done.stdout)
    assert [c for c in found["checks"] if c["ok"] is False] == []
    assert any("wrong pairs can be recognised" in c["found"] for c in found["checks"])
    assert found["by_hand"]
