from __future__ import annotations

import pytest

from keyturn.domain import scopes
from keyturn.domain.profile import ActionInfo
from keyturn.errors import ManifestError

OFFERED = (
    ActionInfo("list_users", "List users", ("api:users:read",)),
    ActionInfo("get_call", "Get call", ("api:calls:read:basic", "api:calls:read:extensive")),
)


def test_all_scopes_of_the_official_document_are_known() -> None:
    """Gong's OpenAPI document of 2026-07 has 40 scopes, and none of them is also hearsay."""
    assert len(scopes.OFFICIAL) == 40
    assert not scopes.HEARSAY & (scopes.OFFICIAL | scopes.ELSEWHERE)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("api:calls:read:basics", "api:calls:read:basic"),
        ("api:user:read", "api:users:read"),
        ("api:calls:create:basic", "api:calls:create"),
        ("API:WORKSPACES:READ", None),
        ("", None),
    ],
)
def test_the_nearest_known_scope_is_found(typo: str, meant: str | None) -> None:
    """A near miss leads to the scope that was meant; something else entirely leads nowhere."""
    assert scopes.nearest_scope(typo) == meant


@pytest.mark.parametrize(
    "scope",
    [
        "api:flows:write",
        "api:crm:integration:delete",
        "api:calls:create",
        "api:provisioning:read-write",
        "api:data-privacy:read",
        "api:calls:read:transcript",
        "api:calls:read:media-url",
    ],
)
def test_scopes_that_change_or_lay_bare_deserve_a_second_look(scope: str) -> None:
    """Writing, deleting and reading personal data at large is said in words."""
    assert scopes.reach(scope)


@pytest.mark.parametrize("scope", ["api:users:read", "api:calls:read:basic", "api:logs:read", "write", ""])
def test_plain_reading_scopes_pass_without_remark(scope: str) -> None:
    """A notice about every scope would be read by nobody."""
    assert scopes.reach(scope) is None


def test_required_joins_given_derived_and_the_one_for_testing() -> None:
    """The result is sorted, holds each scope once, and always has api:users:read."""
    assert scopes.required(["api:logs:read"], ["get_call", "list_users"], OFFERED) == (
        "api:calls:read:basic",
        "api:calls:read:extensive",
        "api:logs:read",
        "api:users:read",
    )
    assert scopes.required([], [], []) == ("api:users:read",)


def test_an_action_that_stackone_does_not_offer_is_refused_with_the_nearest() -> None:
    """Its scopes are unknown, so nothing may be sealed."""
    with pytest.raises(ManifestError, match=r"list_user \(nearest: list_users\)"):
        scopes.required([], ["list_user", "get_call"], OFFERED)
