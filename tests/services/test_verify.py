"""Stage `test_connection`: a verdict layer by layer, with evidence, remedies, and nothing green that is not proven."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from keyturn.domain.attempt import AttemptState, Stage
from keyturn.domain.gate import GateKind
from keyturn.domain.verdict import Layer, LayerResult, LayerStatus, Verdict
from keyturn.errors import StageFailedError, UnavailableError, VendorRefusedError
from keyturn.services.execution import summary
from keyturn.services.verify import Examination, as_body
from keyturn.wiring import Ports
from tests.services.twins import API_KEY
from tests.services.world import World

PASSED, FAILED, NOT_TESTED = LayerStatus.PASSED, LayerStatus.FAILED, LayerStatus.NOT_TESTED


def layer(verdict: Verdict, which: Layer) -> LayerResult:
    """One layer of a verdict."""
    return next(result for result in verdict.layers if result.layer is which)


def statuses(verdict: Verdict) -> list[LayerStatus]:
    """All statuses, from L0 to L3."""
    return [result.status for result in verdict.layers]


def latest(world: World) -> Verdict:
    """`keyturn verify`."""
    return world.examination.examine_latest(world.key)


def profile_id(world: World) -> str:
    """The profile that the receipt names."""
    return str(world.receipt(Stage.CREATE_PROFILE).body["profile_id"])


def test_everything_passed(world: World) -> None:
    """Every layer says what was seen, and the receipt keeps exactly that."""
    verdict = world.completed()
    assert statuses(verdict) == [PASSED] * 4
    assert layer(verdict, Layer.L0).evidence == "manifest and pair pass lint (version 1)"
    assert layer(verdict, Layer.L1).evidence == "valid (HTTP 400, invalid_grant)"
    assert "is active and as we left it" in layer(verdict, Layer.L2).evidence
    assert "gong_list_users: HTTP 200, 100 records" in layer(verdict, Layer.L3).evidence
    assert world.receipt(Stage.TEST_CONNECTION).body == as_body(verdict)


def test_no_personal_data(world: World) -> None:
    """Neither the verdict nor the ledger keeps anything of the users that the live call returned."""
    verdict = world.completed()
    kept = json.dumps([as_body(verdict), [dict(entry.detail) for entry in world.trail]])
    assert "@" not in kept
    assert "firstName" not in kept


def test_verify_changes_nothing(world: World) -> None:
    """Examining again leaves ledger, Vault and StackOne as they are."""
    world.completed()
    before = world.pointer, world.events, world.twins.profiles(), world.attempt
    assert latest(world).proven
    assert (world.pointer, world.events, world.twins.profiles(), world.attempt) == before


def test_nothing_was_made_yet(world: World) -> None:
    """Layers whose subject is not there yet are not tested, and never passed."""
    world.to_intake()
    verdict = world.examination.examine(world.sealed(), world.ports.ledger.receipts(world.attempt.id))
    assert statuses(verdict) == [NOT_TESTED] * 4
    assert [result.evidence for result in verdict.layers] == [
        "no pair is stored yet",
        "no pair is stored yet",
        "no profile was made yet",
        "no account was linked yet",
    ]
    with world.refused(StageFailedError, "nothing has been stored for this integration yet"):
        latest(world)


def test_manifest_fails_lint(world: World) -> None:
    """A manifest with a fault fails L0, and the pair is not tried then."""
    world.completed()
    sealed = world.sealed()
    form = sealed.manifest.gong.model_copy(update={"terms_url": "http://acme.example/terms"})
    faulty = sealed.model_copy(update={"manifest": sealed.manifest.model_copy(update={"gong": form})})
    verdict = world.examination.examine(faulty, world.ports.ledger.receipts(world.attempt.id))
    assert statuses(verdict)[:2] == [FAILED, NOT_TESTED]
    assert "http://acme.example/terms" in layer(verdict, Layer.L0).evidence


def test_pair_is_gone(world: World) -> None:
    """A pair that is no longer in Vault fails L0."""
    world.completed()
    with world.openbao.api() as api:
        api.write(f"keyturn/destroy/{world.key}/client", {"versions": [1]})
    verdict = latest(world)
    assert statuses(verdict) == [FAILED, NOT_TESTED, PASSED, PASSED]
    assert "destroyed" in layer(verdict, Layer.L0).evidence


def test_pair_became_wrong(world: World) -> None:
    """A secret that Gong no longer knows fails L1 although old tokens still make calls work."""
    pair = world.handed_in()
    world.waits()
    world.consent(world.link())
    world.ends()
    world.twins.rotate(pair, grace_hours=0)
    verdict = latest(world)
    assert statuses(verdict) == [PASSED, FAILED, PASSED, PASSED]
    assert layer(verdict, Layer.L1).evidence == "wrong pair (HTTP 401, invalid_client)"
    assert "by a new onboarding" in layer(verdict, Layer.L1).remedy
    with world.refused(StageFailedError, "L1 failed.*; L1: wrong pair"):
        summary(world.last, verdict)


def test_probe_switched_off(new_world: Callable[..., World]) -> None:
    """Without the probe L1 is not tested, the run completes, and its line says so."""
    world = new_world(GONG__PROBE="false")
    verdict = world.completed()
    assert statuses(verdict) == [PASSED, NOT_TESTED, PASSED, PASSED]
    assert "KEYTURN_GONG__PROBE" in layer(verdict, Layer.L1).remedy
    assert summary(world.last, verdict) == "L0 passed, L1 not tested, L2 passed, L3 passed"
    assert not verdict.proven


def test_profile_was_edited_by_hand(world: World) -> None:
    """A profile that was changed after our receipt fails L2: nobody knows what it holds now."""
    world.completed()
    world.twins.stackone_admin.edit_profile(profile_id(world), client_id="x", client_secret="kt-typed-by-hand")
    verdict = latest(world)
    assert statuses(verdict) == [PASSED, PASSED, FAILED, PASSED]
    assert "was edited at" in layer(verdict, Layer.L2).evidence
    assert "keyturn onboard" in layer(verdict, Layer.L2).remedy


@pytest.mark.parametrize(("button", "words"), [("disable", "is disabled"), ("delete", "is gone")])
def test_profile_does_not_work(world: World, button: str, words: str) -> None:
    """A disabled or removed profile fails L2, and L3 with it."""
    world.completed()
    world.twins.stackone_admin.press(profile_id(world), button)
    verdict = latest(world)
    assert statuses(verdict) == [PASSED, PASSED, FAILED, FAILED]
    assert words in layer(verdict, Layer.L2).evidence


def test_account_in_error(world: World) -> None:
    """An account that is not active fails L3 with StackOne's reason and what to do."""
    world.completed()
    world.twins.account_is(world.twins.accounts()[0]["id"], "error")
    result = layer(latest(world), Layer.L3)
    assert result.status is FAILED
    assert "is error: set_by_twin" in result.evidence
    assert "keyturn link" in result.remedy


def test_account_is_gone(world: World) -> None:
    """An account that somebody removed fails L3; it is no fault of keyturn's settings."""
    world.completed()
    path = f"{world.twins.stackone}/accounts/{world.twins.accounts()[0]['id']}"
    world.twins.control.delete(path, auth=(API_KEY, "")).raise_for_status()
    result = layer(latest(world), Layer.L3)
    assert result.status is FAILED
    assert "cannot be read" in result.evidence


@pytest.mark.parametrize("status", [401, 403, 409])
def test_a_refusal_that_is_not_about_the_account(world: World, status: int) -> None:
    """Only 404 and 410 say that an account is lost; any other no gives no verdict, and the link stays."""
    world.linked()
    world.twins.fault(world.twins.stackone, "GET /accounts/*", "status", status=status)
    with world.refused(VendorRefusedError, str(status)):
        world.run()
    assert Stage.LINK_ACCOUNT in world.stages
    assert world.ends().proven


def test_live_call_is_refused(world: World) -> None:
    """An active account whose live call is refused fails L3."""
    world.completed()
    world.twins.fault(world.twins.stackone, "POST /actions/rpc", "status", status=403)
    result = layer(latest(world), Layer.L3)
    assert (result.status, "gong_list_users answered HTTP 403" in result.evidence) == (FAILED, True)


def test_server_that_is_away_gives_no_verdict(world: World) -> None:
    """What could not be asked is neither passed nor failed: the error says that trying again helps."""
    world.linked()
    world.twins.fault(world.twins.stackone, "POST /actions/rpc", "status", status=503)
    with world.refused(UnavailableError):
        world.run()
    assert Stage.TEST_CONNECTION not in world.stages
    assert world.ends().proven


def test_wrong_api_key(world: World, new_ports: Callable[..., Ports]) -> None:
    """A wrong StackOne key is told by the name of its setting, and without the key (acceptance 6)."""
    world.completed()
    ports = new_ports(STACKONE__API_KEY="v1.local.a-wrong-key")
    examination = Examination(ports.ledger, ports.secrets, ports.gong, ports.hub)
    with world.refused(VendorRefusedError, "401") as told:
        examination.examine_latest(world.key)
    assert "KEYTURN_STACKONE__API_KEY" in told.value.remedy
    assert "a-wrong-key" not in str(told.value)


def test_failed_layer_does_not_complete(world: World) -> None:
    """With a failed layer there is no receipt, the attempt stays, and the next run tests again."""
    world.linked()
    world.twins.fault(world.twins.stackone, "POST /actions/rpc", "status", status=403)
    assert world.ends().failed
    assert (world.attempt.state, Stage.TEST_CONNECTION in world.stages) == (AttemptState.ACTIVE, False)
    assert world.ends().proven
    assert world.attempt.state is AttemptState.COMPLETED


def test_nothing_to_test(world: World) -> None:
    """A verdict that could test nothing completes nothing, although no layer failed."""
    world.to_consent()
    with world.refused(StageFailedError, "there is no receipt of link_account yet"):
        world.stage(Stage.TEST_CONNECTION, world.last)
    assert world.attempt.state is AttemptState.ACTIVE


def test_account_that_failed_is_linked_again(world: World) -> None:
    """When the account is in error at the test, the consent is asked for again, and a fresh link repairs it."""
    world.linked()
    world.twins.account_is(world.twins.accounts()[0]["id"], "error")
    assert world.ends().failed
    assert Stage.LINK_ACCOUNT not in world.stages
    assert "is error" in str(world.gate(GateKind.CONSENT).question["last"])
    assert world.waits().kind is GateKind.CONSENT
    world.consent(world.link())
    assert world.ends().proven
    assert len(world.twins.accounts()) == 1


def test_profile_that_was_edited_is_written_again(world: World) -> None:
    """When the profile was edited before the test, the next run writes our pair again, and asks nobody."""
    world.linked()
    world.twins.stackone_admin.edit_profile(profile_id(world), client_id="x", client_secret="kt-typed-by-hand")
    assert world.ends().failed
    assert world.ends().proven
    assert world.twins.effects(world.twins.stackone)["profiles_created"] == 1


def test_edited_profile_spoils_the_proof_of_an_unproven_pair(world: World) -> None:
    """A link that may have been made with a pair typed in by hand proves nothing of ours: the consent is asked anew."""
    world.twins.options(world.twins.gong, token_error_body="text")
    world.linked()
    world.twins.stackone_admin.edit_profile(profile_id(world), client_id="x", client_secret="kt-typed-by-hand")
    assert world.ends().failed
    gate = world.waits()
    assert (gate.kind, gate.question["sessions"]) == (GateKind.CONSENT, [])
    world.consent(world.link())
    assert not world.ends().failed


def test_profile_that_was_edited_is_made_by_hand_again(world: World) -> None:
    """Without a write API the hand edit does not count as the repair of itself: a person is asked anew."""
    world.to_form()
    world.fill_in_stackone()
    world.waits()
    world.consent(world.link())
    world.run(Stage.LINK_ACCOUNT)
    made = profile_id(world)
    world.twins.stackone_admin.edit_profile(made, client_id="x", client_secret="kt-typed-by-hand")
    assert world.ends().failed
    assert world.waits().kind is GateKind.STACKONE_FORM
    client_id, secret = world.revealed()
    world.twins.stackone_admin.edit_profile(made, client_id=client_id, client_secret=secret)
    assert world.ends().proven


def test_disabled_profile_is_repaired(world: World) -> None:
    """A profile that was disabled before the test works again once it is enabled; nobody has to consent again."""
    world.linked()
    world.twins.stackone_admin.press(profile_id(world), "disable")
    assert world.ends().failed
    world.twins.stackone_admin.press(world.twins.profiles()[0]["id"], "enable")
    assert world.ends().proven


def test_removed_profile_is_made_anew(world: World) -> None:
    """A profile that was removed before the test is made anew, and the consent is asked for it."""
    world.linked()
    removed = profile_id(world)
    world.twins.stackone_admin.press(removed, "delete")
    assert world.ends().failed
    gate = world.waits()
    assert gate.kind is GateKind.CONSENT
    assert gate.question["profile_id"] == profile_id(world) != removed
    world.consent(world.link())
    assert world.ends().proven
