"""Every cause of drift, produced on the twins by what people do, and named correctly (acceptance 4 of issue 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import pytest

from keyturn.clients.vault.session import VaultSession
from keyturn.clients.vault.store import VaultSecretStore
from keyturn.domain.health import Cause, Outcome, Subject, Turn
from keyturn.domain.manifest import SealedManifest
from keyturn.errors import UnavailableError
from keyturn.sandbox.vault_api import VaultApi
from tests.services.twins import API_KEY
from tests.services.watched import Watched, with_ips
from tests.services.world import World

Onboard = Callable[[World, SealedManifest], Watched]


def remedy_of(watched: Watched, cause: Cause) -> str:
    """What a person is told to do."""
    return next(c.remedy for c in watched.health.raised if c.cause is cause)


def evidence_of(watched: Watched, cause: Cause) -> str:
    """By what it was seen."""
    return next(c.evidence for c in watched.health.raised if c.cause is cause)


def test_all_is_well(watched: Watched) -> None:
    """A fresh integration is seen in order from every side, with what was seen and how long that took."""
    checked = watched.check()
    assert {o.subject: o.outcome for o in checked.observations} == dict.fromkeys(Subject, Outcome.OK)
    assert (checked.drifts, list(checked.transitions)) == ((), [])
    assert all(o.latency_ms is not None for o in checked.observations if o.subject in ("pair", "profile", "accounts"))
    assert watched.health.words == "ok"
    assert watched.health.checked_at == watched.world.clock.now()


def test_nothing_is_changed(watched: Watched) -> None:
    """A check leaves ledger, Vault, StackOne and Gong as they are."""
    world = watched.world
    before = world.pointer, world.events, world.twins.profiles(), world.attempt, world.twins.accounts()
    watched.checked(3)
    assert (world.pointer, world.events, world.twins.profiles(), world.attempt, world.twins.accounts()) == before


def test_secret_reset_in_gong(watched: Watched) -> None:
    """A secret that somebody reset is raised while the accounts still live, with the hours that are left."""
    watched.check()
    watched.new_secret(grace_hours=0)
    assert watched.checked(1) == set()
    assert watched.checked(1) == {Cause.SECRET_RESET}
    assert "at most 23 hours are left" in evidence_of(watched, Cause.SECRET_RESET)
    assert f"keyturn rotate {watched.world.key}`" in remedy_of(watched, Cause.SECRET_RESET)


def test_consent_revoked(watched: Watched) -> None:
    """A consent that was withdrawn is no reason to rotate: the pair is fine."""
    twins = watched.world.twins
    twins.control.post(f"{twins.gong}/_twin/revoke", json={}).raise_for_status()
    watched.customers_call()
    assert watched.checked() == {Cause.CONSENT_LOST}
    assert "do not rotate" in remedy_of(watched, Cause.CONSENT_LOST)
    assert "Gong takes the pair" in evidence_of(watched, Cause.CONSENT_LOST)


def test_account_is_gone(watched: Watched) -> None:
    """An account that somebody removed has to be linked again."""
    twins = watched.world.twins
    twins.control.delete(f"{twins.stackone}/accounts/{watched.account_id}", auth=(API_KEY, "")).raise_for_status()
    assert watched.checked() == {Cause.CONSENT_LOST}
    assert "is gone from StackOne" in evidence_of(watched, Cause.CONSENT_LOST)


def test_secret_reset_and_a_day_later(watched: Watched) -> None:
    """When access tokens run out, the connection is down; what was raised before is not over by that."""
    watched.check()
    watched.new_secret(grace_hours=0)
    watched.checked()
    watched.world.twins.advance(25 * 3600)
    watched.customers_call()
    assert watched.checked() == {Cause.SECRET_RESET, Cause.CONNECTION_DOWN}


def test_a_secret_that_is_right_again_while_accounts_fail(watched: Watched) -> None:
    """What is seen of the pair ends the cause that it disproves: two remedies never contradict each other."""
    watched.new_secret(grace_hours=0)
    watched.world.twins.account_is(watched.account_id, "error")
    assert watched.checked() == {Cause.CONNECTION_DOWN}
    watched.promoted(grace_hours=0)
    assert watched.turned() == []
    assert watched.turned() == [(Cause.CONSENT_LOST, Turn.RAISED), (Cause.CONNECTION_DOWN, Turn.CLEARED)]
    watched.new_secret(grace_hours=0)
    assert watched.checked() == {Cause.CONNECTION_DOWN}


def test_accounts_fail_and_gong_says_nothing(watched: Watched) -> None:
    """Where nothing is known of the pair, failing accounts are not called a lost consent."""
    twins = watched.world.twins
    twins.options(twins.gong, token_error_body="text")
    twins.account_is(watched.account_id, "error")
    assert watched.checked(3) == {Cause.ACCOUNTS_FAILING}
    assert "not known" in evidence_of(watched, Cause.ACCOUNTS_FAILING)


def test_failing_accounts_get_their_cause_when_gong_says_something(watched: Watched) -> None:
    """As soon as the pair is known, the vague cause gives way to the precise one."""
    twins = watched.world.twins
    twins.options(twins.gong, token_error_body="text")
    twins.account_is(watched.account_id, "error")
    watched.checked()
    twins.options(twins.gong, token_error_body="oauth")
    assert watched.checked() == {Cause.CONSENT_LOST}


def test_an_account_beside_it_fails(watched: Watched) -> None:
    """An account of the profile that is not the integration's own is told of in numbers, with no name or id."""
    other = watched.another_account()
    assert watched.checked() == set()
    watched.world.twins.account_is(other, "error")
    assert watched.checked() == {Cause.CONSENT_LOST}
    evidence = evidence_of(watched, Cause.CONSENT_LOST)
    assert f"1 of 2 accounts linked through profile {watched.profile_id} failed" in evidence
    assert other not in repr(watched.health)
    assert "removed there if nobody needs it" in remedy_of(watched, Cause.CONSENT_LOST)
    watched.world.twins.account_is(other, "active")
    assert watched.checked() == set()


def test_the_canary_may_fail(watched: Watched) -> None:
    """The account that only ever proved a secret is nobody's, and no alarm."""
    watched.world.twins.account_is(watched.another_account("keyturn-canary"), "error")
    assert watched.checked() == set()


def test_gong_never_says_anything(watched: Watched) -> None:
    """A token endpoint that does not tell is unknown for ever, and no alarm."""
    twins = watched.world.twins
    twins.options(twins.gong, token_error_body="code_first")
    assert watched.checked(8) == set()
    assert watched.health.words == "unknown"


def test_pair_is_not_in_vault(watched: Watched) -> None:
    """A pair that somebody destroyed in Vault is missing, not reset."""
    with watched.world.openbao.api() as api:
        api.write(f"keyturn/destroy/{watched.world.key}/client", {"versions": [1]})
    assert watched.checked() == {Cause.SECRET_MISSING}


def pointer_deleted(api: VaultApi, key: object) -> None:
    """Its newest version is deleted, as `vault kv delete` does."""
    api.delete(f"keyturn/data/{key}/pointer")


def pointer_forgotten(api: VaultApi, key: object) -> None:
    """All of it is deleted, as `vault kv metadata delete` does."""
    api.delete(f"keyturn/metadata/{key}/pointer")


def pointer_overwritten(api: VaultApi, key: object) -> None:
    """Somebody writes something else there."""
    revision = api.read(f"keyturn/metadata/{key}/pointer")["data"]["current_version"]
    body = {"options": {"cas": revision}, "data": {"current": "version 1"}}
    api.write(f"keyturn/data/{key}/pointer", body)


def pointer_from_before(api: VaultApi, key: object) -> None:
    """A backup is restored that is older than the first promotion."""
    revision = api.read(f"keyturn/metadata/{key}/pointer")["data"]["current_version"]
    api.write(f"keyturn/data/{key}/pointer", {"options": {"cas": revision}, "data": {}})


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (pointer_deleted, "was deleted in Vault by hand"),
        (pointer_forgotten, "names no pair in use"),
        (pointer_overwritten, "is not a pointer"),
        (pointer_from_before, "names no pair in use"),
    ],
)
def test_pointer_is_lost(watched: Watched, happens: Callable[[VaultApi, object], None], words: str) -> None:
    """After an onboarding there is always a pair in use: a Vault that names none has lost it, and that is told."""
    with watched.world.openbao.api() as api:
        happens(api, watched.world.key)
    assert watched.checked() == {Cause.SECRET_MISSING}
    assert f"{watched.world.key} pointer" in evidence_of(watched, Cause.SECRET_MISSING)
    assert words in evidence_of(watched, Cause.SECRET_MISSING)
    assert "vault kv undelete" in remedy_of(watched, Cause.SECRET_MISSING)


def test_a_lost_pointer_clears_nothing_about_the_retired_secret(watched: Watched) -> None:
    """Which secret was retired nobody knows then, so it is not said to be dead."""
    twins = watched.world.twins
    twins.options(twins.gong, end_graces=False)
    watched.promoted(grace_hours=1)
    twins.advance(2 * 3600)
    watched.checked()
    with watched.world.openbao.api() as api:
        pointer_forgotten(api, watched.world.key)
    assert watched.checked(6) == {Cause.RETIRED_WORKS, Cause.SECRET_MISSING}


def test_a_pointer_that_may_not_be_read_is_not_lost(watched: Watched) -> None:
    """A sign-in that is refused says nothing about the pointer."""
    settings = watched.world.ports.settings.vault
    stranger = VaultSecretStore(VaultSession(settings, "s.nobody"), settings)
    refused = replace(watched.checking, secrets=stranger).look(watched.world.key)
    seen = {o.subject: (o.outcome, o.hint) for o in refused}
    assert seen[Subject.PAIR] == seen[Subject.RETIRED] == (Outcome.UNKNOWN, Cause.NOT_SEEN)


def test_profile_edited_by_hand(watched: Watched) -> None:
    """A profile that was changed after our receipt is called edited."""
    watched.world.twins.stackone_admin.edit_profile(watched.profile_id, client_secret="kt-typed-by-hand")
    assert watched.checked() == {Cause.PROFILE_EDITED}


def test_profile_renamed(watched: Watched) -> None:
    """A profile with another name is called renamed, and its new name is repeated nowhere."""
    watched.world.twins.stackone_admin.edit_profile(watched.profile_id, name="The profile of Jane Doe")
    assert watched.checked() == {Cause.PROFILE_RENAMED}
    assert "Jane" not in repr(watched.health)


def test_profile_disabled(watched: Watched) -> None:
    """A disabled profile explains its accounts; enabled again it is an edited one, and that is told."""
    watched.world.twins.stackone_admin.press(watched.profile_id, "disable")
    assert watched.checked() == {Cause.PROFILE_DISABLED}
    watched.world.twins.stackone_admin.press(watched.profile_id, "enable")
    assert watched.checked() == {Cause.PROFILE_EDITED}


def test_profile_deleted(watched: Watched) -> None:
    """A removed profile is called gone, and nothing besides."""
    watched.world.twins.stackone_admin.press(watched.profile_id, "delete")
    assert watched.checked() == {Cause.PROFILE_GONE}


def test_default_taken_away(watched: Watched) -> None:
    """A profile that was the default when it was written, and is not any more, is told of."""
    world = watched.world
    world.twins.stackone_admin.create_profile("Another", "id", "kt-of-another", ["api:users:read"])
    other = next(p["id"] for p in world.twins.profiles() if p["name"] == "Another")
    world.twins.stackone_admin.press(other, "default")
    assert watched.checked() == {Cause.PROFILE_NOT_DEFAULT}


def test_a_profile_that_never_was_the_default(world: World, onboard: Onboard) -> None:
    """A profile that was made beside the default one is not told of."""
    world.twins.stackone_admin.create_profile("The first", "id", "kt-of-another", ["api:users:read"])
    assert onboard(world, with_ips(world.sealed())).checked() == set()


def test_manifest_changed(watched: Watched) -> None:
    """A manifest that was registered and given up is told of; while it is being applied it is not."""
    world = watched.world
    world.start(sealed=with_ips(world.sealed("Another description")))
    assert watched.checked(3) == set()
    world.ports.ledger.abandon(world.attempt.id, world.person("alice"), "not now")
    assert watched.checked() == {Cause.MANIFEST_CHANGED}
    assert "keyturn plan" in remedy_of(watched, Cause.MANIFEST_CHANGED)


def test_retired_secret_that_works(watched: Watched) -> None:
    """A secret that outlives its grace is told of, and the one in use is fine."""
    twins = watched.world.twins
    twins.options(twins.gong, end_graces=False)
    watched.promoted(grace_hours=1)
    twins.advance(2 * 3600)
    assert watched.checked() == {Cause.RETIRED_WORKS}
    twins.options(twins.gong, end_graces=True)
    assert watched.checked() == set()


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"access_token": ["192.0.2.1"]}, "for refresh_token"),
        ({"refresh_token": ["192.0.2.1"]}, "for access_token"),
        ({"access_token": [], "refresh_token": []}, "for access_token and refresh_token"),
    ],
)
def test_trusted_ips_missing(world: World, onboard: Onboard, lists: dict[str, list[str]], words: str) -> None:
    """Each of Gong's two lists needs addresses in the manifest."""
    watched = onboard(world, with_ips(world.sealed(), **lists))
    assert watched.checked() == {Cause.TRUSTED_IPS_NOT_ATTESTED}
    assert words in evidence_of(watched, Cause.TRUSTED_IPS_NOT_ATTESTED)


def test_rotation_overdue(watched: Watched) -> None:
    """Two days after its first chance a due rotation is overdue; before, the sweep may still come."""
    watched.world.clock.move(days=90)
    assert watched.checked() == set()
    watched.world.clock.move(days=2)
    assert watched.checked() == {Cause.ROTATION_OVERDUE}
    assert "92 days old" in evidence_of(watched, Cause.ROTATION_OVERDUE)


def test_cleared_on_real_recovery(watched: Watched) -> None:
    """What was raised is cleared after two looks in a row that find it in order, and not by one or by none."""
    world = watched.world
    world.twins.account_is(watched.account_id, "error")
    watched.checked()
    world.twins.account_is(watched.account_id, "active")
    assert watched.turned() == []
    world.twins.fault(world.twins.stackone, "GET /accounts/*", "status", status=503, count=2)
    assert watched.turned() == []
    assert watched.turned() == [(Cause.CONSENT_LOST, Turn.CLEARED)]


def test_a_server_that_stays_away(watched: Watched) -> None:
    """Five rounds without a look at the same thing are told of; the looks at other things go on."""
    twins = watched.world.twins
    twins.fault(twins.stackone, "GET /connector_profiles", "status", status=503, count=10)
    assert watched.checked(4) == set()
    assert watched.checked(1) == {Cause.NOT_SEEN}
    assert evidence_of(watched, Cause.NOT_SEEN).startswith("profile: StackOne")
    assert watched.checked(1) == {Cause.NOT_SEEN}
    assert watched.checked(1) == set()


def test_an_error_hides_no_other_subject(watched: Watched) -> None:
    """With Vault sealed away, StackOne's side is still looked at, and the other way round."""
    blind = replace(watched.checking, secrets=Nowhere())
    seen = {o.subject: o.outcome for o in blind.look(watched.world.key)}
    assert {s for s, outcome in seen.items() if outcome is Outcome.UNKNOWN} == {Subject.PAIR, Subject.RETIRED}
    twins = watched.world.twins
    twins.fault(twins.stackone, "*", "drop_before", count=4)
    unknown = {s for s, outcome in watched.outcomes().items() if outcome is Outcome.UNKNOWN}
    assert unknown == {Subject.PROFILE, Subject.ACCOUNTS}


def test_a_blip_costs_no_round(watched: Watched) -> None:
    """A look that fails at once is tried a second time before it counts as unknown."""
    twins = watched.world.twins
    twins.fault(twins.stackone, "*", "drop_before")
    assert set(watched.outcomes().values()) == {Outcome.OK}


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_only_gone_is_gone(watched: Watched, status: int) -> None:
    """A refusal that is about us, and not about the account, says nothing of the account."""
    twins = watched.world.twins
    twins.fault(twins.stackone, "GET /accounts/*", "status", status=status, count=2)
    seen = watched.look(Subject.ACCOUNTS)
    assert (seen.outcome, seen.hint) == (Outcome.UNKNOWN, Cause.NOT_SEEN)


def test_never_onboarded(world: World, watched: Watched) -> None:
    """An integration whose first onboarding is under way has nothing to look at, and is not unwell."""
    stranger = replace(world.key, tenant="nobody")
    checked = watched.checking.check(stranger)
    assert (checked.onboarded, checked.observations, checked.is_bad, checked.is_unknown) == (False, (), False, False)


class Nowhere:
    """A Vault that is away."""

    def pointer(self, _key: object) -> NoReturn:
        """No answer."""
        raise UnavailableError("Vault", "is sealed", "Unseal it.")
