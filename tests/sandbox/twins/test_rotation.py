"""What a rotation meets at the vendors: graces to the minute, writes that do not do what they say, lost consent."""

from __future__ import annotations

from typing import Any

import pytest


def still_works(world: Any, integration: Any) -> bool:
    """Whether Gong knows the client by this secret; a bogus code spends nothing."""
    return bool(world.exchange(integration, "bogus").json()["error"] == "invalid_grant")


def write(world: Any, profile: dict[str, Any], **fields: str) -> dict[str, Any]:
    """A write by API that is answered with 200; gives the profile it shows."""
    answer = world.api.patch(f"/connector_profiles/{profile['id']}", json=fields)
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


@pytest.mark.parametrize("hours", [1, 24, 168])
def test_the_old_secret_works_to_the_minute_and_the_account_throughout(world: Any, hours: int) -> None:
    """It lives until the grace is over and not a minute longer; the account is refreshed with the new one meanwhile."""
    old, profile, account_id = world.connected()
    new = world.rotate(old, grace_hours=hours)
    write(world, profile, client_secret=new.secret)
    world.advance(hours=hours, minutes=-1)
    assert still_works(world, old)
    assert world.action(account_id).status_code == 200
    world.advance(minutes=1)
    assert not still_works(world, old)
    world.advance(hours=24)
    assert world.action(account_id).status_code == 200
    assert world.effects(world.api)["refreshes"] >= 1
    assert world.api.get(f"/accounts/{account_id}").json()["status"] == "active"


def test_an_account_left_on_the_old_secret_fails_after_the_grace_and_not_before(world: Any) -> None:
    """A refresh in the grace still works with it; the next one, after the grace, does not."""
    old, _, account_id = world.connected()
    world.rotate(old, grace_hours=36)
    world.advance(hours=24)
    assert world.action(account_id).status_code == 200
    world.advance(hours=24)
    assert world.action(account_id).status_code == 401
    account = world.api.get(f"/accounts/{account_id}").json()
    assert (account["status"], account["status_reasons"][0]["code"]) == ("error", "invalid_client")


def test_an_ignored_write_keeps_the_old_secret_and_looks_like_any_other(world: Any) -> None:
    """It answers 200 and moves `updated_at`, so only a refresh after the grace finds it out."""
    old, profile, account_id = world.connected()
    world.switch(world.api, write_effect="ignored")
    new = world.rotate(old, grace_hours=24)
    assert write(world, profile, client_secret=new.secret)["updated_at"] > profile["updated_at"]
    world.advance(hours=24)
    assert not still_works(world, old)
    assert world.action(account_id).status_code == 401


def test_an_ignored_write_still_renames(world: Any) -> None:
    """Only the secret is not taken."""
    _, profile, _ = world.connected()
    world.switch(world.api, write_effect="ignored")
    assert write(world, profile, name="Renamed", client_secret="x")["name"] == "Renamed"


@pytest.mark.parametrize("by", ["api", "hand"])
def test_a_garbled_write_fails_the_next_refresh_and_can_be_taken_back(world: Any, by: str) -> None:
    """By API or on the dashboard; the refresh token is not spent, so the old secret heals the account in its grace."""
    old, profile, account_id = world.connected()
    world.switch(world.api, write_effect="garbled")
    new = world.rotate(old, grace_hours=168)
    if by == "api":
        write(world, profile, client_secret=new.secret)
    else:
        url = f"{world.stackone_url}/dashboard/connector-profiles/{profile['id']}/edit"
        world.browser.post(url, data={"client_secret": new.secret}).raise_for_status()
    assert world.action(account_id).status_code == 200
    world.advance(hours=24)
    assert world.action(account_id).status_code == 401
    world.switch(world.api, write_effect="kept")
    write(world, profile, client_secret=old.secret)
    assert world.action(account_id).status_code == 200
    assert world.api.get(f"/accounts/{account_id}").json()["status"] == "active"


@pytest.mark.parametrize(("moves", "expected"), [("always", True), ("changes", False)])
def test_a_write_that_changes_nothing(world: Any, moves: str, *, expected: bool) -> None:
    """Whether it moves `updated_at` is not known of StackOne, so it can be chosen; a change always moves it."""
    made, profile, _ = world.connected()
    world.switch(world.api, updated_at=moves)
    again = write(world, profile, name=profile["name"], client_id=made.client_id, client_secret=made.secret)
    assert (again["updated_at"] > profile["updated_at"]) is expected
    changed = write(world, profile, client_secret="another")
    assert changed["updated_at"] > again["updated_at"]


def test_an_ignored_new_secret_counts_as_a_change(world: Any) -> None:
    """Also where only changes move `updated_at`: a reader cannot tell the difference."""
    _, profile, _ = world.connected()
    world.switch(world.api, updated_at="changes", write_effect="ignored")
    assert write(world, profile, client_secret="another")["updated_at"] > profile["updated_at"]


def test_consent_can_be_lost_by_one_client_alone(world: Any) -> None:
    """Its accounts fail with `invalid_grant` while its pair is right, the other's go on; a new link heals them."""
    lost, lost_profile, lost_account = world.connected()
    other_profile = world.create_profile(world.create_integration(), name="Other")
    other_account = world.link(connector_profile_id=other_profile["id"], origin_owner_id="other")
    world.gong.post("/_twin/revoke", json={"client_id": lost.client_id}).raise_for_status()
    assert world.action(lost_account).status_code == 401
    account = world.api.get(f"/accounts/{lost_account}").json()
    assert (account["status"], account["status_reasons"][0]["code"]) == ("error", "invalid_grant")
    assert still_works(world, lost)
    assert world.action(other_account).status_code == 200
    assert world.link(connector_profile_id=lost_profile["id"]) == lost_account
    assert world.action(lost_account).status_code == 200


@pytest.mark.parametrize("body", [{"client_id": "nobody"}, {"client": "x"}, [], {"client_id": 7}])
def test_a_revocation_that_means_nobody_is_refused(world: Any, body: Any) -> None:
    """A slip of the pen must not look like a consent that was withdrawn, nor withdraw everybody's."""
    *_, account_id = world.connected()
    assert world.gong.post("/_twin/revoke", json=body).status_code == 422
    assert world.action(account_id).status_code == 200


def test_both_lists_of_accounts_show_when_they_changed(world: Any) -> None:
    """`updated_at` is in both versions of the API; the profile is only in the second."""
    _, profile, account_id = world.connected()
    before = world.api.get("/accounts").json()[0]["updated_at"]
    world.api.post(f"/_twin/accounts/{account_id}", json={"status": "suspended"}).raise_for_status()
    (first,), (second,) = world.api.get("/accounts").json(), world.api.get("/v2/accounts").json()
    assert first["updated_at"] == second["updated_at"] > before
    assert ("connector_profile_id" in first, second["connector_profile_id"]) == (False, profile["id"])
