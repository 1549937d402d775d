"""Stage `link_account`: auth links on demand, and an account that StackOne itself shows as active."""

from __future__ import annotations

import pytest

from keyturn.domain.attempt import AttemptState, Receipt, Stage
from keyturn.domain.gate import GateKind, GateState
from keyturn.errors import GateClosedError, NotPermittedError, StageFailedError
from tests.services.search import CANARY
from tests.services.twins import API_KEY
from tests.services.world import World


def last(world: World) -> object:
    """What the gate says became of the newest link."""
    return world.gate(GateKind.CONSENT).question["last"]


def test_consent_is_asked_for(world: World) -> None:
    """The gate names the profile, and knows of no link yet."""
    gate = world.to_consent()
    profile_id = world.receipt(Stage.CREATE_PROFILE).body["profile_id"]
    assert gate.question == {"profile_id": profile_id, "sessions": [], "last": ""}
    assert gate.groups == ("gong_admin",)


def test_consent(world: World) -> None:
    """A consent by the link closes the gate, and the receipt names the account."""
    world.to_consent()
    assert world.consent(world.link()) == "authenticated"
    result = world.run(Stage.LINK_ACCOUNT)
    assert isinstance(result, Receipt)
    account = world.twins.accounts()[0]
    assert result.body["account_id"] == account["id"]
    assert (account["origin_owner_id"], account["origin_owner_name"]) == (f"{world.key.tenant}-1", "Acme")
    assert world.gates(GateKind.CONSENT)[0].reason == "consent was given"


def test_link_is_kept_nowhere(world: World) -> None:
    """The gate remembers the session's id; the link itself is only returned, and hidden from logs."""
    world.to_consent()
    made = world.link()
    assert made.url not in repr(made)
    assert world.gate(GateKind.CONSENT).question["sessions"] == [made.session_id]
    assert last(world) == "pending"
    assert (made.expires_at - world.clock.now()).total_seconds() == 1800
    entry = next(entry for entry in world.trail if entry.event == "link.made")
    assert (entry.actor, entry.detail["session"]) == (world.person("grace").id, made.session_id)


def test_without_a_consent_the_run_waits(world: World) -> None:
    """A link that nobody followed changes nothing."""
    world.to_consent()
    world.link()
    assert world.waits().question["last"] == "pending"


def test_cancelled(world: World) -> None:
    """A consent that was denied at Gong is noted at the gate, and a fresh link works."""
    world.to_consent()
    assert world.consent(world.link(), approve=False) == "cancelled"
    world.waits()
    assert str(last(world)).startswith("cancelled: access_denied")
    assert world.consent(world.link()) == "authenticated"
    assert world.ends().proven


def test_error(world: World) -> None:
    """A consent that Gong's token endpoint spoiled is noted at the gate, and a fresh link works."""
    world.to_consent()
    world.twins.fault(world.twins.gong, "POST /oauth2/generate-customer-token", "status", status=500)
    assert world.consent(world.link()) == "error"
    world.waits()
    assert str(last(world)).startswith("error: token_request_failed")
    assert world.consent(world.link()) == "authenticated"
    assert world.ends().proven


def test_wrong_secret_shows_at_the_consent(world: World) -> None:
    """A secret that Gong no longer accepts makes every link fail, and the gate says with what."""
    pair = world.handed_in()
    world.waits()
    world.twins.rotate(pair, grace_hours=0)
    assert world.consent(world.link()) == "error"
    world.waits()
    assert "invalid_client" in str(last(world))
    assert CANARY not in str(last(world))


def test_expired(world: World) -> None:
    """A link whose time is over is noted at the gate, and a fresh link works."""
    world.to_consent()
    old = world.link()
    world.twins.advance(1801)
    world.waits()
    assert last(world) == "expired"
    fresh = world.link()
    assert world.consent(old) == "expired"
    assert world.consent(fresh) == "authenticated"
    assert world.ends().proven


def test_consent_twice(world: World) -> None:
    """Two links that are both followed lead to one account."""
    world.to_consent()
    links = [world.link(), world.link()]
    assert [world.consent(link) for link in links] == ["authenticated"] * 2
    result = world.run(Stage.LINK_ACCOUNT)
    assert isinstance(result, Receipt)
    assert [account["id"] for account in world.twins.accounts()] == [result.body["account_id"]]


def test_older_link_counts(world: World) -> None:
    """Whoever uses the first of two links has given consent, too."""
    world.to_consent()
    first = world.link()
    world.link()
    world.consent(first)
    assert isinstance(world.run(Stage.LINK_ACCOUNT), Receipt)


@pytest.mark.parametrize("status", ["error", "inactive", "suspended"])
def test_account_that_is_not_active(world: World, status: str) -> None:
    """An account that StackOne does not show as active is no success, and the gate says why it waits."""
    world.to_consent()
    world.consent(world.link())
    account_id = world.twins.accounts()[0]["id"]
    world.twins.account_is(account_id, status)
    world.waits()
    assert last(world) == f"authenticated, but account {account_id} is {status}: set_by_twin"
    world.consent(world.link())
    assert isinstance(world.run(Stage.LINK_ACCOUNT), Receipt)


def test_account_that_was_removed(world: World) -> None:
    """An account that somebody removed after the consent does not stand in the way of a fresh link."""
    world.to_consent()
    world.consent(world.link())
    gone = world.twins.accounts()[0]["id"]
    path = f"{world.twins.stackone}/accounts/{gone}"
    world.twins.control.delete(path, auth=(API_KEY, "")).raise_for_status()
    world.waits()
    assert str(last(world)).startswith(f"authenticated, but account {gone} cannot be read")
    world.consent(world.link())
    assert world.ends().proven


def test_link_before_there_is_a_profile(world: World) -> None:
    """Without a profile there is nothing to link to, and nobody is asked for a consent."""
    world.to_intake()
    with world.refused(GateClosedError, "consent: this is not being asked"):
        world.link()
    assert "sessions_created" not in world.twins.effects(world.twins.stackone)


def test_link_after_completion(world: World) -> None:
    """When the attempt is over, no more links are made."""
    world.completed()
    with world.refused(GateClosedError):
        world.link()


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_link_for_somebody_of_another_group(world: World, name: str) -> None:
    """A link is a key to the connection: only those who are asked for the consent get one."""
    world.to_consent()
    with world.refused(NotPermittedError, "is in none of the groups gong_admin"):
        world.link(name)
    assert "sessions_created" not in world.twins.effects(world.twins.stackone)


def test_consent_declined(world: World) -> None:
    """Whoever is asked for the consent can decline, and the attempt ends."""
    world.to_consent()
    world.reject("grace", "not with this scope")
    with world.refused(StageFailedError, "consent was rejected by userpass-grace: not with this scope"):
        world.run()
    assert world.attempt.state is AttemptState.REJECTED


def test_consent_after_the_question_was_asked_afresh(world: World) -> None:
    """A link that was made before the re-arm time still counts after it."""
    world.to_consent()
    link = world.link(expires_in_s=432_000)
    world.clock.move(days=40)
    world.ports.ledger.rearm(world.clock.now())
    world.consent(link)
    assert isinstance(world.run(Stage.LINK_ACCOUNT), Receipt)
    assert [gate.state for gate in world.gates(GateKind.CONSENT)] == [GateState.EXPIRED, GateState.APPROVED]
