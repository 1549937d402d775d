"""A secret that is handed over by the API: where it goes, and where it is never seen again."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from keyturn.domain.gate import GateKind
from tests.console.api.conftest import Caller, problem
from tests.services.world import World

Callers = Callable[..., Caller]
SECRET = "what-nobody-may-repeat"


def test_a_pair_is_judged_at_once(world: World, caller: Callers) -> None:
    """Who is not asked is refused before anything is read; a wrong pair is told in words, and nothing is kept."""
    grace, bob = caller("grace"), caller("bob")
    world.to_approval()
    assert grace.refused(409, "submit", {"only_ask": True})["title"] == "GateClosedError"
    world.approve()
    world.waits()
    pair = {"client_id": "abc", "client_secret": "a-secret-of-nothing"}
    assert bob.refused(403, "submit", pair)["title"] == "NotPermittedError"
    refused = grace.refused(422, "submit", pair)
    assert refused["title"] == "CredentialRefusedError"
    assert "a-secret-of-nothing" not in json.dumps(refused)
    assert world.versions() == 0


def test_a_wrapping_token_will_do(world: World, caller: Callers) -> None:
    """Vault's own token is opened in the place of the pair, once; a second time is an alert, and no success."""
    world.to_intake()
    pair, grace = world.create_integration(), caller("grace")
    body = {"client_id": pair.client_id, "client_secret": pair.client_secret}
    with world.openbao.api() as vault:
        wrapped = vault.call("POST", "sys/wrapping/wrap", body, {"X-Vault-Wrap-TTL": "60"})
    token = wrapped["wrap_info"]["token"]
    assert grace.done("submit", {"wrapping_token": token})["version"] == 1
    world.go_on()
    assert grace.refused(409, "submit", {"wrapping_token": token})["title"] == "GateClosedError"


def test_too_many_tries(world: World, caller: Callers) -> None:
    """After twenty hand-ins within ten minutes a person has to wait, whatever they send."""
    world.to_intake()
    grace = caller("gerd", "gong_admin")
    for _ in range(20):
        grace.refused(422, "submit", {"client_id": "same", "client_secret": "same"})
    answer = grace.post("submit", {"client_id": "same", "client_secret": "same"})
    assert (answer.status_code, answer.json()["title"]) == (429, "RateLimitedError")
    assert answer.headers["retry-after"] == "600"
    assert caller("gerda", "gong_admin").refused(422, "submit", {"client_id": "same", "client_secret": "same"})


def test_a_reveal_is_a_token_with_the_form_for_it(world: World, caller: Callers) -> None:
    """Whoever is asked gets a token that opens the pair once, and StackOne's form; the pair itself is in no answer."""
    world.to_form()
    assert caller("bob").refused(403, "reveal")["title"] == "NotPermittedError"
    answer = caller("gerd", "gong_admin").post("reveal")
    said = answer.json()
    world.secrets.append(said["token"])
    with world.openbao.api(said["token"]) as vault:
        shown = vault.write("sys/wrapping/unwrap")["data"]["data"]
    assert shown["client_secret"] not in answer.text
    assert any(field["values"] == [world.profile_name] for step in said["form"] for field in step["fields"])
    trail = [e for e in world.ports.ledger.trail(world.key) if e.event == "credential.revealed"]
    assert [(e.actor, e.signed_in) for e in trail] == [("oidc:test#gerd", "openid (test)")]


def test_an_answer_is_for_the_question_that_was_seen(world: World, caller: Callers) -> None:
    """Whoever names the gate they saw answers that one or none; whatever else is asked by now stays open."""
    bob, grace, other = caller("bob"), caller("grace"), {"gate": str(uuid4())}
    gate = world.to_approval()
    says = [
        bob.refused(409, "approve", {"digest": gate.digest} | other),
        bob.refused(409, "reject", {"reason": "no"} | other),
    ]
    assert bob.done("approve", {"digest": gate.digest, "gate": str(gate.id)})["state"] == "approved"
    gate, pair = world.waits(), world.create_integration()
    handed = {"client_id": pair.client_id, "client_secret": pair.client_secret}
    world.twins.options(world.twins.stackone, write_api="off")
    says += [
        grace.refused(409, "submit", handed | other),
        grace.refused(409, "submit", {"wrapping_token": "a-token"} | other),
    ]
    assert grace.done("submit", handed | {"gate": str(gate.id)})["version"] == 1
    world.go_on()
    gate = world.gate(GateKind.STACKONE_FORM)
    says.append(grace.refused(409, "reveal", other))
    world.secrets.append(grace.done("reveal", {"gate": str(gate.id)})["token"])
    world.fill_in_stackone()
    world.go_on()
    gate = world.gate(GateKind.CONSENT)
    says.append(grace.refused(409, "link", other))
    assert world.gate(GateKind.CONSENT).question["sessions"] == []
    assert grace.done("link", {"gate": str(gate.id)})["url"]
    assert {said["title"] for said in says} == {"GateClosedError"}
    assert all("another question is asked by now" in said["detail"] for said in says)


@pytest.mark.parametrize(
    "body",
    [
        {"client_id": "x", "client_secret": [SECRET]},
        {"client_id": {"a": SECRET}, "client_secret": "x"},
        {"client_id": "x", "client_secret": "x", SECRET: 1},
        {"client_id": "x", "client_secret": SECRET, "wrapping_token": SECRET},
        {"client_id": "x", "client_secret": SECRET, "grace_hours": 169},
        {"client_id": "x", "client_secret": SECRET, "clicked_at": SECRET},
        {"client_id": "x", "client_secret": SECRET * 300},
        {"client_id": SECRET * 50, "client_secret": "x"},
        {"wrapping_token": 17, "only_ask": SECRET},
        {"only_ask": SECRET},
        [SECRET],
        SECRET,
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_does_not_fit_is_never_repeated(caller: Callers, body: object) -> None:
    """Not the value, nor a name that the sender made up: either may be a secret at the wrong place."""
    said = caller("grace").refused(422, "submit", body)
    assert SECRET not in json.dumps(said)
    assert said["remedy"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f'{{"client_secret": "{SECRET}"', 422),
        (f'"{SECRET}', 422),
        (f"{SECRET}", 422),
        ("", 422),
        (b'{"client_secret": "\xff' + SECRET.encode(), 400),
        ('{"client_id": "a", "client_secret": "\\ud800"}', 422),
        ('{"client_id": "\\u0000", "client_secret": "a"}', 422),
    ],
)
def test_what_is_no_json_is_never_repeated(caller: Callers, sent: str | bytes, status: int) -> None:
    """A text that breaks off, or is none, is told without any of it."""
    answer = caller("grace").post("submit", content=sent, headers={"content-type": "application/json"})
    assert SECRET not in json.dumps(problem(answer, status))
