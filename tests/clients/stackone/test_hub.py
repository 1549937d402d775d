from __future__ import annotations

from typing import Any

import httpx
import pytest

from keyturn.clients.stackone.hub import StackOneHub
from keyturn.clients.stackone.paging import MOST_PAGES
from keyturn.domain.profile import AccountSpec, LinkStatus
from keyturn.errors import AmbiguousError, RateLimitedError, UnavailableError, VendorRefusedError

ACTIONS = {
    "data": [
        {"key": "hubspot", "name": "HubSpot", "actions": [{"id": "list_users", "label": "x"}]},
        {
            "key": "gong",
            "name": "Gong",
            "authentication": [{"type": "oauth2", "label": "OAuth 2.0", "key": "oauth2", "required_scopes": None}],
            "actions": [
                {"id": "list_calls", "label": "List calls", "required_scopes": ["api:calls:read:basic"]},
                {"id": "list_users", "label": None, "required_scopes": ["api:users:read"]},
                {"id": "ping"},
            ],
        },
    ]
}
RPC = "POST /actions/rpc"


def profile(number: int, **more: Any) -> dict[str, Any]:
    """A profile as StackOne shows it."""
    return {
        "id": f"p{number}",
        "name": f"Profile {number}",
        "connector_key": "gong",
        "connector_label": "Gong",
        "active": True,
        "default": False,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": None,
        **more,
    }


def account(number: int, **more: Any) -> dict[str, Any]:
    """A linked account as StackOne shows it."""
    return {
        "id": f"a{number}",
        "provider": "gong",
        "status": "active",
        "origin_owner_id": "acme",
        "connector_profile_id": "p1",
        **more,
    }


@pytest.fixture
def hub(stackone: Any) -> StackOneHub:
    """A hub on the table of answers."""
    return StackOneHub(stackone())


# --- profiles ---------------------------------------------------------------------------------------------------------


def paged(rows: list[dict[str, Any]], *, first: int = 1, size: int = 25, bare: bool = False, total: bool = True) -> Any:
    """A list paged by number."""

    def answer(request: httpx.Request) -> Any:
        page = int(request.url.params.get("page", first))
        part = rows[(page - first) * size : (page - first + 1) * size]
        envelope = {"page": page, "page_size": size, "data": part, **({"total": len(rows)} if total else {})}
        return part if bare else envelope

    return lambda request: httpx.Response(200, json=answer(request))


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 50, 120])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("total", [True, False])
def test_all_pages_of_profiles_are_read(hub: StackOneHub, answers: Any, count: int, first: int, total: bool) -> None:  # noqa: FBT001  parametrised
    """However many there are, wherever counting begins, and whether or not the total is told."""
    answers.table["GET /connector_profiles"] = paged([profile(n) for n in range(count)], first=first, total=total)
    assert [p.id for p in hub.profiles("gong")] == [f"p{n}" for n in range(count)]


def test_disabled_profiles_are_asked_for_as_well(hub: StackOneHub, answers: Any) -> None:
    """A plain list might leave them out, and an overlooked profile would be made twice."""

    def answer(request: httpx.Request) -> httpx.Response:
        disabled = request.url.params.get("enabled") == "false"
        rows = [profile(2, active=False)] if disabled else [profile(1)]
        return httpx.Response(200, json={"page": 1, "page_size": 25, "total": 1, "data": rows})

    answers.table["GET /connector_profiles"] = answer
    assert [(p.id, p.active) for p in hub.profiles("gong")] == [("p1", True), ("p2", False)]


def test_profiles_of_other_connectors_are_left_out(hub: StackOneHub, answers: Any) -> None:
    """Even if the server ignores the filter."""
    answers.table["GET /connector_profiles"] = paged([profile(1), profile(2, connector_key="hubspot")])
    assert [p.id for p in hub.profiles("gong")] == ["p1"]
    assert answers.requests[0].url.params["connector_key"] == "gong"


def test_a_list_that_ignores_page_numbers_ends(hub: StackOneHub, answers: Any) -> None:
    """The same page again and again brings nothing new."""
    answers.table["GET /connector_profiles"] = {"page": 1, "total": 99, "data": [profile(n) for n in range(25)]}
    assert len(hub.profiles("gong")) == 25
    assert len(answers.requests) == 6


def test_a_list_without_end_is_refused(hub: StackOneHub, answers: Any) -> None:
    """A server that always has more does not hold a worker for ever."""
    rows = iter(range(10**6))
    answers.table["GET /connector_profiles"] = lambda _: httpx.Response(
        200, json={"page": 1, "total": 10**6, "data": [profile(next(rows))]}
    )
    with pytest.raises(VendorRefusedError, match="without end"):
        hub.profiles("gong")
    assert len(answers.requests) == MOST_PAGES


@pytest.mark.parametrize("body", [{"data": [{"id": "p1", "name": "canary"}]}, {"items": []}, "canary", None])
def test_an_unknown_shape_is_refused_without_its_values(hub: StackOneHub, answers: Any, body: Any) -> None:
    """The places are named, the values are not."""
    answers.table["GET /connector_profiles"] = httpx.Response(200, json=body)
    with pytest.raises(VendorRefusedError, match="in a shape that keyturn does not know") as caught:
        hub.profiles("gong")
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_page_instead_of_json_is_refused(hub: StackOneHub, answers: Any) -> None:
    """A single-page app answers every address with 200 and HTML."""
    answers.table["GET /connector_profiles"] = httpx.Response(200, html="<html>")
    with pytest.raises(VendorRefusedError, match="shape"):
        hub.profiles("gong")


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 3, 25, 60])
def test_accounts_come_bare_or_wrapped(hub: StackOneHub, answers: Any, bare: bool, first: int, count: int) -> None:  # noqa: FBT001  parametrised
    """The specification shows one, a guide the other."""
    answers.table["GET /v2/accounts"] = paged([account(n) for n in range(count)], first=first, bare=bare, total=False)
    assert [a.id for a in hub.accounts("p1")] == [f"a{n}" for n in range(count)]
    assert answers.requests[0].url.params["connector_profile_id"] == "p1"


def test_accounts_may_be_paged_by_cursor(hub: StackOneHub, answers: Any) -> None:
    """Newer lists of StackOne have `next`."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("next") == "two":
            return httpx.Response(200, json={"data": [account(2)], "next": None})
        return httpx.Response(200, json={"data": [account(1)], "next": "two"})

    answers.table["GET /v2/accounts"] = answer
    assert [a.id for a in hub.accounts("p1")] == ["a1", "a2"]


def test_accounts_of_other_profiles_are_left_out(hub: StackOneHub, answers: Any) -> None:
    """Even if the server ignores the filter."""
    answers.table["GET /v2/accounts"] = [account(1), account(2, connector_profile_id="p2")]
    assert [a.id for a in hub.accounts("p1")] == ["a1"]


def test_accounts_that_do_not_name_their_profile_are_no_answer(hub: StackOneHub, answers: Any) -> None:
    """Nobody guesses which account belongs to which profile."""
    answers.table["GET /v2/accounts"] = [account(1, connector_profile_id=None)]
    with pytest.raises(VendorRefusedError, match="without saying through which profile"):
        hub.accounts("p1")


def test_a_stackone_without_v2_accounts_is_no_answer(hub: StackOneHub) -> None:
    """404 does not mean that there are none."""
    with pytest.raises(VendorRefusedError, match="does not offer /v2/accounts"):
        hub.accounts("p1")


def test_an_account_has_its_status_and_reasons(hub: StackOneHub, answers: Any) -> None:
    """An unknown status is passed on as it is; only `active` means that calls can work."""
    reasons = [{"code": "EXPIRED", "timestamp": "t"}, {"description": "Line\none"}, {"timestamp": "t"}]
    answers.table["GET /accounts/a/1"] = account(1, status="on_holiday", status_reasons=reasons)
    found = hub.account("a/1")
    assert (found.status, found.reasons) == ("on_holiday", ("EXPIRED", "Line one"))
    assert answers.requests[0].url.raw_path == b"/accounts/a%2F1"


# --- linking ----------------------------------------------------------------------------------------------------------


def test_a_connect_session_is_made(hub: StackOneHub, answers: Any) -> None:
    """Its link is known now and never again; its token is not kept."""
    answers.table["POST /connect_sessions"] = httpx.Response(
        201, json={"id": 17, "token": "canary", "auth_link_url": "https://link", "created_at": "t"}
    )
    session = hub.create_session("p1", AccountSpec("acme", "Acme", "", "Gong of Acme"), 1800)
    assert (session.id, session.status, session.auth_link) == ("17", LinkStatus.PENDING, "https://link")
    assert "canary" not in repr(session)
    assert answers.bodies("POST") == [
        {
            "origin_owner_id": "acme",
            "origin_owner_name": "Acme",
            "provider": "gong",
            "connector_profile_id": "p1",
            "expires_in": 1800,
            "type": "production",
            "label": "Gong of Acme",
        }
    ]


def test_a_connect_session_without_a_link_is_refused(hub: StackOneHub, answers: Any) -> None:
    """Nobody could use it."""
    answers.table["POST /connect_sessions"] = {"id": 17}
    with pytest.raises(VendorRefusedError, match="without an auth link"):
        hub.create_session("p1", AccountSpec("acme", "Acme", "", ""), 1800)


def test_a_lost_answer_to_a_connect_session_is_ambiguous(hub: StackOneHub, answers: Any) -> None:
    """It may exist."""
    answers.table["POST /connect_sessions"] = httpx.Response(502)
    with pytest.raises(AmbiguousError):
        hub.create_session("p1", AccountSpec("acme", "Acme", "", ""), 1800)


@pytest.mark.parametrize(
    ("attempt", "status", "account_id"),
    [
        (None, LinkStatus.PENDING, ""),
        ({"status": "pending"}, LinkStatus.PENDING, ""),
        ({"status": "authenticated", "account_secure_id": "a1"}, LinkStatus.AUTHENTICATED, "a1"),
        ({"status": "authenticated"}, LinkStatus.PENDING, ""),
        ({"status": "error", "account_secure_id": "a1"}, LinkStatus.ERROR, ""),
        ({"status": "cancelled"}, LinkStatus.CANCELLED, ""),
        ({"status": "expired"}, LinkStatus.EXPIRED, ""),
        ({"status": "all good", "account_secure_id": "a1"}, LinkStatus.PENDING, ""),
        ({"status": None}, LinkStatus.PENDING, ""),
    ],
)
def test_how_far_a_person_got(
    hub: StackOneHub, answers: Any, attempt: Any, status: LinkStatus, account_id: str
) -> None:
    """Only `authenticated` with an account is a success; what is unknown is still pending."""
    answers.table["GET /connect_sessions/17"] = {"id": 17, "latest_connection_attempt": attempt}
    session = hub.session("17")
    assert (session.status, session.account_id, session.auth_link) == (status, account_id, "")


def test_an_oauth_error_is_told(hub: StackOneHub, answers: Any) -> None:
    """The person learns why the link did not work."""
    attempt = {"status": "error", "oauth_error_code": "access_denied", "oauth_error_description": "Not\x07 allowed"}
    answers.table["GET /connect_sessions/17"] = {"id": "17", "latest_connection_attempt": attempt}
    assert hub.session("17").error == "access_denied: Not allowed"


# --- actions and the live call ----------------------------------------------------------------------------------------


def test_actions_have_their_scopes(hub: StackOneHub, answers: Any) -> None:
    """Only those of the connector."""
    answers.table["GET /actions"] = ACTIONS
    assert [(a.id, a.required_scopes) for a in hub.actions("gong")] == [
        ("list_calls", ("api:calls:read:basic",)),
        ("list_users", ("api:users:read",)),
        ("ping", ()),
    ]
    assert dict(answers.requests[0].url.params) == {"filter[connectors]": "gong", "include": "action_details"}


def test_the_live_call_finds_its_action_once(hub: StackOneHub, answers: Any) -> None:
    """The name is discovered, then remembered."""
    answers.table |= {"GET /actions": ACTIONS, RPC: {"data": []}}
    assert hub.list_users("a1").action == "gong_list_users"
    hub.list_users("a2")
    rpc = [r for r in answers.requests if r.method == "POST"]
    assert [r.headers["x-account-id"] for r in rpc] == ["a1", "a2"]
    assert answers.bodies("POST") == [{"action": "gong_list_users"}] * 2
    assert len(answers.requests) == 3


def test_an_action_may_be_listed_with_its_full_name(hub: StackOneHub, answers: Any) -> None:
    """The prefix is not doubled."""
    answers.table |= {"GET /actions": {"data": [{"key": "gong", "actions": [{"id": "gong_list_users"}]}]}, RPC: {}}
    assert hub.list_users("a1").action == "gong_list_users"


def test_a_connector_without_the_action_is_said(hub: StackOneHub, answers: Any) -> None:
    """It is not guessed."""
    answers.table["GET /actions"] = {"data": [{"key": "gong", "actions": [{"id": "list_calls"}]}]}
    with pytest.raises(VendorRefusedError, match="no action 'list_users'"):
        hub.list_users("a1")


PERSON = {"id": "1", "emailAddress": "canary@example.com"}


@pytest.mark.parametrize(
    ("body", "count", "request_id"),
    [
        ({"data": [PERSON, PERSON]}, 2, ""),
        ({"data": {"requestId": "r-1", "records": {"totalRecords": 9}, "users": [PERSON]}}, 1, "r-1"),
        ({"data": {"data": [PERSON]}, "next": "x"}, 1, ""),
        ({"requestId": "r-2", "users": []}, 0, "r-2"),
        ({"data": {"hello": "canary"}}, None, ""),
        ({"data": None}, None, ""),
        ({"requestId": "canary canary", "data": []}, 0, ""),
        ([PERSON], 1, ""),
    ],
)
def test_of_a_live_call_only_status_id_and_count_are_kept(
    hub: StackOneHub, answers: Any, body: Any, count: int | None, request_id: str
) -> None:
    """The people are dropped, wherever they are."""
    answers.table |= {"GET /actions": ACTIONS, RPC: httpx.Response(200, json=body)}
    call = hub.list_users("a1")
    assert (call.ok, call.status, call.count, call.request_id) == (True, 200, count, request_id)
    assert "canary" not in repr(call)


def test_a_page_instead_of_people_proves_nothing(hub: StackOneHub, answers: Any) -> None:
    """200 alone is not green."""
    answers.table |= {"GET /actions": ACTIONS, RPC: httpx.Response(200, html="<p>hello</p>")}
    assert not hub.list_users("a1").ok


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, None),
        (401, "AccountInvalidCredentialsError"),
        (403, None),
        (404, None),
        (412, "AccountIntegrationInactiveError"),
        (422, None),
    ],
)
def test_a_definite_no_of_the_live_call_is_a_result(hub: StackOneHub, answers: Any, status: int, code: str) -> None:
    """It is evidence for the verdict, with StackOne's error code and without its message."""
    refusal = {"message": "canary@example.com may not", "errorCode": code, "provider_errors": [{"raw": "canary"}]}
    answers.table |= {"GET /actions": ACTIONS, RPC: httpx.Response(status, json=refusal)}
    call = hub.list_users("a1")
    assert (call.ok, call.status, call.count) == (False, status, None)
    assert call.problem
    assert code is None or code in call.problem
    assert "canary" not in repr(call)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, RateLimitedError), (429, RateLimitedError), (500, UnavailableError), (502, UnavailableError)],
)
def test_what_may_pass_by_itself_is_raised_by_the_live_call(
    hub: StackOneHub, answers: Any, status: int, kind: type[Exception]
) -> None:
    """It changes nothing, so it may simply be repeated; and the people are in no error either."""
    refusal = httpx.Response(status, json={"message": "canary@example.com"}, headers={"Retry-After": "1"})
    answers.table |= {"GET /actions": ACTIONS, RPC: refusal}
    with pytest.raises(kind) as caught:
        hub.list_users("a1")
    assert "canary" not in str(caught.value)
