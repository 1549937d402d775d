import time
from typing import Any

import httpx
import pytest

BODY = {"connector_key": "gong", "name": "N", "client_id": "i", "client_secret": "s"}
LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def inject(client: httpx.Client, **fault: Any) -> None:
    """Add a fault."""
    client.post("/_twin/faults", json={"match": "POST /connector_profiles", **fault}).raise_for_status()


def created(world: Any) -> int:
    """How many profiles came to be."""
    count: int = world.effects(world.api).get("profiles_created", 0)
    return count


@pytest.mark.parametrize("after", [False, True])
def test_status_refuses_the_next_calls(world: Any, *, after: bool) -> None:
    """The next calls get the status, Retry-After and envelope; the next one passes. `after` lets the effect happen."""
    inject(world.api, kind="status", status=429, retry_after=2, count=2, after=after)
    answers = [world.api.post("/connector_profiles", json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 201]
    assert answers[0].headers["retry-after"] == "2"
    assert answers[0].json()["statusCode"] == 429
    assert created(world) == (3 if after else 1)


@pytest.mark.parametrize(("kind", "effects"), [("drop_before", 0), ("drop_after", 1)])
def test_drops_close_the_connection_without_a_byte(world: Any, kind: str, effects: int) -> None:
    """The client cannot tell a lost request from a lost response; the counters can."""
    inject(world.api, kind=kind)
    with pytest.raises(LOST):
        world.api.post("/connector_profiles", json=BODY)
    assert created(world) == effects
    assert world.api.post("/connector_profiles", json=BODY).status_code == 201


@pytest.mark.parametrize("after", [False, True])
def test_silence_outlasts_the_clients_patience(world: Any, *, after: bool) -> None:
    """Nothing comes for so many seconds; with `after` the effect has happened."""
    inject(world.api, kind="silence", seconds=30, after=after)
    with pytest.raises(httpx.ReadTimeout):
        world.api.post("/connector_profiles", json=BODY, timeout=0.2)
    assert created(world) == int(after)


def test_silence_ends_in_a_closed_connection(world: Any) -> None:
    """A patient client gets no answer either."""
    inject(world.api, kind="silence", seconds=0.1)
    began = time.monotonic()
    with pytest.raises(LOST):
        world.api.post("/connector_profiles", json=BODY)
    assert time.monotonic() - began >= 0.1
    assert created(world) == 0


def test_a_fault_hits_only_what_it_names(world: Any) -> None:
    """Method and path both count, wildcards work, and the query string plays no part."""
    inject(world.api, match="GET /connector_profiles/*/versions", kind="status", status=502)
    inject(world.api, match="GET /accounts", kind="status", status=503)
    assert world.api.get("/connector_profiles").status_code == 200
    assert world.api.get("/connector_profiles/x/versions").status_code == 502
    assert world.api.get("/accounts?page=1").status_code == 503
    assert world.effects(world.api)["faults_played"] == 2


def test_faults_can_be_seen_and_forgotten(world: Any) -> None:
    """GET lists what is to come, DELETE forgets it."""
    inject(world.api, kind="drop_before", count=5)
    assert world.api.get("/_twin/faults").json()[0]["count"] == 5
    assert world.api.delete("/_twin/faults").json() == []
    assert world.api.post("/connector_profiles", json=BODY).status_code == 201


def test_gongs_token_endpoint_can_lose_a_response(world: Any) -> None:
    """The refresh token is spent, its successor lost: only a new consent helps."""
    world.sign_in()
    made = world.create_integration()
    tokens = world.exchange(made, world.code(made)).json()
    inject(world.gong, match="POST /oauth2/generate-customer-token", kind="drop_after")
    with pytest.raises(LOST):
        world.refresh(made, tokens["refresh_token"])
    assert world.refresh(made, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_gongs_refusals_wear_its_envelope(world: Any) -> None:
    """A status fault at Gong looks like Gong."""
    inject(world.gong, match="GET /v2/*", kind="status", status=500)
    answer = world.gong.get("/v2/users")
    assert (answer.status_code, set(answer.json())) == (500, {"requestId", "errors"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"match": "X", "kind": "explode"}),
        ("faults", {"match": "X", "kind": "status", "statsu": 500}),
        ("options", {"write_api": "v9"}),
        ("options", {"wriet_api": "v1"}),
        ("clock", {"advance_seconds": "soon"}),
        ("clock", []),
    ],
)
def test_the_control_surface_refuses_what_it_does_not_know(world: Any, path: str, body: Any) -> None:
    """A typo in a test must not pass for a switch."""
    answer = world.api.post(f"/_twin/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
