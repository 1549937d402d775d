from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

PROFILES = "/dashboard/connector-profiles"


def replace_secret(world: Any, profile: dict[str, Any], secret: str) -> None:
    """What a person does in the dashboard at a rotation."""
    url = f"{world.stackone_url}{PROFILES}/{profile['id']}/edit"
    world.browser.post(url, data={"client_secret": secret}).raise_for_status()


def test_from_nothing_to_a_call_through_stackone(world: Any) -> None:
    """Integration, profile, auth link, consent, and a real call to the customer's base URL."""
    world.sign_in()
    world.create_profile(world.create_integration())
    session = world.session()
    opened = world.browser.get(session["auth_link_url"])
    assert "<button>Connect</button>" in opened.text
    ended = world.follow(session)
    assert 'data-status="authenticated"' in ended.text
    attempt = world.attempt(session)
    assert attempt["status"] == "authenticated"
    answer = world.action(attempt["account_secure_id"])
    assert len(answer.json()["data"]) == 100
    rest = world.action(attempt["account_secure_id"], query={"cursor": answer.json()["next"]})
    assert rest.json()["data"][0]["id"] != answer.json()["data"][0]["id"]
    assert world.effects(world.api) | {"accounts_created": 1, "sessions_created": 1} == world.effects(world.api)
    assert world.effects(world.gong)["calls"]["GET /customers/us-49467/v2/users"] == 2


def test_a_denied_consent_cancels(world: Any) -> None:
    """The attempt is cancelled, nothing is linked, and the same link can be used again."""
    world.sign_in()
    world.create_profile(world.create_integration())
    session = world.session()
    assert 'data-status="cancelled"' in world.follow(session, "deny").text
    assert world.attempt(session)["status"] == "cancelled"
    assert world.api.get("/accounts").json() == []
    world.follow(session)
    assert world.attempt(session)["status"] == "authenticated"


def test_an_opened_link_is_pending(world: Any) -> None:
    """Between Connect and consent there is an attempt without an outcome."""
    world.sign_in()
    world.create_profile(world.create_integration())
    session = world.session()
    world.browser.post(f"{world.stackone_url}/connect", data={"token": session["token"]}, follow_redirects=False)
    assert world.attempt(session)["status"] == "pending"


def test_a_link_expires(world: Any) -> None:
    """After expires_in, by the twin's clock, the page is gone and the attempt says expired."""
    world.sign_in()
    world.create_profile(world.create_integration())
    session = world.session(expires_in=432_000)
    world.advance(hours=120)
    assert world.browser.get(session["auth_link_url"]).status_code == 410
    assert 'data-status="expired"' in world.follow(session).text
    assert world.attempt(session)["status"] == "expired"


@pytest.mark.parametrize(
    ("shape", "code"),
    [("oauth", "invalid_client"), ("gong_envelope", "token_request_failed"), ("text", "token_request_failed")],
)
def test_a_wrong_secret_in_the_profile_is_an_error_of_the_attempt(world: Any, shape: str, code: str) -> None:
    """With the provider's OAuth code where it gave one."""
    world.sign_in()
    made = world.create_integration()
    made.secret = "wrong"
    world.create_profile(made)
    world.switch(world.gong, token_error_body=shape)
    session = world.session()
    assert 'data-status="error"' in world.follow(session).text
    attempt = world.attempt(session)
    assert (attempt["status"], attempt["oauth_error_code"]) == ("error", code)


def test_a_callback_is_good_once(world: Any) -> None:
    """A reloaded or forged callback changes nothing."""
    world.sign_in()
    world.create_profile(world.create_integration())
    world.follow(world.session())
    forged = httpx.get(f"{world.stackone_url}/connect/oauth2/gong/callback", params={"code": "c", "state": "forged"})
    assert forged.status_code == 410
    assert world.effects(world.api)["accounts_created"] == 1


def test_a_known_owner_opens_the_known_account(world: Any) -> None:
    """Unless `multiple` asks for another one; account_id names the account to link again."""
    _, _, account_id = world.connected()
    assert world.link() == account_id
    other = world.link(multiple=True)
    assert other != account_id
    assert world.link(account_id=other) == other
    assert world.effects(world.api)["accounts_created"] == 2


def test_an_action_refreshes_an_old_token(world: Any) -> None:
    """After a day the profile's credentials are used; twice, since refresh tokens rotate."""
    *_, account_id = world.connected()
    for refreshes in (1, 2):
        world.advance(hours=24)
        assert world.action(account_id).status_code == 200
        assert world.effects(world.gong)["refreshes"] == refreshes


def test_gongs_word_counts_when_a_token_is_old(world: Any) -> None:
    """If only Gong's clock has moved, its 401 leads to a refresh."""
    *_, account_id = world.connected()
    world.gong.post("/_twin/clock", json={"advance_seconds": 86_400})
    assert world.action(account_id).status_code == 200
    assert world.effects(world.api)["refreshes"] == 1


def test_a_failing_refresh_turns_the_account_to_error_and_a_repaired_secret_heals_it(world: Any) -> None:
    """The refresh token is not spent by a refused client."""
    integration, profile, account_id = world.connected()
    new = world.rotate(integration, grace_hours=0)
    assert world.action(account_id).status_code == 200
    world.advance(hours=24)
    refused = world.action(account_id)
    assert (refused.status_code, refused.json()["errorCode"]) == (401, "AccountInvalidCredentialsError")
    account = world.api.get(f"/accounts/{account_id}").json()
    assert (account["status"], account["status_reasons"][0]["code"]) == ("error", "invalid_client")
    replace_secret(world, profile, new.secret)
    assert world.action(account_id).status_code == 200
    healed = world.api.get(f"/accounts/{account_id}").json()
    assert healed["status"] == "active"
    assert "status_reasons" not in healed


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "drop_before"}])
def test_a_provider_out_of_order_is_no_error_of_the_account(world: Any, fault: dict[str, Any]) -> None:
    """A refresh that was not judged answers 502, and the next call works."""
    *_, account_id = world.connected()
    world.advance(hours=24)
    world.gong.post("/_twin/faults", json={"match": "POST /oauth2/generate-customer-token", **fault})
    assert world.action(account_id).status_code == 502
    assert world.api.get(f"/accounts/{account_id}").json()["status"] == "active"
    assert world.action(account_id).status_code == 200


def test_simultaneous_actions_refresh_once(world: Any) -> None:
    """Parallel refreshes of a single-use token would end in invalid_grant."""
    *_, account_id = world.connected()
    world.advance(hours=24)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.action(account_id).status_code, range(8)))
    assert answers == [200] * 8
    assert world.effects(world.gong)["refreshes"] == 1


def test_an_account_works_throughout_a_rotation(world: Any) -> None:
    """Old secret, grace, new secret applied, grace over: no call fails, and the old secret is dead."""
    old, profile, account_id = world.connected()
    new = world.rotate(old, grace_hours=48)
    assert world.action(account_id).status_code == 200
    replace_secret(world, profile, new.secret)
    world.advance(hours=24)
    assert world.action(account_id).status_code == 200
    world.advance(hours=24)
    assert world.action(account_id).status_code == 200
    assert world.exchange(old, "bogus").json()["error"] == "invalid_client"


def test_an_account_can_be_run_with_another_profile(world: Any) -> None:
    """By header, if the profile is of the same connector."""
    integration, _, account_id = world.connected()
    other = world.create_profile(integration, name="Other")
    body = {"action": "gong_list_users"}
    for profile_id, status in ((other["id"], 200), ("nothing", 400)):
        headers = {"x-account-id": account_id, "x-connector-profile-id": profile_id}
        assert world.api.post("/actions/rpc", json=body, headers=headers).status_code == status


def test_actions_that_cannot_be_run_say_why(world: Any) -> None:
    """Unknown account, unknown action, one not enabled, one that the twin lacks, one without its scope."""
    integration, _, account_id = world.connected()
    assert world.action("nobody").status_code == 404
    assert world.action(account_id, "gong_fly").status_code == 404
    assert world.action(account_id, "gong_list_calls").status_code == 501
    missing = world.action(account_id, "gong_list_workspaces")
    assert (missing.status_code, missing.json()["provider_errors"][0]["status"]) == (403, 403)
    world.create_profile(integration, actions=["get_user"], name="Narrow")
    narrow = world.profiles()[-1]
    world.api.patch(f"/accounts/{account_id}", json={"connector_profile_id": narrow["id"]})
    assert world.action(account_id).status_code == 403


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_scope_is_no_error_of_the_account(world: Any, status: int) -> None:
    """Whichever status Gong gives it, the account stays active and nothing is refreshed."""
    *_, account_id = world.connected()
    world.switch(world.gong, missing_scope_status=status)
    assert world.action(account_id, "gong_list_workspaces").status_code == status
    assert world.api.get(f"/accounts/{account_id}").json()["status"] == "active"
    assert "refreshes" not in world.effects(world.api)


def test_a_providers_429_becomes_408(world: Any) -> None:
    """Once the patience is over, with Retry-After."""
    *_, account_id = world.connected()
    world.switch(world.api, provider_retry_seconds=0)
    fault = {"match": "GET */v2/users", "kind": "status", "status": 429, "retry_after": 7}
    world.gong.post("/_twin/faults", json=fault)
    refused = world.action(account_id)
    assert (refused.status_code, refused.headers["retry-after"]) == (408, "7")


def test_stackones_address_can_be_told_from_ours(start: Any) -> None:
    """With an egress address of its own, StackOne passes trusted IPs where a probe from here does not."""
    with start(
        egress_ip="127.0.0.2", gong={"token_error_body": "ip_rejected", "ip_rejected_except": "127.0.0.2"}
    ) as world:
        integration, _, account_id = world.connected()
        path = f"/admin/ecosystem/api/integrations/{integration.id}/trusted-ips"
        world.post(path, access_token_ips="127.0.0.2", refresh_token_ips="127.0.0.2")
        world.switch(world.gong, enforce_trusted_ips=True)
        world.advance(hours=24)
        assert world.action(account_id).status_code == 200
        assert world.exchange(integration, "bogus").status_code == 403


def test_withdrawn_consent_needs_a_new_link(world: Any) -> None:
    """The probe would be fine while the account fails: reconnect, not rotate."""
    integration, _, account_id = world.connected()
    world.gong.post("/_twin/revoke")
    assert world.action(account_id).status_code == 401
    assert world.exchange(integration, "bogus").json()["error"] == "invalid_grant"
    assert world.link() == account_id
    assert world.action(account_id).status_code == 200
