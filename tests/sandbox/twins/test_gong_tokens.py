from typing import Any

import pytest

CALLBACK = "https://api.stackone.com/connect/oauth2/gong/callback"


def bogus(world: Any, pair: tuple[str, str] | None, client_id: str = "any") -> Any:
    """What the credential probe sends."""
    return world.token(pair, grant_type="authorization_code", code="bogus", client_id=client_id, redirect_uri=CALLBACK)


def test_a_code_gives_tokens_and_the_customers_base_url(world: Any) -> None:
    """The exchange answers every documented field."""
    world.sign_in()
    made = world.create_integration()
    answer = world.exchange(made, world.code(made))
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {
        "access_token", "refresh_token", "expires_in", "scope", "token_type", "api_base_url_for_customer",
    }  # fmt: skip
    assert tokens["expires_in"] == 86400
    assert tokens["scope"] == "api:users:read"
    assert tokens["api_base_url_for_customer"].startswith(f"{world.gong_url}/customers/")


def test_parameters_may_come_in_the_query_string(world: Any) -> None:
    """Gong's documented form, an empty body, works like a form body."""
    world.sign_in()
    made = world.create_integration()
    query = {"grant_type": "authorization_code", "code": world.code(made)}
    query |= {"client_id": made.client_id, "redirect_uri": CALLBACK}
    assert world.gong.post("/oauth2/generate-customer-token", params=query, auth=made.pair).status_code == 200


def test_an_access_token_can_be_asked_to_live_shorter(world: Any) -> None:
    """validity_duration, in seconds, overrides the day."""
    world.sign_in()
    made = world.create_integration()
    first = world.exchange(made, world.code(made)).json()
    short = world.token(
        made.pair, grant_type="refresh_token", refresh_token=first["refresh_token"], validity_duration="60"
    )
    assert short.json()["expires_in"] == 60


def test_a_code_is_good_once_and_for_ten_minutes(world: Any) -> None:
    """A used and an old code are refused as invalid_grant."""
    world.sign_in()
    made = world.create_integration()
    code = world.code(made)
    assert world.exchange(made, code).status_code == 200
    assert world.exchange(made, code).json()["error"] == "invalid_grant"
    late = world.code(made)
    world.advance(minutes=10)
    assert world.exchange(made, late).json()["error"] == "invalid_grant"


def test_a_code_belongs_to_one_client(world: Any) -> None:
    """Another integration cannot exchange it, and it is not spent by the attempt."""
    world.sign_in()
    made, other = world.create_integration(), world.create_integration()
    code = world.code(made)
    assert world.exchange(other, code).json()["error"] == "invalid_grant"
    assert world.exchange(made, code).status_code == 200


def test_a_refresh_token_is_good_once(world: Any) -> None:
    """Each refresh returns a new one and kills the old."""
    world.sign_in()
    made = world.create_integration()
    first = world.exchange(made, world.code(made)).json()
    second = world.refresh(made, first["refresh_token"])
    assert second.status_code == 200
    refused = world.refresh(made, first["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert world.refresh(made, second.json()["refresh_token"]).status_code == 200
    assert world.effects(world.gong)["refreshes"] == 2


def test_a_wrong_grant_type_is_refused(world: Any) -> None:
    """It must not go unnoticed, as it did in one product for two months."""
    world.sign_in()
    made = world.create_integration()
    refused = world.token(made.pair, grant_type="refresh", refresh_token="x")
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")


def test_both_secrets_work_in_a_grace_and_only_the_new_one_after(world: Any) -> None:
    """The grace ends by the twin's clock, to the second."""
    world.sign_in()
    old = world.create_integration()
    new = world.rotate(old, grace_hours=2)
    assert new.client_id == old.client_id
    world.advance(hours=2, seconds=-30)
    assert bogus(world, old.pair, old.client_id).json()["error"] == "invalid_grant"
    assert bogus(world, new.pair, new.client_id).json()["error"] == "invalid_grant"
    world.advance(seconds=30)
    assert bogus(world, old.pair, old.client_id).json()["error"] == "invalid_client"
    assert bogus(world, new.pair, new.client_id).json()["error"] == "invalid_grant"


def test_a_grace_of_zero_revokes_at_once(world: Any) -> None:
    """With 0 hours the old secret is dead when the new one is shown."""
    world.sign_in()
    old = world.create_integration()
    world.rotate(old, grace_hours=0)
    assert bogus(world, old.pair, old.client_id).status_code == 401


def test_a_second_rotation_in_a_grace_kills_the_oldest(world: Any) -> None:
    """At most two secrets are active."""
    world.sign_in()
    first = world.create_integration()
    second = world.rotate(first, grace_hours=168)
    third = world.rotate(second, grace_hours=168)
    outcomes = [bogus(world, each.pair, each.client_id).status_code for each in (first, second, third)]
    assert outcomes == [401, 400, 400]


def test_an_old_secret_can_be_made_to_outlive_its_grace(start: Any) -> None:
    """An option produces the drift "retired secret still works"."""
    with start(gong={"end_graces": "false"}) as world:
        world.sign_in()
        old = world.create_integration()
        world.rotate(old, grace_hours=0)
        assert bogus(world, old.pair, old.client_id).status_code == 400


def test_access_and_refresh_tokens_survive_rotation(world: Any) -> None:
    """A green API call after a rotation proves nothing about the new secret."""
    world.sign_in()
    old = world.create_integration()
    tokens = world.exchange(old, world.code(old)).json()
    new = world.rotate(old, grace_hours=0)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert world.gong.get(f"{tokens['api_base_url_for_customer']}/v2/users", headers=headers).status_code == 200
    assert world.refresh(old, tokens["refresh_token"]).status_code == 401
    assert world.refresh(new, tokens["refresh_token"]).status_code == 200


SHAPES = {
    "oauth": {"right": (400, "invalid_grant"), "wrong": (401, "invalid_client"), "unknown": (401, "invalid_client")},
    "code_first": {"right": (400, "invalid_grant"), "wrong": (400, "invalid_grant"), "unknown": (400, "invalid_grant")},
    "gong_envelope": {
        "right": (400, "Authorization code is invalid"),
        "wrong": (401, "Client secret is invalid"),
        "unknown": (401, "OAuth client was not found"),
    },
    "text": {
        "right": (400, "Authorization code is invalid"),
        "wrong": (401, "Client secret is invalid"),
        "unknown": (401, "OAuth client was not found"),
    },
    "ip_rejected": {"right": (403, "not trusted"), "wrong": (403, "not trusted"), "unknown": (403, "not trusted")},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_refusal(world: Any, shape: str) -> None:
    """A bogus code with a right, a wrong and an unknown pair answers as the option says."""
    world.sign_in()
    made = world.create_integration()
    world.switch(world.gong, token_error_body=shape)
    pairs = {"right": made.pair, "wrong": (made.client_id, "nope"), "unknown": ("nobody", made.secret)}
    for name, (status, words) in SHAPES[shape].items():
        answer = bogus(world, pairs[name], made.client_id)
        assert (answer.status_code, words in answer.text) == (status, True), name
    is_json = answer.headers["content-type"] == "application/json"
    assert is_json == (shape != "text")
    assert ("errors" in answer.text) == (shape in ("gong_envelope", "ip_rejected"))


def test_code_first_still_refuses_a_wrong_secret_with_a_real_code(world: Any) -> None:
    """A looked-at code is not spent by somebody who cannot authenticate."""
    world.sign_in()
    made = world.create_integration()
    code = world.code(made)
    world.switch(world.gong, token_error_body="code_first")
    good = made.secret
    made.secret = "nope"
    assert world.exchange(made, code).json()["error"] == "invalid_client"
    made.secret = good
    assert world.exchange(made, code).status_code == 200


def test_no_basic_header_is_an_unknown_client(world: Any) -> None:
    """Credentials in the body do not count."""
    answer = bogus(world, None)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_trusted_ips_are_enforced_at_refresh_and_at_api_calls(world: Any) -> None:
    """The code's exchange is not on either list; refresh and API calls are."""
    world.sign_in()
    made = world.create_integration()
    world.switch(world.gong, enforce_trusted_ips=True)
    tokens = world.exchange(made, world.code(made)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    users = f"{tokens['api_base_url_for_customer']}/v2/users"
    assert world.gong.get(users, headers=headers).status_code == 403
    assert world.refresh(made, tokens["refresh_token"]).status_code == 403
    path = f"/admin/ecosystem/api/integrations/{made.id}/trusted-ips"
    world.post(path, access_token_ips="127.0.0.1", refresh_token_ips="127.0.0.0/8")
    assert world.gong.get(users, headers=headers).status_code == 200
    assert world.refresh(made, tokens["refresh_token"]).status_code == 200
