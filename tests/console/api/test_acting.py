from __future__ import annotations

from collections.abc import Callable

import httpx

from keyturn.domain.gate import GateKind
from tests.console.api.conftest import Caller
from tests.services.world import World

Callers = Callable[..., Caller]
OWN = "vault token (userpass)"


def test_an_onboarding_by_programs_alone(filed: World, calling: Callable[[World], Callers]) -> None:
    """From the manifest to a verdict, with Vault tokens: each step is allowed to whom it is asked of."""
    caller = calling(filed)
    alice, bob, grace = caller("alice"), caller("bob"), caller("grace")
    begun = alice.done("onboard")
    assert (begun["created"], begun["state"], begun["run_url"] != "") == (True, "active", True)
    assert alice.done("onboard")["created"] is False  # whoever asks again is given the same attempt
    assert [a["attempt"] for a in alice.one()["attempts"]] == [begun["attempt"]]
    gate = filed.waits()
    decided = bob.done("approve", {"digest": gate.digest, "note": "fine"})
    assert (decided["state"], decided["approvals"], decided["resumed"]) == ("approved", 1, True)
    filed.waits()
    steps = grace.read(f"/gates/{filed.gate(GateKind.GONG_ADMIN).id}")["kit"]["steps"]
    pair = filed.twins.gong_admin.create_integration(steps)
    filed.secrets.append(pair.client_secret)
    assert grace.post("submit", {"only_ask": True}).status_code == 204
    taken = grace.post("submit", {"client_id": pair.client_id, "client_secret": pair.client_secret})
    assert (taken.status_code, taken.json()["version"], taken.json()["resumed"]) == (200, 1, True)
    assert pair.client_secret not in taken.text
    filed.waits()
    link = grace.done("link")["url"]
    filed.secrets.append(httpx.URL(link).params["token"])
    assert filed.twins.gong_admin.consent(link) == "authenticated"
    filed.ends()
    verdict = alice.done("verify")
    assert (verdict["proven"], {verdict[layer]["status"] for layer in ("L0", "L1", "L2", "L3")}) == (True, {"passed"})
    assert [o["outcome"] for o in alice.done("check")["observations"] if o["subject"] == "pair"] == ["ok"]
    decisions = [d for g in filed.ports.ledger.gates(key=filed.key, only_open=False) for d in g.decisions]
    assert {(d.person_name, d.signed_in) for d in decisions} == {("userpass-bob", OWN), ("userpass-grace", OWN)}


def test_four_eyes(world: World, caller: Callable[..., Caller]) -> None:
    """Nobody approves what they asked for themselves, whatever groups they are in; nor a digest that is not asked."""
    gate = world.to_approval()
    own = caller("alice")
    refused = own.refused(403, "approve", {"digest": gate.digest})
    assert refused["title"] == "NotPermittedError"
    changed = caller("bob").refused(409, "approve", {"digest": "0" * 64})
    assert changed["title"] == "DigestChangedError"
    assert [g.decisions for g in world.ports.ledger.gates(key=world.key)] == [()]


def test_no_ends_the_attempt(world: World, caller: Callable[..., Caller]) -> None:
    """A rejection needs a reason, and is kept with it."""
    world.to_approval()
    assert "reason" in caller("bob").refused(422, "reject", {})["detail"]
    assert caller("bob").done("reject", {"reason": "wrong logo"})["state"] == "rejected"
    (gate,) = world.ports.ledger.gates(key=world.key, only_open=False)
    assert [d.note for d in gate.decisions] == ["wrong logo"]


def test_a_rotation_is_asked_for(world: World, caller: Callable[..., Caller]) -> None:
    """One attempt is active at a time, terms are kept, and what does not fit its state is refused."""
    alice = caller("alice")
    assert alice.refused(409, "rotate")["title"] == "RefusedError"
    world.completed()
    begun = alice.done("rotate", {"ignore_window": True})
    assert (begun["created"], begun["state"], begun["run_started"]) == (True, "active", True)
    again = alice.done("rotate", {"ignore_window": True})
    assert (again["created"], again["attempt"]) == (False, begun["attempt"])
    assert alice.refused(409, "rotate", {"compromised": True})["title"] == "RefusedError"
    for verb in ("rollback", "resume", "lost"):
        assert alice.refused(409, verb, {"reason": "too early"})["status"] == 409
    assert caller("rita", "requester").refused(403, "abandon", {"reason": "not mine"})
    ended = alice.done("abandon", {"reason": "not now", "only_rotation": True})
    assert (ended["state"], ended["reason"]) == ("abandoned", "not now")


def test_only_a_rotation_may_be_meant(world: World, caller: Callable[..., Caller]) -> None:
    """Whoever wants a rotation ended does not end an onboarding by mistake."""
    world.to_approval()
    alice = caller("alice")
    assert alice.refused(409, "abandon", {"reason": "oops", "only_rotation": True})["title"] == "RefusedError"
    assert alice.done("abandon", {"reason": "not now"})["state"] == "abandoned"


def test_checks_are_limited_as_on_the_page(world: World, caller: Callable[..., Caller]) -> None:
    """Six looks and tests a minute of one integration, by whichever way: vendors count these calls."""
    world.completed()
    olga = caller("olga", "operator")
    statuses = [olga.post(verb).status_code for verb in ("check", "verify") * 3]
    assert statuses == [200] * 6
    refused = olga.post("check")
    assert (refused.status_code, refused.json()["detail"]) == (429, "was checked 6 times within a minute")
