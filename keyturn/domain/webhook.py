"""StackOne's webhooks: which events count, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

EVENTS = frozenset({"account.created", "account.updated", "account.deleted", "account.error", "account.expired"})
"""Events about accounts. The first three are StackOne's own words; the last two are told by others."""

OLDEST, NEWEST = timedelta(minutes=15), timedelta(minutes=5)
"""How long ago an event may have been sent, and how far a sender's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Something happened to a linked account, says StackOne. It is never believed: it only says where to look.

    Attributes:
        name: one of `EVENTS`.
        owner_id: whose account it is, in the words of the connect session; empty when it is not said.
        provider: of the account; empty when it is not said.
        sent_at: when this delivery was sent, or else when it happened.
    """

    name: str
    account_id: str
    owner_id: str
    provider: str
    sent_at: datetime


def why_out_of_time(event: AccountEvent, now: datetime) -> str:
    """Why an event does not count any more, or not yet, as a clause; empty when it counts."""
    if event.sent_at < now - OLDEST:
        return f"was sent more than {OLDEST // timedelta(minutes=1)} minutes ago"
    if event.sent_at > now + NEWEST:
        return f"was sent more than {NEWEST // timedelta(minutes=1)} minutes from now"
    return ""
