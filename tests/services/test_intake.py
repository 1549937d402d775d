"""Handing a pair in: who may, when, and what is said of a pair that cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyturn.domain.attempt import Stage
from keyturn.domain.credential import Credential, ProbeOutcome
from keyturn.domain.gate import GateKind, GateState
from keyturn.errors import (
    CredentialRefusedError,
    GateClosedError,
    KeyturnError,
    NotPermittedError,
    RefusedError,
    WrappingTokenUsedError,
)
from keyturn.ports import RunState
from keyturn.sandbox.people import Pair
from keyturn.services.intake import Submitted
from tests.services.search import CANARY
from tests.services.world import World

WRONG = "kt-wrong-secret-0123456789"
SHAPES = ["oauth", "gong_envelope", "text", "code_first", "ip_rejected"]


def wrong(pair: Pair) -> Pair:
    """The same client id with another secret."""
    return Pair(pair.integration, pair.client_id, WRONG)


def test_right_pair(world: World) -> None:
    """A right pair is kept as version 1, closes the gate with a reference, and wakes the run."""
    world.to_intake()
    submitted = world.submit(world.create_integration())
    assert submitted.probe.outcome is ProbeOutcome.VALID
    assert submitted.resumed
    assert world.run_state is RunState.MOVING
    answer = submitted.gate.answer
    assert (answer["path"], answer["version"], answer["probe"]) == (f"{world.key}/client", 1, "valid")
    assert set(answer) == {"path", "version", "fingerprint", "probe", "probe_status", "probe_code"}
    assert world.pointer.pending is None


def test_before_approval(world: World) -> None:
    """A secret that comes before the approval is not asked for yet, and not kept (acceptance 6)."""
    world.to_approval()
    with world.refused(GateClosedError, "the kit is not approved yet, so no secret is asked for") as told:
        world.submit(world.create_integration())
    assert "nothing was kept of what you entered" in told.value.remedy
    assert world.versions() == 0


def test_twice(world: World) -> None:
    """A second pair is refused while the run goes on with the first (acceptance 6)."""
    pair = world.handed_in()
    with world.refused(GateClosedError, "a secret was handed in already, and the run goes on with it"):
        world.submit(pair)
    assert world.versions() == 1


def test_twice_at_once(world: World) -> None:
    """Of two people who hand a pair in at the same moment one succeeds, and one version is kept."""
    world.to_intake()
    pair = world.create_integration()

    def submit(_: int) -> Submitted | KeyturnError:
        try:
            return world.submit(pair)
        except KeyturnError as error:
            return error

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(submit, range(2)))
    assert [type(result) for result in results if isinstance(result, KeyturnError)] == [GateClosedError]
    assert world.versions() == 1


def test_when_no_run_asks(world: World) -> None:
    """Without a run there is nobody to hand a secret to."""
    with world.refused(GateClosedError, "no run is asking for a secret"):
        world.submit(world.create_integration())
    assert world.versions() == 0


def test_after_completion(world: World) -> None:
    """When the attempt is over, the words do not speak of a run that goes on."""
    world.completed()
    with world.refused(GateClosedError, "no run is asking for a secret"):
        world.submit(world.create_integration())


def test_approved_and_not_asked_yet(world: World) -> None:
    """Between the approval and the question, the words do not tell anybody to start what runs already."""
    world.to_approval()
    world.approve()
    with world.refused(GateClosedError, "the run has not come to that yet") as told:
        world.submit(world.create_integration())
    assert "onboard" not in told.value.remedy


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_by_somebody_of_another_group(world: World, name: str) -> None:
    """Neither an approver nor the requester hands the secret in unless they are in the group for it."""
    world.to_intake()
    pair = world.create_integration()
    with world.refused(NotPermittedError, f"userpass-{name} is in none of the groups gong_admin"):
        world.submit(pair, name)
    assert world.versions() == 0
    assert world.twins.calls(world.twins.gong).get("POST /oauth2/generate-customer-token") is None


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_checked_before_anybody_types(world: World, name: str) -> None:
    """Who may not hand a secret in is told before typing it; who may is not."""
    world.to_intake()
    with world.refused(NotPermittedError):
        world.intake().check_asked(world.key, world.person(name))
    world.intake().check_asked(world.key, world.person("grace"))


def test_wrong_pair(world: World) -> None:
    """A wrong pair is refused at once, in words that say what to do, and nothing of it is kept."""
    world.to_intake()
    pair = world.create_integration()
    with world.refused(CredentialRefusedError, "Gong does not accept this pair") as told:
        world.submit(wrong(pair))
    assert "Copy both again from Gong's table" in told.value.remedy
    assert (world.versions(), world.pointer.revision) == (0, 0)
    assert world.gate(GateKind.GONG_ADMIN).state is GateState.OPEN
    refusal = next(entry for entry in world.trail if entry.event == "intake.refused")
    assert (refusal.actor, refusal.detail["by"]) == (world.person("grace").id, "probe")
    assert world.submit(pair).probe.outcome is ProbeOutcome.VALID


LINT: dict[str, tuple[Callable[[Pair], tuple[str, str]], str]] = {
    "no id": (lambda pair: ("", pair.client_secret), "the Client ID is empty"),
    "no secret": (lambda pair: (pair.client_id, ""), "the Client Secret is empty"),
    "blank secret": (lambda pair: (pair.client_id, " \n"), "the Client Secret is empty"),
    "space": (lambda pair: (pair.client_id, f"{pair.client_secret} "), "Client Secret contains white space"),
    "line": (lambda pair: (f"{pair.client_id}\n", pair.client_secret), "Client ID contains white space"),
    "alike": (lambda pair: (pair.client_id, pair.client_id), "are the same text"),
    "swapped": (lambda pair: (pair.client_secret, pair.client_id[:12]), "look swapped"),
    "not sendable": (lambda pair: (pair.client_id, "•" * 24), "characters that no generated value has"),
    "colon": (lambda pair: (f"{pair.client_id}:1", pair.client_secret), "contains a colon"),
    "long": (lambda pair: (pair.client_id, "s" * 5000), "longer than 4096 characters"),
}


@pytest.mark.parametrize("case", LINT)
def test_lint(world: World, case: str) -> None:
    """What cannot be right by the look of it is refused before Gong is asked, and not kept."""
    world.to_intake()
    typed, words = LINT[case]
    with world.refused(CredentialRefusedError, words):
        world.intake().submit(world.key, Credential(*typed(world.create_integration())))
    assert world.versions() == 0
    assert "POST /oauth2/generate-customer-token" not in world.twins.calls(world.twins.gong)
    assert "intake.refused" in world.events


@pytest.mark.parametrize("shape", SHAPES)
def test_right_pair_is_never_called_wrong(world: World, shape: str) -> None:
    """However Gong's token endpoint refuses, a right pair goes on, proven or marked as not proven (acceptance 2)."""
    world.to_intake()
    world.twins.options(world.twins.gong, token_error_body=shape)
    submitted = world.submit(world.create_integration())
    expected = ProbeOutcome.VALID if shape == "oauth" else ProbeOutcome.NOT_PROVEN
    assert submitted.probe.outcome is expected
    world.run(Stage.STORE_SECRET)
    assert world.receipt(Stage.FETCH_SECRET).body["probe"] == expected
    assert world.receipt(Stage.STORE_SECRET).body["proven"] is (shape == "oauth")


@pytest.mark.parametrize("shape", SHAPES)
def test_wrong_pair_is_never_called_valid(world: World, shape: str) -> None:
    """However Gong's token endpoint refuses, a wrong pair is refused or marked as not proven (acceptance 2)."""
    world.to_intake()
    world.twins.options(world.twins.gong, token_error_body=shape)
    pair = wrong(world.create_integration())
    if shape == "oauth":
        with world.refused(CredentialRefusedError):
            world.submit(pair)
    else:
        assert world.submit(pair).probe.outcome is ProbeOutcome.NOT_PROVEN


def test_probe_switched_off(new_world: Callable[..., World]) -> None:
    """Without the probe nobody is asked about the pair, and it goes on as not proven."""
    world = new_world(GONG__PROBE="false")
    world.to_intake()
    submitted = world.submit(wrong(world.create_integration()))
    assert (submitted.probe.outcome, submitted.probe.code) == (ProbeOutcome.NOT_PROVEN, "probe switched off")
    assert "POST /oauth2/generate-customer-token" not in world.twins.calls(world.twins.gong)


def test_gong_is_silent(world: World) -> None:
    """If Gong does not answer, the pair goes on as not proven: that says nothing about it."""
    world.to_intake()
    world.twins.fault(world.twins.gong, "POST /oauth2/*", "silence", seconds=0.1)
    submitted = world.submit(world.create_integration())
    assert (submitted.probe.outcome, submitted.probe.code) == (ProbeOutcome.NOT_PROVEN, "no answer")


def wrapped(world: World, **data: str) -> str:
    """Have Vault wrap something for a minute."""
    with world.openbao.api() as api:
        answer = api.call("POST", "sys/wrapping/wrap", data, {"X-Vault-Wrap-TTL": "60"})
    token = str(answer["wrap_info"]["token"])
    world.secrets.append(token)
    return token


def wrapped_pair(world: World) -> str:
    """A wrapping token that holds a right pair."""
    pair = world.create_integration()
    return wrapped(world, client_id=pair.client_id, client_secret=pair.client_secret)


def test_wrapping_token(world: World) -> None:
    """Vault's wrapping token is taken instead of the pair."""
    world.to_intake()
    assert world.intake().submit_wrapped(world.key, wrapped_pair(world)).probe.outcome is ProbeOutcome.VALID
    assert world.versions() == 1


def test_used_wrapping_token(world: World) -> None:
    """A wrapping token that somebody opened before is refused, and the audit trail has an alert (acceptance 6)."""
    world.to_intake()
    token = wrapped_pair(world)
    with world.openbao.api(token) as thief:
        assert thief.write("sys/wrapping/unwrap")["data"]["client_secret"] == CANARY
    with world.refused(WrappingTokenUsedError):
        world.intake().submit_wrapped(world.key, token)
    alert = next(entry for entry in world.trail if entry.event == "alert.wrapping_token_used")
    assert alert.actor == world.person("grace").id
    assert world.versions() == 0
    assert world.gate(GateKind.GONG_ADMIN).state is GateState.OPEN


def test_refusal_does_not_use_the_wrapping_token_up(world: World) -> None:
    """A token that comes too early, or from the wrong person, can still be handed in."""
    world.to_approval()
    token = wrapped_pair(world)
    with world.refused(GateClosedError):
        world.intake().submit_wrapped(world.key, token)
    world.approve()
    world.waits()
    with world.refused(NotPermittedError):
        world.intake("bob").submit_wrapped(world.key, token)
    assert world.intake().submit_wrapped(world.key, token).probe.outcome is ProbeOutcome.VALID


def test_wrapping_token_with_something_else(world: World) -> None:
    """A token that wraps anything but a pair is refused, in words that show how to wrap one."""
    world.to_intake()
    with world.refused(CredentialRefusedError, "did not hold client_id and client_secret") as told:
        world.intake().submit_wrapped(world.key, wrapped(world, password="kt-wrong-thing-to-wrap"))
    assert "vault write -wrap-ttl=10m" in told.value.remedy


def test_nobody(world: World) -> None:
    """A token that belongs to no person hands nothing in."""
    world.to_intake()
    world.tokens = {**world.tokens, "root": world.openbao.root_token}
    with world.refused(RefusedError, "belongs to no person"):
        world.submit(world.create_integration(), "root")
    assert world.versions() == 0


def test_expired_question(world: World) -> None:
    """A pair that comes after the question expired is not kept; it is asked for afresh."""
    world.to_intake()
    pair = world.create_integration()
    world.clock.move(days=40)
    with world.refused(GateClosedError, "has expired and is asked afresh"):
        world.submit(pair)
    assert world.versions() == 0
    world.submit(pair)
    assert world.waits().kind is GateKind.CONSENT
