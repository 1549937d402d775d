from __future__ import annotations

from typing import Any

import httpx
import pytest

from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.stackone.writers import ApiProfileWriter, AssistedProfileWriter, StackOneWriters
from keyturn.domain.credential import Credential
from keyturn.domain.profile import Profile, ProfileSpec
from keyturn.errors import AmbiguousError, ConfigurationError, UnavailableError, VendorRefusedError
from keyturn.ports import Written
from keyturn.settings import StackOneSettings

SPEC = ProfileSpec("keyturn acme/production", "gong", ("api:users:read", "api:calls:read:basic"), ("list_users",))
PAIR = Credential("client-id", "canary-secret")
FOUND = Profile("p/1", SPEC.name, "gong", active=True, default=False, created_at="", updated_at="")
OWN, CREATE, UPDATE = (
    "GET /oas/stackone.json",
    "POST /v2/connector_profiles",
    "PATCH /v2/connector_profiles/p/1",
)
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
CREDENTIALS = {"type": "object", "required": ["clientId", "clientSecret"]} | {
    "properties": {"clientId": TEXT, "clientSecret": TEXT}
}


def document(create: dict[str, Any], update: dict[str, Any] | None = None) -> dict[str, Any]:
    """A document that offers writing, with the given fields."""

    def operation(schema: dict[str, Any]) -> dict[str, Any]:
        return {"requestBody": {"content": {"application/json": {"schema": schema}}}}

    update = update or {"properties": {"credentials": CREDENTIALS}}
    return {
        "paths": {
            "/v2/connector_profiles": {"post": operation(create)},
            "/v2/connector_profiles/{id}": {"patch": operation(update)},
        }
    }


FULL = {
    "type": "object",
    "required": ["name", "connector_key", "credentials", "authentication_type"],
    "properties": {
        "name": TEXT,
        "connector_key": TEXT,
        "authentication_type": {"type": "string", "enum": ["api_key", "oauth2"]},
        "credentials": CREDENTIALS,
        "scopes": TEXTS,
        "actions": TEXTS,
        "default": {"type": "boolean"},
    },
}


@pytest.fixture
def writers(stackone: Any) -> Any:
    """Writers for given settings."""

    def make(**settings: Any) -> StackOneWriters:
        values = {"base_url": "https://twin.example", **settings}
        transport = stackone(**values)
        return StackOneWriters(StackOneSettings(**values), transport, StackOneHub(transport))

    return make


# --- choosing ---------------------------------------------------------------------------------------------------------


def test_assisted_asks_nobody(writers: Any, answers: Any) -> None:
    """The setting is enough."""
    writer, choice = writers(profile_writer="assisted").choose()
    assert (writer.name, choice.writer) == ("assisted", "assisted")
    assert "profile_writer" in choice.why
    assert answers.requests == []


def test_auto_uses_the_api_where_it_is_offered(writers: Any, answers: Any) -> None:
    """And says where it read that."""
    answers.table[OWN] = document(FULL)
    writer, choice = writers().choose()
    assert (type(writer), choice.writer) == (ApiProfileWriter, "api")
    assert "https://twin.example/oas/stackone.json offers POST /v2/connector_profiles" in choice.why


@pytest.mark.parametrize("found", [httpx.Response(404), document({"properties": {"name": TEXT}})])
def test_auto_leaves_it_to_a_person_where_it_is_not(writers: Any, answers: Any, found: Any) -> None:
    """With the reason."""
    answers.table[OWN] = found
    writer, choice = writers().choose()
    assert (type(writer), choice.writer) == (AssistedProfileWriter, "assisted")
    assert "https://twin.example/oas/stackone.json" in choice.why


@pytest.mark.parametrize("setting", ["auto", "api"])
def test_a_document_that_cannot_be_read_now_is_transient(writers: Any, answers: Any, setting: str) -> None:
    """Never guess."""
    answers.table[OWN] = httpx.Response(503)
    with pytest.raises(UnavailableError):
        writers(profile_writer=setting).choose()


def test_api_that_is_not_offered_is_a_wrong_setting(writers: Any) -> None:
    """It does not silently become something else."""
    with pytest.raises(ConfigurationError, match="KEYTURN_STACKONE__PROFILE_WRITER"):
        writers(profile_writer="api").choose()


# --- writing ----------------------------------------------------------------------------------------------------------


def test_assisted_writes_nothing(answers: Any) -> None:
    """A person does."""
    writer = AssistedProfileWriter()
    assert writer.create(SPEC, PAIR) is Written.BY_HAND
    assert writer.update(FOUND, SPEC, PAIR) is Written.BY_HAND
    assert answers.requests == []


def test_a_profile_is_created_with_all_that_the_schema_has(writers: Any, answers: Any) -> None:
    """Name, connector, way of authentication, pair, scopes and actions; nothing that is not ours to say."""
    answers.table |= {OWN: document(FULL), CREATE: httpx.Response(201, json={"id": "p1"})}
    writer, _ = writers().choose()
    assert writer.create(SPEC, PAIR) is Written.DONE
    assert answers.bodies("POST") == [
        {
            "name": "keyturn acme/production",
            "connector_key": "gong",
            "authentication_type": "oauth2",
            "credentials": {"clientId": "client-id", "clientSecret": "canary-secret"},
            "scopes": ["api:users:read", "api:calls:read:basic"],
            "actions": ["list_users"],
        }
    ]


def test_a_profile_is_updated_with_what_the_schema_has(writers: Any, answers: Any) -> None:
    """Its id goes into the path, and cannot lead out of it."""
    answers.table |= {OWN: document(FULL), UPDATE: httpx.Response(204)}
    writer, _ = writers().choose()
    assert writer.update(FOUND, SPEC, PAIR) is Written.DONE
    assert answers.bodies("PATCH") == [{"credentials": {"clientId": "client-id", "clientSecret": "canary-secret"}}]
    assert answers.requests[-1].url.raw_path == b"/v2/connector_profiles/p%2F1"


def test_scopes_may_be_one_text(writers: Any, answers: Any) -> None:
    """Separated by spaces, as OAuth writes them."""
    schema = {"properties": {"client_id": TEXT, "client_secret": TEXT, "scopes": TEXT}}
    answers.table |= {OWN: document(schema), CREATE: httpx.Response(201)}
    writers().choose()[0].create(SPEC, PAIR)
    assert answers.bodies("POST")[0]["scopes"] == "api:users:read api:calls:read:basic"


def test_a_list_of_objects_is_left_alone(writers: Any, answers: Any) -> None:
    """Texts would not fit in there."""
    actions = {"type": "array", "items": {"type": "object", "properties": {"id": TEXT}}}
    schema = {"properties": {"client_id": TEXT, "client_secret": TEXT, "actions": actions}}
    answers.table |= {OWN: document(schema), CREATE: httpx.Response(201)}
    writers().choose()[0].create(SPEC, PAIR)
    assert answers.bodies("POST") == [{"client_id": "client-id", "client_secret": "canary-secret"}]


KEYED = {
    "properties": {"client_id": TEXT, "client_secret": TEXT, "authentication_config_key": TEXT},
    "required": ["authentication_config_key"],
}


def test_stackones_own_key_for_oauth_is_looked_up(writers: Any, answers: Any) -> None:
    """Where the document does not count the values out, the connector's actions name them."""
    ways = [{"type": "custom", "label": "API key", "key": "k1"}, {"type": "x", "label": "OAuth 2.0", "key": "k2"}]
    answers.table |= {OWN: document(KEYED), CREATE: httpx.Response(201)}
    answers.table["GET /actions"] = {"data": [{"key": "gong", "authentication": ways}]}
    writers().choose()[0].create(SPEC, PAIR)
    assert answers.bodies("POST")[0]["authentication_config_key"] == "k2"


def test_a_needed_key_that_stackone_does_not_name_is_left_to_a_person(writers: Any, answers: Any) -> None:
    """It is not guessed."""
    answers.table |= {OWN: document(KEYED), "GET /actions": {"data": [{"key": "gong"}]}}
    _, choice = writers().choose()
    assert choice.writer == "assisted"
    assert "names no value for authentication_config_key" in choice.why


def test_a_manifest_that_lacks_something_needed_is_refused_before_sending(writers: Any, answers: Any) -> None:
    """Half a profile is not made."""
    schema = {"properties": {"client_id": TEXT, "client_secret": TEXT, "actions": TEXTS}, "required": ["actions"]}
    answers.table[OWN] = document(schema)
    writer, _ = writers().choose()
    with pytest.raises(VendorRefusedError, match="demands actions"):
        writer.create(ProfileSpec("n", "gong", (), ()), PAIR)
    assert answers.bodies("POST") == []


def test_a_refusal_does_not_repeat_the_secret(writers: Any, answers: Any) -> None:
    """A validation error may quote what was sent."""
    answers.table |= {OWN: document(FULL), CREATE: httpx.Response(422, json={"message": "canary-secret is short"})}
    writer, _ = writers().choose()
    with pytest.raises(VendorRefusedError, match="422") as caught:
        writer.create(SPEC, PAIR)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_lost_answer_is_ambiguous(writers: Any, answers: Any, status: int) -> None:
    """StackOne has no idempotency keys: the caller looks for the profile by its name."""
    answers.table |= {OWN: document(FULL), CREATE: httpx.Response(status)}
    writer, _ = writers().choose()
    with pytest.raises(AmbiguousError):
        writer.create(SPEC, PAIR)
    assert len(answers.bodies("POST")) == 1
