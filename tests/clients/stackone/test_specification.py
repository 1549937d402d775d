from __future__ import annotations

from typing import Any

import httpx
import pytest

from keyturn.clients.stackone.specification import PUBLIC_DOCUMENT, Offer, Specification, offer_of, places
from keyturn.errors import AmbiguousError, UnavailableError
from keyturn.settings import StackOneSettings

PAIR = {"client_id": {"type": "string"}, "client_secret": {"type": "string"}}
OWN = "GET /oas/stackone.json"


def operation(schema: Any, **more: Any) -> dict[str, Any]:
    """An operation that takes a JSON body."""
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}, **more}


def document(
    create: Any, update: Any = None, *, prefix: str = "", method: str = "patch", **components: Any
) -> dict[str, Any]:
    """A document with the read-only paths everybody knows, and writing ones."""
    update = create if update is None else update
    return {
        "openapi": "3.1.0",
        "paths": {
            "/connector_profiles/{id}/versions": {"get": {}},
            "/connector_profiles/{id}/pinned_version": {"get": {}, "put": operation({"properties": PAIR})},
            f"{prefix}/connector_profiles": {"get": {}, "post": operation(create)},
            f"{prefix}/connector_profiles/{{id}}": {
                "parameters": [{"in": "path", "name": "id", "required": True}],
                method: operation(update),
            },
        },
        "components": {"schemas": components},
    }


def offered(document: dict[str, Any]) -> Offer:
    """What a document offers."""
    return offer_of(document, "https://x/oas")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": PAIR},
        {"properties": {"clientId": {}, "clientSecret": {}}},
        {"properties": {"credentials": {"type": "object", "properties": PAIR}}, "required": ["credentials"]},
        {"properties": {"authentication": {"properties": {"credentials": {"properties": PAIR}}}}},
        {"$ref": "#/components/schemas/Profile"},
        {"allOf": [{"$ref": "#/components/schemas/Profile"}, {"properties": {"name": {"type": "string"}}}]},
        {"properties": {"credentials": {"$ref": "#/components/schemas/Profile"}}},
        {"properties": {"credentials": {"anyOf": [{"$ref": "#/components/schemas/Profile"}, {"type": "null"}]}}},
        {"properties": {"credentials": {"allOf": [{"properties": PAIR}, {"required": ["client_id"]}]}}},
    ],
)
@pytest.mark.parametrize("prefix", ["", "/v1", "/v2"])
@pytest.mark.parametrize("method", ["patch", "put"])
def test_writing_is_offered_where_the_pair_has_a_place(schema: Any, prefix: str, method: str) -> None:
    """At the top, nested, by reference and merged; in every version; by PATCH or PUT."""
    offer = offered(document(schema, prefix=prefix, method=method, Profile={"properties": PAIR}))
    assert str(offer.create) == f"POST {prefix}/connector_profiles"
    assert str(offer.update) == f"{method.upper()} {prefix}/connector_profiles/{{id}}"
    assert str(offer.create) in offer.why
    assert "https://x/oas" in offer.why


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"properties": {"name": {"type": "string"}}}, "no fields for client id and client secret"),
        ({"properties": {"client_id": {}}}, "no fields for client id and client secret"),
        ({"properties": {"a": {"properties": {"client_id": {}}}, "b": {"properties": {"client_secret": {}}}}}, "no fi"),
        ({"properties": {"credentials": {"type": "object"}}}, "no fields"),
        ({}, "no fields"),
        (None, "no fields"),
        ({"$ref": "https://elsewhere/schema"}, "no fields"),
        ({"$ref": "#/components/schemas/Missing"}, "no fields"),
        ({"oneOf": [{"properties": PAIR}, {"properties": {"api_key": {}}}]}, "no fields"),
        ({"properties": {**PAIR, "credentials": {"properties": PAIR}}}, "more than one place"),
        ({"properties": {**PAIR, "tenant": {"type": "string"}}, "required": ["tenant"]}, r"not have \(tenant\)"),
        (
            {"properties": {"credentials": {"properties": {**PAIR, "realm": {}}, "required": ["realm"]}}},
            r"not have \(credentials.realm\)",
        ),
        ({"properties": {**PAIR, "auth_type": {"enum": ["api_key"]}}, "required": ["auth_type"]}, r"\(auth_type\)"),
    ],
)
def test_writing_is_not_offered_where_it_would_be_guessed(schema: Any, why: str) -> None:
    """Both operations exist, but keyturn could not fill in their bodies."""
    offer = offered(document(schema))
    assert (offer.create, offer.update) == (None, None)
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(offer.why)


def test_what_is_required_in_an_object_that_stays_away_does_not_matter() -> None:
    """An optional object may have required fields of its own."""
    schema = {"properties": {**PAIR, "branding": {"properties": {"logo": {}}, "required": ["logo"]}}}
    assert offered(document(schema)).create


def test_a_required_parameter_that_nobody_knows_stands_in_the_way() -> None:
    """The body is not everything that a request can demand."""
    found = document({"properties": PAIR})
    found["paths"]["/connector_profiles"]["post"]["parameters"] = [
        {"in": "header", "name": "x-reason", "required": True},
        {"in": "query", "name": "dry_run"},
    ]
    assert "x-reason" in offered(found).why
    assert offered(found).create is None


def test_creating_without_updating_is_no_offer() -> None:
    """A rotation needs both."""
    found = document({"properties": PAIR})
    del found["paths"]["/connector_profiles/{id}"]
    assert "offers no way to create and update" in offered(found).why


def test_creating_in_one_version_and_updating_in_another_is_no_offer() -> None:
    """The two need not be about the same thing."""
    found = document({"properties": PAIR}, prefix="/v2")
    found["paths"]["/connector_profiles/{id}"] = found["paths"].pop("/v2/connector_profiles/{id}")
    assert offered(found).create is None


def test_of_two_versions_the_newer_one_is_used() -> None:
    """Older ones tend to go."""
    found = document({"properties": PAIR}, prefix="/v1")
    found["paths"] |= document({"properties": PAIR}, prefix="/v2")["paths"]
    assert str(offered(found).create) == "POST /v2/connector_profiles"


def test_a_path_that_only_looks_alike_is_no_offer() -> None:
    """The secret goes to the profiles and nowhere else."""
    for prefix in ("/v3", "/unified", "https://elsewhere", "/v1/../x"):
        assert offered(document({"properties": PAIR}, prefix=prefix)).create is None


def test_a_schema_that_contains_itself_ends() -> None:
    """Recursion is cut off, and what is above it still counts."""
    node = {"properties": {**PAIR, "parent": {"$ref": "#/components/schemas/Node"}}}
    loop = {"$ref": "#/components/schemas/Loop"}
    assert "more than one place" in offered(document({"$ref": "#/components/schemas/Node"}, Node=node)).why
    assert offered(document(loop, Loop=loop)).create is None


@pytest.mark.parametrize("paths", [{"/connector_profiles": None}, {"/connector_profiles": {"post": []}}, {"x": 3}])
def test_a_malformed_document_is_no_offer(paths: Any) -> None:
    """Nobody promises that it is well formed."""
    assert offered({"paths": paths}).create is None
    assert offered(document({"properties": [], "required": 3, "allOf": {}, "enum": 1})).create is None


# --- where the document is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["https://api.stackone.com/oas/stackone.json", PUBLIC_DOCUMENT]),
        ({"base_url": "https://api.eu1.stackone.com/"}, [PUBLIC_DOCUMENT]),
        ({"base_url": "http://127.0.0.1:8123"}, ["http://127.0.0.1:8123/oas/stackone.json"]),
        ({"base_url": "https://stackone.com.evil.example"}, ["https://stackone.com.evil.example/oas/stackone.json"]),
        ({"base_url": "https://notstackone.com"}, ["https://notstackone.com/oas/stackone.json"]),
        ({"spec_url": "https://mirror.example/oas"}, ["https://mirror.example/oas"]),
    ],
)
def test_where_the_document_is_looked_for(settings: Any, expected: list[str]) -> None:
    """StackOne's public document speaks for StackOne's own hosts only."""
    assert places(StackOneSettings(**settings)) == expected


def specification(stackone: Any, **settings: Any) -> Specification:
    """A reader for a server that is not StackOne's own."""
    values = {"base_url": "https://twin.example", **settings}
    return Specification(StackOneSettings(**values), stackone(**values))


def test_the_document_is_read_without_the_key(stackone: Any, answers: Any) -> None:
    """It is public, and it may be anywhere."""
    answers.table[OWN] = document({"properties": PAIR})
    assert specification(stackone).offer().create
    assert "Authorization" not in answers.requests[0].headers


@pytest.mark.parametrize(
    "missing", [httpx.Response(404), httpx.Response(302), httpx.Response(200, html="<app>"), {"no": "paths"}]
)
def test_no_document_anywhere_is_a_no(stackone: Any, answers: Any, missing: Any) -> None:
    """What is not there does not come by waiting."""
    answers.table[OWN] = missing
    offer = specification(stackone, base_url="https://api.us1.stackone.com").offer()
    assert offer.create is None
    assert "no OpenAPI document is offered at https://api.us1.stackone.com/oas/stackone.json" in offer.why
    assert len(answers.requests) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_document_that_cannot_be_read_now_is_not_taken_for_a_no(stackone: Any, answers: Any, status: int) -> None:
    """A StackOne in trouble must not turn an automatic journey into a manual one."""
    answers.table[OWN] = httpx.Response(status)
    with pytest.raises(UnavailableError) as caught:
        specification(stackone).offer()
    assert not isinstance(caught.value, AmbiguousError)
