"""How linked accounts are looked at: the one that was linked last by itself, the others of its profile by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from keyturn.domain.health import Cause, Outcome
from keyturn.domain.profile import Account
from keyturn.errors import VendorRefusedError
from keyturn.ports import ConnectorHub
from keyturn.services.said import Says

_ABOUT_US = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_WORKS = "active"
_FAILED = frozenset({"inactive", "suspended", "archived", "expired", "error"})
_IN_ERROR = frozenset({"expired", "error"})  # the rest is what people do on purpose, to accounts nobody needs any more


def look_at_accounts(hub: ConnectorHub, account_id: str, profile_id: str, canary: str) -> Says:
    """The account that was linked last, and if that works, the others that are linked through the profile.

    Args:
        hub: StackOne.
        account_id: the account.
        profile_id: its profile; empty when that is not known.
        canary: the origin owner whose account only ever proved a secret, and is not missed when it fails.

    Raises:
        KeyturnError: StackOne could not be asked.
    """
    try:
        own = _status_of(hub.account(account_id))
    except VendorRefusedError as error:
        if not error.gone:
            raise
        return Says(Outcome.BAD, f"account {account_id} is gone from StackOne", Cause.CONSENT_LOST)
    if own.outcome is not Outcome.OK or not profile_id:
        return own
    try:
        linked = hub.accounts(profile_id)
    except VendorRefusedError as error:
        if error.status in _ABOUT_US:
            raise
        # Not every StackOne has this list, or says in it through which profile an account is linked.
        return replace(own, evidence=f"{own.evidence}; others of its profile it does not list")
    return _with_others(own, profile_id, [a for a in linked if a.id == account_id or a.origin_owner_id != canary])


def _status_of(account: Account) -> Says:
    """StackOne's list of statuses is open: a word that keyturn does not know is neither good nor bad."""
    if account.status == _WORKS:
        return Says(Outcome.OK, f"account {account.id} is active, says StackOne")
    codes = [reason for reason in account.reasons if _CODE.fullmatch(reason)]  # sentences may quote people
    because = f" ({', '.join(codes)})" if codes else ""
    if account.status in _FAILED:
        return Says(Outcome.BAD, f"account {account.id} is {account.status}{because}", Cause.CONSENT_LOST)
    status = account.status if _CODE.fullmatch(account.status) else "a status"
    return Says(Outcome.UNKNOWN, f"account {account.id} is {status}{because}, which keyturn does not know")


def _with_others(own: Says, profile_id: str, linked: Sequence[Account]) -> Says:
    """How many of them failed; whose they are is said nowhere."""
    failed = sum(account.status in _IN_ERROR for account in linked)
    if not failed:
        return own
    evidence = f"{failed} of {len(linked)} accounts linked through profile {profile_id} failed or expired"
    return Says(Outcome.BAD, f"{evidence}; {own.evidence}", Cause.CONSENT_LOST)
