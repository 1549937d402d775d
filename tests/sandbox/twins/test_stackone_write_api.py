from typing import Any

import pytest

SECRET = "write-api-canary"


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema behind its references."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def body_schema(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    """The request schema of an operation."""
    content = document["paths"][path][method]["requestBody"]["content"]
    return resolved(document, content["application/json"]["schema"])


FIELDS = {
    "flat_snake": {"client_id": "the-id", "client_secret": SECRET},
    "flat_camel": {"clientId": "the-id", "clientSecret": SECRET},
    "nested": {"credentials": {"client_id": "the-id", "client_secret": SECRET}},
}


@pytest.mark.parametrize("names", FIELDS)
@pytest.mark.parametrize(("version", "path"), [("v1", "/connector_profiles"), ("v2", "/v2/connector_profiles")])
def test_what_the_document_offers_works(world: Any, names: str, version: str, path: str) -> None:
    """POST and PATCH take exactly the fields that the live document names; other spellings are refused."""
    world.switch(world.api, write_api=version, write_fields=names)
    document = world.api.get("/oas/stackone.json").json()
    offered = {
        name for name in document["paths"] if "connector_profiles" in name and "patch" in document["paths"][name]
    }
    assert offered == {path + "/{id}"}
    creation = body_schema(document, path, "post")
    assert set(FIELDS[names]) <= set(creation["required"])
    assert set(FIELDS[names]) <= set(body_schema(document, path + "/{id}", "patch")["properties"])

    made = world.api.post(path, json={"connector_key": "gong", "name": "N", **FIELDS[names]})
    assert made.status_code == 201
    patched = world.api.patch(f"{path}/{made.json()['id']}", json=FIELDS[names])
    assert patched.status_code == 200
    assert patched.json()["updated_at"] > made.json()["updated_at"]
    for other in FIELDS.keys() - {names}:
        assert world.api.post(path, json={"connector_key": "gong", "name": "N", **FIELDS[other]}).status_code == 400
        assert world.api.patch(f"{path}/{made.json()['id']}", json=FIELDS[other]).status_code == 400


@pytest.mark.parametrize(("version", "path"), [("off", "/connector_profiles"), ("v1", "/v2/connector_profiles")])
def test_what_the_document_does_not_offer_is_not_there(world: Any, version: str, path: str) -> None:
    """Neither in the document nor on the wire."""
    world.switch(world.api, write_api=version)
    document = world.api.get("/oas/stackone.json").json()
    assert "post" not in document["paths"].get(path, {})
    assert world.api.post(path, json={}).status_code == 404
    assert world.api.patch(f"{path}/x", json={}).status_code == 404
    assert "get" in document["paths"]["/connector_profiles"]


def test_an_unmappable_schema_names_no_credentials(world: Any) -> None:
    """POST and PATCH are there, but nobody could say where the secret goes."""
    world.switch(world.api, write_api="unmappable")
    document = world.api.get("/oas/stackone.json").json()
    names = str(body_schema(document, "/connector_profiles", "post")).lower()
    assert "settings" in names
    assert not any(word in names for word in ("client", "secret", "credential"))
    body = {"connector_key": "gong", "name": "N", **FIELDS["flat_snake"]}
    assert world.api.post("/connector_profiles", json=body).status_code == 400


def test_a_refusal_never_repeats_the_secret(world: Any) -> None:
    """A 400 names the fields, not their values."""
    answer = world.api.post("/connector_profiles", json={"client_secret": SECRET, "clientSecret": SECRET})
    assert answer.status_code == 400
    assert "connector_key" in answer.text
    assert SECRET not in answer.text


def test_profiles_never_return_credentials(world: Any) -> None:
    """Not at creation, change or listing, and not on the dashboard's pages."""
    body = {"connector_key": "gong", "name": "N", **FIELDS["flat_snake"]}
    made = world.api.post("/connector_profiles", json=body)
    path = f"/connector_profiles/{made.json()['id']}"
    changed = world.api.patch(path, json={"client_secret": SECRET})
    world.sign_in()
    pages = [world.stackone_url + "/dashboard" + path.replace("_", "-") + "/edit", world.stackone_url + "/dashboard"]
    answers = [made, changed, world.api.get("/connector_profiles"), *(world.browser.get(page) for page in pages)]
    for answer in answers:
        assert answer.is_success
        assert SECRET not in answer.text
        assert "the-id" not in answer.text


def test_every_post_makes_another_profile(world: Any) -> None:
    """There are no idempotency keys: a client must look before it creates."""
    body = {"connector_key": "gong", "name": "Same", **FIELDS["flat_snake"]}
    ids = {world.api.post("/connector_profiles", json=body).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert world.effects(world.api)["profiles_created"] == 2
