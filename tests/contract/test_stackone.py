"""What keyturn relies on at StackOne, asked of the twin and, with an API key in the environment, of StackOne.

`KEYTURN_CONTRACT_STACKONE_API_KEY` (and `KEYTURN_CONTRACT_STACKONE_BASE_URL`): everything that only reads.
`KEYTURN_CONTRACT_STACKONE_ACCOUNT_ID`: one live `list_users` call through that linked Gong account.
`KEYTURN_CONTRACT_STACKONE_PROFILE_ID`: opts in to one write: a connect session of 60 s that nobody follows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from keyturn.clients.answer import Call
from keyturn.clients.clock import SystemClock
from keyturn.clients.stackone.connection import connect
from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.stackone.writers import StackOneWriters
from keyturn.clients.transport import Transport
from keyturn.domain.credential import Credential
from keyturn.domain.profile import AccountSpec, LinkStatus, ProfileSpec, matching
from keyturn.errors import AmbiguousError, RateLimitedError, UnavailableError, VendorRefusedError
from keyturn.ports import Written
from keyturn.settings import StackOneSettings

ACCOUNT = AccountSpec("keyturn-contract", "keyturn contract test", "", "keyturn contract test")
SPEC = ProfileSpec("keyturn contract/test", "gong", ("api:users:read",), ())
PREFIX = "KEYTURN_CONTRACT_STACKONE_"


@dataclass
class Party:
    """StackOne, or what stands for it."""

    settings: StackOneSettings
    transport: Transport
    twins: Any = None

    @property
    def hub(self) -> StackOneHub:
        """As wired."""
        return StackOneHub(self.transport)

    @property
    def writers(self) -> StackOneWriters:
        """As wired."""
        return StackOneWriters(self.settings, self.transport, self.hub)


@pytest.fixture(params=["twin", "vendor"])
def party(request: pytest.FixtureRequest) -> Iterator[Party]:
    """The twin, then StackOne."""
    twins = request.getfixturevalue("twins") if request.param == "twin" else None
    settings = _vendor() if twins is None else _twin(twins)
    with connect(settings, SystemClock()) as transport:
        yield Party(settings, transport, twins)


@pytest.fixture
def twin(twins: Any) -> Iterator[Party]:
    """The twin alone, for what nobody does to a vendor."""
    settings = _twin(twins)
    with connect(settings, SystemClock()) as transport:
        yield Party(settings, transport, twins)


def _vendor() -> StackOneSettings:
    key = os.environ.get(f"{PREFIX}API_KEY", "")
    if not key:  # the real StackOne, which only who has a project there can ask
        pytest.skip(f"{PREFIX}API_KEY is not set")
    url = os.environ.get(f"{PREFIX}BASE_URL", "https://api.stackone.com")
    return StackOneSettings(api_key=SecretStr(key), base_url=url)


def _twin(twins: Any) -> StackOneSettings:
    twins.profile(twins.integration())
    return StackOneSettings(api_key=SecretStr(twins.api_key), base_url=twins.stackone)


# --- reading, of both -------------------------------------------------------------------------------------------------


def test_profiles_are_gongs_and_each_comes_once(party: Party) -> None:
    """However they are paged."""
    profiles = party.hub.profiles("gong")
    assert all(p.connector == "gong" and p.id and p.name for p in profiles)
    assert len({p.id for p in profiles}) == len(profiles)


def test_a_profile_shows_when_it_was_edited_and_no_credentials(party: Party) -> None:
    """`updated_at` is all there is to see a hand edit by."""
    rows = party.transport.fetch(Call("GET", "/connector_profiles", {"connector_key": "gong"})).json()
    assert isinstance(rows, dict)
    for row in rows["data"]:
        assert row["updated_at"]
        assert not {"client_id", "client_secret", "credentials"} & row.keys()


def test_gong_has_an_action_that_lists_users_and_needs_its_scope(party: Party) -> None:
    """The live call and the derived scopes stand on this."""
    users = [a for a in party.hub.actions("gong") if a.id.removeprefix("gong_") == "list_users"]
    assert ["api:users:read" in a.required_scopes for a in users] == [True]


def test_accounts_are_told_by_profile(party: Party) -> None:
    """Through /v2/accounts."""
    for profile in party.hub.profiles("gong"):
        assert all(a.id and a.status for a in party.hub.accounts(profile.id))


@pytest.mark.parametrize("path", ["/accounts/keyturn-contract-none", "/connect_sessions/999999999999"])
def test_what_does_not_exist_is_a_definite_no(party: Party, path: str) -> None:
    """And not an outage."""
    with pytest.raises(VendorRefusedError):
        party.transport.fetch(Call("GET", path))


def test_a_wrong_key_is_a_definite_no_that_helps(party: Party) -> None:
    """401, and which setting to look at."""
    wrong = party.settings.model_copy(update={"api_key": SecretStr("v1.eu1.keyturn-contract-wrong")})
    with connect(wrong, SystemClock()) as transport, pytest.raises(VendorRefusedError) as caught:
        StackOneHub(transport).profiles("gong")
    assert "KEYTURN_STACKONE__API_KEY" in caught.value.remedy
    assert "contract-wrong" not in str(caught.value)


def test_it_is_known_which_writer_to_use(party: Party) -> None:
    """From the live document, with the reason."""
    writer, choice = party.writers.choose()
    assert writer.name == choice.writer
    assert "stackone.json" in choice.why


def test_a_live_call_is_counted_and_forgotten(party: Party) -> None:
    """Reads one page of users through a linked account."""
    account_id = os.environ.get(f"{PREFIX}ACCOUNT_ID", "") if party.twins is None else _linked(party)
    if not account_id:  # the same: an account that is linked there
        pytest.skip(f"{PREFIX}ACCOUNT_ID is not set")
    assert party.hub.account(account_id).status == "active"
    call = party.hub.list_users(account_id)
    assert (call.ok, call.status) == (True, 200)
    assert call.count


# --- one write, of the vendor only when opted in ----------------------------------------------------------------------


def test_a_connect_session_is_pending_until_somebody_consents(party: Party) -> None:
    """WRITES: makes a connect session for the profile that the environment names."""
    named = os.environ.get(f"{PREFIX}PROFILE_ID", "")
    profile_id = named if party.twins is None else party.hub.profiles("gong")[0].id
    if not profile_id:  # the same: a profile that may get a session
        pytest.skip(f"{PREFIX}PROFILE_ID is not set")
    session = party.hub.create_session(profile_id, ACCOUNT, 60)
    assert session.auth_link.startswith("http")
    again = party.hub.session(session.id)
    assert (again.status, again.account_id, again.auth_link) == (LinkStatus.PENDING, "", "")


# --- the whole way, of the twin alone ---------------------------------------------------------------------------------


def _linked(party: Party) -> str:
    session = party.hub.create_session(party.hub.profiles("gong")[0].id, ACCOUNT, 600)
    party.twins.consent(session.auth_link)
    return party.hub.session(session.id).account_id


def test_consent_gives_an_account_of_that_profile(twin: Party) -> None:
    """The session names it, and the profile's accounts have it."""
    account_id = _linked(twin)
    profile = twin.hub.profiles("gong")[0]
    assert [a.id for a in twin.hub.accounts(profile.id)] == [account_id]
    assert twin.hub.accounts("another-profile") == []


def test_a_declined_consent_is_no_success(twin: Party) -> None:
    """The person learns that it did not work."""
    session = twin.hub.create_session(twin.hub.profiles("gong")[0].id, ACCOUNT, 600)
    twin.twins.consent(session.auth_link, "deny")
    ended = twin.hub.session(session.id)
    assert ended.status in {LinkStatus.ERROR, LinkStatus.CANCELLED}
    assert ended.account_id == ""


def test_many_profiles_are_all_seen(twin: Party) -> None:
    """More than two pages of them."""
    pair = twin.twins.integration()
    for number in range(55):
        twin.twins.profile(pair, f"Gong {number}")
    assert len(twin.hub.profiles("gong")) == 56


def test_a_disabled_profile_is_seen_and_its_accounts_do_not_work(twin: Party) -> None:
    """412 is evidence, not an exception."""
    account_id, profile = _linked(twin), twin.hub.profiles("gong")[0]
    twin.twins.browser.post(f"{twin.twins.stackone}/dashboard/connector-profiles/{profile.id}/disable")
    assert [p.active for p in twin.hub.profiles("gong")] == [False]
    call = twin.hub.list_users(account_id)
    assert (call.ok, call.status) == (False, 412)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("fields", ["flat_snake", "flat_camel", "nested"])
def test_a_profile_is_written_by_api_and_works(twin: Party, version: str, fields: str) -> None:
    """Created with a wrong pair and updated with the right one: only then a person's consent gives an account."""
    twin.twins.switch(twin.twins.stackone, write_api=version, write_fields=fields)
    writer, choice = twin.writers.choose()
    assert choice.writer == "api", choice.why
    right = twin.twins.integration()
    assert writer.create(SPEC, Credential(right.client_id, "not-the-secret")) is Written.DONE
    [made] = matching(twin.hub.profiles("gong"), SPEC)
    assert writer.update(made, SPEC, right) is Written.DONE
    [updated] = matching(twin.hub.profiles("gong"), SPEC)
    assert (updated.id, updated.updated_at != made.updated_at) == (made.id, True)
    session = twin.hub.create_session(made.id, ACCOUNT, 600)
    twin.twins.consent(session.auth_link)
    assert twin.hub.list_users(twin.hub.session(session.id).account_id).ok


@pytest.mark.parametrize("offered", ["off", "unmappable"])
def test_what_is_not_offered_is_left_to_a_person(twin: Party, offered: str) -> None:
    """Never guessed."""
    twin.twins.switch(twin.twins.stackone, write_api=offered)
    writer, _ = twin.writers.choose()
    assert writer.create(SPEC, Credential("id", "secret")) is Written.BY_HAND
    assert matching(twin.hub.profiles("gong"), SPEC) == []


def test_a_response_that_is_lost_after_the_effect_is_ambiguous_and_found_by_name(twin: Party) -> None:
    """The caller looks, and finds one."""
    writer, _ = twin.writers.choose()
    twin.twins.fault(match="POST /connector_profiles", kind="drop_after")
    with pytest.raises(AmbiguousError):
        writer.create(SPEC, Credential("id", "secret"))
    assert len(matching(twin.hub.profiles("gong"), SPEC)) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 429, "retry_after": 1}, RateLimitedError),
        ({"kind": "status", "status": 503}, UnavailableError),
        ({"kind": "drop_before"}, UnavailableError),
    ],
)
def test_trouble_while_reading_passes(twin: Party, fault: dict[str, Any], kind: type[Exception]) -> None:
    """The next try succeeds, after what Retry-After asked for."""
    twin.twins.fault(match="GET /connector_profiles", **fault)
    hub = twin.hub
    with pytest.raises(kind):
        hub.profiles("gong")
    assert len(hub.profiles("gong")) == 1
