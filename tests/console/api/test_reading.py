from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from starlette.testclient import TestClient

from keyturn.domain.attempt import Stage
from keyturn.services.evidence import check, published
from tests.console.api.conftest import API, Caller, problem
from tests.console.conftest import Console
from tests.services.world import World

Callers = Callable[..., Caller]


def test_who_one_is(caller: Callers) -> None:
    """A Vault token is asked about at Vault; the groups are those of its policies."""
    said = caller("alice").read("/me")
    assert (said["name"], said["groups"]) == ("userpass-alice", ["operator", "person", "requester"])
    assert said["id"].startswith("vault:entity/")
    assert said["signed_in"] == "vault token (userpass)"


def test_where_to_sign_in(console: Console, world: World) -> None:
    """Anybody may ask where a token comes from; no provider set up means none is told."""
    said = console.nobody().get(f"{API}/sign-in").json()
    assert said == {"issuer": None, "client_id": None, "vault_addr": str(world.ports.settings.vault.addr)}


def test_an_integration_that_waits(world: World, caller: Callers) -> None:
    """One answer says how far it got, what is asked, and all attempts; Prefect is asked only if that is wanted."""
    gate = world.to_approval()
    said = caller("vera", "viewer").one()
    assert (said["key"], said["kind"], said["state"]) == (str(world.key), "onboarding", "active")
    assert [stage["status"] for stage in said["stages"]][:3] == ["done", "waiting", "later"]
    assert [(g["id"], g["kind"]) for g in said["gates"]] == [(str(gate.id), "approve")]
    assert [a["attempt"] for a in said["attempts"]] == [said["attempt"]]
    assert (said["listed"]["stands"], said["listed"]["health"]) == ("waiting", "never checked")
    assert said["listed"]["waiting"][0]["gate"] == str(gate.id)
    assert said["run"] is None
    assert caller("vera", "viewer").one(run=True)["run"] == "suspended"


def test_an_integration_that_never_was(world: World, caller: Callers) -> None:
    """It is told as what it is, so that a command can say so."""
    said = caller("vera", "viewer").one()
    assert (said["attempt"], said["attempts"], said["listed"], said["gates"]) == (None, [], None, [])
    assert {stage["status"] for stage in said["stages"]} == {"later"}
    assert caller("vera", "viewer").read("/integrations", text=str(world.key))["items"] == []


def test_a_list_is_read_page_by_page(new_world: Callable[..., World], calling: Callable[[World], Callers]) -> None:
    """`next` and the `Link` header lead from page to page, and every integration is on exactly one of them."""
    worlds = [new_world() for _ in range(3)]
    for world in worlds:
        world.to_approval()
    viewer, keys = calling(worlds[0])("vera", "viewer"), []
    path, query = f"{API}/integrations", {"sort": "key", "limit": "2", "state": "waiting", "group": "approver"}
    answer = viewer.client.get(path, params=query)
    while True:
        page = answer.json()
        keys += [item["key"] for item in page["items"]]
        assert bool(page["next"]) is ("next" in answer.links)
        if not page["next"]:
            break
        assert page["next"] in answer.links["next"]["url"]
        answer = viewer.client.get(answer.links["next"]["url"])
    assert {str(world.key) for world in worlds} <= {*keys}
    assert len(keys) == len({*keys})
    assert keys == sorted(keys)


def test_what_a_list_holds_can_be_said(world: World, caller: Callers) -> None:
    """Text, state, health and group restrict it; a made-up `after` is a mistake of the caller's."""
    world.to_approval()
    viewer, mine = caller("vera", "viewer"), {"text": str(world.key)}
    assert [i["key"] for i in viewer.read("/integrations", **mine)["items"]] == [str(world.key)]
    for other in ({"state": "halted"}, {"health": "ok"}, {"group": "gong_admin"}, {"cause": "profile_gone"}):
        assert viewer.read("/integrations", **mine, **other)["items"] == []
    assert problem(viewer.get("/integrations", params={"after": "nonsense"}), 400)["title"] == "ConfigurationError"
    assert problem(viewer.get("/integrations", params={"limit": "201"}), 422)["detail"].startswith("query.limit: ")


def test_gates_of_a_group(world: World, caller: Callers) -> None:
    """The open ones are listed, restricted to an integration or to who is asked."""
    gate, viewer = world.to_approval(), caller("vera", "viewer")
    (said,) = viewer.read("/gates", key=str(world.key))
    assert (said["id"], said["digest"], said["groups"]) == (str(gate.id), gate.digest, ["approver"])
    assert said["waits_for"] == f"1 approval by one of approver: keyturn approve {world.key}"
    assert str(gate.id) in {g["id"] for g in viewer.read("/gates", group="approver")}
    assert viewer.read("/gates", key=str(world.key), group="gong_admin") == []


def test_a_gate_brings_its_kit(world: World, caller: Callers) -> None:
    """What is to be approved, and later to be filled in, comes with it; a decided gate says who decided."""
    gate, viewer = world.to_approval(), caller("vera", "viewer")
    asked = viewer.read(f"/gates/{gate.id}")
    assert asked["kit"]["digest"] == asked["digest"] == gate.digest
    assert asked["kit"]["steps"][2]["fields"][0]["values"] == ["api:users:read"]
    world.approve(note="looked at it")
    said = viewer.read(f"/gates/{gate.id}")
    assert (said["state"], said["decisions"][0]["name"]) == ("approved", "userpass-bob")
    assert said["decisions"][0]["note"] == "looked at it"


def test_an_attempt_with_its_receipts(world: World, caller: Callers) -> None:
    """Receipts tell what was found and made, and no secret; gates are those of the attempt, closed ones too."""
    pair = world.stored()
    attempt = world.attempt
    answer = caller("vera", "viewer").get(f"/attempts/{attempt.id}")
    said = answer.json()
    assert [receipt["stage"] for receipt in said["receipts"]][-1] == Stage.STORE_SECRET
    assert [gate["state"] for gate in said["gates"]] == ["approved", "approved"]
    assert pair.client_secret not in answer.text


def test_what_is_not_there(caller: Callers) -> None:
    """An id that is nobody's is 404, and what is no id is 422; both say what to do."""
    operator = caller("olga", "operator")
    for path in (f"/gates/{uuid4()}", f"/attempts/{uuid4()}", f"/attempts/{uuid4()}/evidence", "/nothing"):
        said = problem(operator.get(path), 404)
        assert (said["title"], bool(said["remedy"])) == ("NotFoundError", True)
    assert problem(operator.get("/gates/17"), 422)["title"] == "ConfigurationError"


def test_evidence_is_a_signed_file(world: World, caller: Callers) -> None:
    """It is what `keyturn evidence` makes: the public key alone checks it."""
    world.to_approval()
    answer = caller("olga", "operator").get(f"/attempts/{world.attempt.id}/evidence")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jose")
    found = check(answer.content, published(world.ports.signer.public_keys()))
    assert found.payload["attempt"]["id"] == str(world.attempt.id)
    assert problem(caller("vera", "viewer").get(f"/attempts/{world.attempt.id}/evidence"), 403)


def test_the_plan_of_an_onboarding(filed: World, calling: Callable[[World], Callers]) -> None:
    """It is made from the console's manifest, with the kit; its files come only if they are wanted."""
    viewer = calling(filed)("vera", "viewer")
    said = viewer.one("/plan")
    assert said["kit"]["digest"] == said["digest"]
    assert (said["found"][0], said["files"]) == ({"about": "ledger", "known": True, "says": "never onboarded"}, None)
    files = viewer.one("/plan", files=True)["files"]
    assert files["markdown"].startswith("# Kit for")
    assert files["logo_small"].startswith("iVBOR")


def test_the_plan_stands_without_stackone(new_world: Callable[..., World], calling: Callable[[World], Callers]) -> None:
    """Without a manifest there is no plan; one of a rotation needs an onboarding that was completed."""
    world = new_world()
    viewer = calling(world)("vera", "viewer")
    assert problem(viewer.get(f"/integrations/{world.key}/plan"), 400)["title"] == "ManifestError"
    refused = problem(viewer.get(f"/integrations/{world.key}/plan", params={"rotation": "true"}), 409)
    assert refused["detail"] == "it was never onboarded to its end"
    world.completed()
    steps = viewer.one("/plan", rotation=True, compromised=True)["steps"]
    assert "ask nobody: the secret is compromised" in steps
    assert "ask 1 of approver to approve" in viewer.one("/plan", rotation=True)["steps"]


def test_health_and_what_is_due(world: World, caller: Callers) -> None:
    """What the watch saw is told look by look, and the sweep's plan names every integration."""
    world.completed()
    operator = caller("olga", "operator")
    before = operator.one("/health")
    assert (before["health"], before["observations"], before["raised"]) == ("never checked", [], [])
    operator.done("check")
    after = operator.one("/health")
    assert {look["subject"] for look in after["observations"]} >= {"pair", "profile", "accounts"}
    assert after["checked_at"] is not None
    mine = [entry for entry in operator.read("/rotations/due") if entry["key"] == str(world.key)]
    assert [entry["what"] for entry in mine] == ["not_due"]


def test_nobody_reads_without_a_token(console: Console) -> None:
    """A page's cookie is none, a token of nobody's is none; the answer says which scheme is wanted."""
    client: TestClient = console.nobody()
    for headers in ({}, {"authorization": "Bearer s.nobody"}, {"authorization": "Basic YTpi"}):
        answer = client.get(f"{API}/me", headers=headers)
        assert problem(answer, 401)["title"] == "NotSignedInError"
        assert answer.headers["www-authenticate"] == "Bearer"
