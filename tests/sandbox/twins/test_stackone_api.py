from typing import Any

import httpx
import pytest


@pytest.fixture
def profile(world: Any) -> dict[str, Any]:
    """One profile, of a real integration."""
    world.sign_in()
    made: dict[str, Any] = world.create_profile(world.create_integration())
    return made


def test_the_key_is_the_user_name_and_the_password_is_empty(world: Any) -> None:
    """Anything else is 401 in StackOne's envelope."""
    for auth in (("wrong", ""), (world.api.auth._auth_header, ""), ("v1.local.test-key", "x"), None):
        answer = httpx.get(f"{world.stackone_url}/connector_profiles", auth=auth)
        assert answer.status_code == 401
        assert set(answer.json()) == {"statusCode", "message", "timestamp"}


def test_a_request_without_user_agent_is_forbidden(world: Any) -> None:
    """Even with the right key."""
    request = world.api.build_request("GET", "/connector_profiles")
    del request.headers["user-agent"]
    assert world.api.send(request).status_code == 403


def test_the_limit_per_minute_answers_429(world: Any) -> None:
    """With Retry-After in seconds, until the window has passed."""
    world.switch(world.api, calls_per_minute=2)
    answers = [world.api.get("/accounts") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    world.advance(minutes=1)
    assert world.api.get("/accounts").status_code == 200


def test_unknown_paths_answer_in_the_envelope(world: Any) -> None:
    """An unknown path and an unknown method look alike: 404, "Cannot ..."."""
    for method, path in (("GET", "/nothing"), ("PUT", "/accounts"), ("GET", "/connector_profiles/x")):
        answer = world.api.request(method, path)
        assert (answer.status_code, answer.json()["message"]) == (404, f"Cannot {method} {path}")


def test_profiles_come_in_numbered_pages(world: Any) -> None:
    """25 to a page unless asked otherwise; `total` counts all."""
    body = {"connector_key": "gong", "client_id": "i", "client_secret": "s"}
    for number in range(30):
        world.api.post("/connector_profiles", json=body | {"name": f"P{number}"}).raise_for_status()
    pages = [world.api.get("/connector_profiles", params={"page": page}).json() for page in (1, 2, 3)]
    assert [len(page["data"]) for page in pages] == [25, 5, 0]
    assert {page["total"] for page in pages} == {30}
    small = world.api.get("/auth_configs", params={"page": 4, "page_size": 8}).json()
    assert [profile["name"] for profile in small["data"]] == [f"P{number}" for number in range(24, 30)]
    assert world.api.get("/connector_profiles", params={"page": 0}).status_code == 400


def test_profiles_can_be_filtered(world: Any, profile: dict[str, Any]) -> None:
    """By connector_key and by enabled."""
    world.browser.post(f"{world.stackone_url}/dashboard/connector-profiles/{profile['id']}/disable")

    def found(**query: str) -> int:
        total: int = world.api.get("/connector_profiles", params=query).json()["total"]
        return total

    assert (found(connector_key="gong"), found(connector_key="slack")) == (1, 0)
    assert (found(enabled="true"), found(enabled="false"), found()) == (0, 1, 1)


def test_a_version_can_be_pinned(world: Any, profile: dict[str, Any]) -> None:
    """Pin, read, list, unpin; an unknown version is refused."""
    path = f"/connector_profiles/{profile['id']}"
    assert world.api.get(f"{path}/pinned_version").status_code == 404
    assert world.api.put(f"{path}/pinned_version", json={"pinned_version": "0.0.0"}).status_code == 400
    pinned = world.api.put(f"{path}/pinned_version", json={"pinned_version": "1.3.2"}).json()
    assert pinned["connector_profile_id"] == profile["id"]
    versions = world.api.get(f"{path}/versions").json()
    assert [each["version"] for each in versions if each["pinned"]] == ["1.3.2"]
    assert world.profiles()[0]["connector_pinned_version"] == "1.3.2"
    assert world.api.delete(f"{path}/pinned_version").status_code == 204
    assert "connector_pinned_version" not in world.profiles()[0]


def test_a_session_belongs_to_the_default_or_the_named_profile(world: Any, profile: dict[str, Any]) -> None:
    """The link is told once; reading the session later does not repeat it."""
    session = world.session(metadata={"key": "acme/prod"})
    assert isinstance(session["id"], int)
    assert session["connector_profile_id"] == profile["id"]
    read = world.api.get(f"/connect_sessions/{session['id']}").json()
    assert set(session) - set(read) == {"token", "auth_link_url"}
    assert "latest_connection_attempt" not in read
    by_token = world.api.post("/connect_sessions/authenticate", json={"token": session["token"]})
    assert by_token.json()["id"] == session["id"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"connector_profile_id": "nothing"}, 404),
        ({"provider": "slack"}, 404),
        ({"account_id": "nothing"}, 404),
        ({"provider_version": "1"}, 400),
        ({"origin_owner_id": None}, 400),
    ],
)
def test_sessions_that_make_no_sense_are_refused(
    world: Any, profile: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    """Unknown profile, provider and account, the deprecated field, a missing one."""
    assert profile["default"]
    body = {"origin_owner_id": "acme", "origin_owner_name": "Acme", "provider": "gong"} | change
    assert world.api.post("/connect_sessions", json=body).status_code == status


@pytest.mark.parametrize("shape", ["bare", "wrapped"])
def test_accounts_are_listed_in_either_shape(world: Any, shape: str) -> None:
    """A bare array as in the specification, or {"data": [...]} as in a guide; v2 tells the profile."""
    _, profile, account_id = world.connected()
    world.switch(world.api, account_list=shape)
    first, second = world.api.get("/accounts").json(), world.api.get("/v2/accounts").json()
    listed, listed_v2 = (first["data"], second["data"]) if shape == "wrapped" else (first, second)
    assert [account["id"] for account in listed] == [account_id]
    assert "connector_profile_id" not in listed[0]
    assert listed_v2[0]["connector_profile_id"] == profile["id"]


def test_accounts_can_be_filtered(world: Any) -> None:
    """By owner, status, provider, id and, in v2, profile, in any spelling of a list."""
    _, profile, account_id = world.connected()
    hits = ["providers[]=gong", "origin_owner_ids=other,acme", f"account_ids={account_id}", "status[]=active"]
    assert [len(world.api.get(f"/accounts?{query}").json()) for query in hits] == [1, 1, 1, 1]
    misses = ["providers=slack", "origin_owner_ids[]=other", "status=error"]
    assert [len(world.api.get(f"/accounts?{query}").json()) for query in misses] == [0, 0, 0]
    assert len(world.api.get(f"/v2/accounts?connector_profile_id={profile['id']}").json()) == 1
    assert world.api.get("/v2/accounts?connector_profile_id=other").json() == []


def test_an_account_can_be_moved_and_deleted(world: Any) -> None:
    """PATCH takes a profile of the project; DELETE answers the account."""
    integration, _, account_id = world.connected()
    other = world.create_profile(integration, name="Other")
    assert world.api.patch(f"/accounts/{account_id}", json={"connector_profile_id": "x"}).status_code == 404
    moved = world.api.patch(f"/accounts/{account_id}", json={"connector_profile_id": other["id"], "label": "L"})
    assert moved.json()["label"] == "L"
    assert world.api.get("/v2/accounts").json()[0]["connector_profile_id"] == other["id"]
    assert world.api.delete(f"/accounts/{account_id}").json()["id"] == account_id
    assert world.api.get(f"/accounts/{account_id}").status_code == 404


def test_actions_tell_the_scopes_they_need(world: Any) -> None:
    """With include=action_details; the least scopes of a choice of actions can be derived from them."""
    query = {"filter[connectors]": "gong", "include": "action_details"}
    (gong,) = world.api.get("/actions", params=query).json()["data"]
    scopes = {action["id"]: action["required_scopes"] for action in gong["actions"]}
    assert gong["key"] == "gong"
    assert scopes["list_users"] == ["api:users:read"]
    assert len(scopes) >= 10
    assert gong["authentication"][0]["required_scopes"] == ["api:users:read"]
    brief = world.api.get("/actions", params={"filter[connectors]": "gong"}).json()["data"][0]["actions"][0]
    assert "required_scopes" not in brief
