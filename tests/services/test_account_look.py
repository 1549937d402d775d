"""What an account's status means, and what is said of the others of its profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from keyturn.domain.health import Cause, Outcome
from keyturn.domain.profile import Account
from keyturn.errors import KeyturnError, UnavailableError, VendorRefusedError
from keyturn.services.account_look import look_at_accounts
from keyturn.services.said import Says

GONE = VendorRefusedError("StackOne", "answered 404", "", 404)


def account(number: int, status: str, owner: str = "acme-1", reasons: tuple[str, ...] = ()) -> Account:
    """An account."""
    return Account(f"account-{number}", "gong", status, owner, reasons)


@dataclass
class Hub:
    """A StackOne with these accounts; or one whose list goes wrong."""

    linked: Sequence[Account]
    fault: KeyturnError | None = None
    asked: list[str] = field(default_factory=list)

    def account(self, account_id: str) -> Account:
        """One of them."""
        self.asked.append("account")
        found = next((a for a in self.linked if a.id == account_id), None)
        if found is None:
            raise GONE
        return found

    def accounts(self, _profile_id: str) -> Sequence[Account]:
        """All of them."""
        self.asked.append("accounts")
        if self.fault is not None:
            raise self.fault
        return self.linked


def seen(hub: Any) -> Says:
    """The look at account 1."""
    return look_at_accounts(hub, "account-1", "profile-1", "keyturn-canary")


@pytest.mark.parametrize("status", ["inactive", "suspended", "archived", "expired", "error"])
def test_statuses_that_are_known_to_be_bad(status: str) -> None:
    """The account does not work, with StackOne's codes and never its sentences."""
    says = seen(Hub([account(1, status, reasons=("invalid_grant", "Jane Doe has left"))]))
    expected = Says(Outcome.BAD, f"account account-1 is {status} (invalid_grant)", Cause.CONSENT_LOST)
    assert says == expected


@pytest.mark.parametrize(("status", "word"), [("reconnecting", "reconnecting"), ("of Jane Doe", "a status")])
def test_a_status_that_nobody_knows(status: str, word: str) -> None:
    """StackOne's list of statuses is open, so a new word is no lost consent; nor is it fine."""
    says = seen(Hub([account(1, status)]))
    assert says == Says(Outcome.UNKNOWN, f"account account-1 is {word}, which keyturn does not know")


def test_an_account_that_was_removed() -> None:
    """It is called gone, whatever its profile has besides."""
    says = seen(Hub([account(2, "active")]))
    assert (says.outcome, says.hint, says.evidence) == (
        Outcome.BAD,
        Cause.CONSENT_LOST,
        "account account-1 is gone from StackOne",
    )


def test_others_are_counted_and_not_named() -> None:
    """Two of four that failed are two of four."""
    statuses = ("active", "error", "active", "expired")
    hub = Hub([account(n, status, owner=f"owner-{n}") for n, status in enumerate(statuses, start=1)])
    says = seen(hub)
    assert (says.outcome, says.hint) == (Outcome.BAD, Cause.CONSENT_LOST)
    assert says.evidence.startswith("2 of 4 accounts linked through profile profile-1 failed or expired; account")
    assert not [n for n in (2, 3, 4) if f"account-{n}" in says.evidence or f"owner-{n}" in says.evidence]
    assert hub.asked == ["account", "accounts"]


@pytest.mark.parametrize("status", ["inactive", "suspended", "archived", "reconnecting"])
def test_what_people_do_to_others_on_purpose_is_no_alarm(status: str) -> None:
    """An account that somebody put away need not work, and an unknown word says nothing."""
    assert seen(Hub([account(1, "active"), account(2, status)])).outcome is Outcome.OK


def test_the_canary_is_nobody() -> None:
    """The account that proved a secret is not counted."""
    assert seen(Hub([account(1, "active"), account(2, "error", "keyturn-canary")])).outcome is Outcome.OK


def test_others_are_asked_for_only_when_it_works() -> None:
    """An account that fails is told of without another call."""
    hub = Hub([account(1, "error"), account(2, "error")])
    seen(hub)
    assert hub.asked == ["account"]


@pytest.mark.parametrize(
    "fault",
    [
        GONE,
        VendorRefusedError("StackOne", "answered 501", "", 501),
        VendorRefusedError("StackOne", "lists accounts without saying through which profile they are linked"),
    ],
)
def test_a_stackone_that_does_not_list_them(fault: KeyturnError) -> None:
    """Then only the account itself is known, and that is said."""
    says = seen(Hub([account(1, "active")], fault))
    assert (says.outcome, "others of its profile it does not list" in says.evidence) == (Outcome.OK, True)


@pytest.mark.parametrize(
    "fault",
    [
        UnavailableError("StackOne", "failed with 503"),
        VendorRefusedError("StackOne", "answered 401", "", 401),
        VendorRefusedError("StackOne", "answered 403", "", 403),
    ],
)
def test_others_that_could_not_be_seen(fault: KeyturnError) -> None:
    """A look that failed, or that our key may not take, is not a look that found nothing."""
    with pytest.raises(type(fault)):
        seen(Hub([account(1, "active")], fault))
