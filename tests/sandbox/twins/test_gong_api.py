from typing import Any

import httpx
import pytest


@pytest.fixture
def tokens(world: Any) -> dict[str, Any]:
    """Tokens with the scope for users only."""
    world.sign_in()
    made = world.create_integration()
    answer: dict[str, Any] = world.exchange(made, world.code(made)).json()
    return answer


def call(world: Any, tokens: dict[str, Any], path: str = "/v2/users", **query: str) -> httpx.Response:
    """An API call at the customer's base URL."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer: httpx.Response = world.gong.get(tokens["api_base_url_for_customer"] + path, params=query, headers=headers)
    return answer


def test_users_come_in_pages_by_cursor(world: Any, tokens: dict[str, Any]) -> None:
    """Following the cursor gives every user once; the last page has none."""
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        body = call(world, tokens, **query).json()
        assert body["requestId"]
        assert body["records"]["totalRecords"] == 230
        assert body["records"]["currentPageSize"] == len(body["users"])
        seen += [user["id"] for user in body["users"]]
        if "cursor" not in body["records"]:
            break
        query = {"cursor": body["records"]["cursor"]}
    assert len(seen) == len(set(seen)) == 230


def test_a_made_up_cursor_is_refused(world: Any, tokens: dict[str, Any]) -> None:
    """With Gong's envelope."""
    answer = call(world, tokens, cursor="made-up")
    assert answer.status_code == 400
    assert set(answer.json()) == {"requestId", "errors"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_scope_is_refused_with_either_status(world: Any, tokens: dict[str, Any], status: int) -> None:
    """401 has been seen, 403 is declared; the option chooses."""
    world.switch(world.gong, missing_scope_status=status)
    assert call(world, tokens, "/v2/workspaces").status_code == status


@pytest.mark.parametrize(("answer", "status"), [("forbidden", 403), ("revoked", 401)])
def test_calls_anywhere_but_at_the_base_url_fail(world: Any, tokens: dict[str, Any], answer: str, status: int) -> None:
    """The bare host and another customer's URL answer what misled others."""
    world.switch(world.gong, wrong_host=answer)
    for base in (world.gong_url, f"{world.gong_url}/customers/us-1"):
        refused = call(world, tokens | {"api_base_url_for_customer": base})
        assert refused.status_code == status
        assert ("has been revoked" in refused.text) == (answer == "revoked")


def test_a_token_ends_after_a_day(world: Any, tokens: dict[str, Any]) -> None:
    """By the twin's clock."""
    world.advance(hours=24)
    assert call(world, tokens).status_code == 401


def test_the_fourth_call_in_a_second_waits(start: Any) -> None:
    """3 calls a second per company, shared by all its integrations; Retry-After says how long."""
    with start() as world:
        world.sign_in()
        first, second = world.create_integration(), world.create_integration()
        both = [world.exchange(made, world.code(made)).json() for made in (first, second)]
        answers = [call(world, both[number % 2]) for number in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["retry-after"] == "1"
        world.advance(seconds=1)
        assert call(world, both[0]).status_code == 200


def test_the_day_has_a_limit_too(world: Any, tokens: dict[str, Any]) -> None:
    """Its Retry-After is about a day."""
    world.switch(world.gong, calls_per_day=2)
    answers = [call(world, tokens) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 86_000 < int(answers[-1].headers["retry-after"]) <= 86_400


def test_withdrawn_consent_kills_all_tokens(world: Any, tokens: dict[str, Any]) -> None:
    """POST /_twin/revoke is what a customer might do at any time."""
    world.gong.post("/_twin/revoke").raise_for_status()
    assert call(world, tokens).status_code == 401
