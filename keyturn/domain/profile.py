"""StackOne's side: profiles, accounts, connect sessions, as far as keyturn needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Profile:
    """A StackOne Connector Profile. StackOne never returns its credentials.

    Attributes:
        updated_at: StackOne's own text, kept as it came: it is compared with our receipt, not calculated with.
    """

    id: str
    name: str
    connector: str
    active: bool
    default: bool
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """The profile that a manifest asks for. `name` is our own key: how it is found again."""

    name: str
    connector: str
    scopes: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """The account that a manifest asks for: whose data it is, in the words of the StackOne customer."""

    origin_owner_id: str
    origin_owner_name: str
    origin_username: str
    label: str


@dataclass(frozen=True, slots=True)
class Account:
    """A linked account. `status` is an open set; only `active` means that calls can work."""

    id: str
    provider: str
    status: str
    origin_owner_id: str
    reasons: tuple[str, ...] = ()


class LinkStatus(StrEnum):
    """How far a person got with an auth link."""

    PENDING = "pending"
    AUTHENTICATED = "authenticated"
    ERROR = "error"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ConnectSession:
    """A StackOne connect session.

    Attributes:
        auth_link: where the person goes; only known when the session is new. It is a bearer token in a URL, so it is
            kept in no store: a fresh link is cheap.
    """

    id: str
    status: LinkStatus
    account_id: str = ""
    auth_link: str = field(default="", repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """An action of a connector and the scopes it needs."""

    id: str
    label: str
    required_scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveCall:
    """What is kept of a live call through StackOne: never the people it returned.

    Attributes:
        count: number of records on the page, `None` when the answer had no list.
    """

    action: str
    ok: bool
    status: int
    request_id: str
    count: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WriterChoice:
    """Which profile writer is used, and why."""

    writer: str
    why: str


def matching(profiles: Sequence[Profile], spec: ProfileSpec) -> list[Profile]:
    """The profiles that carry our key: same connector, same name."""
    return [p for p in profiles if p.connector == spec.connector and p.name == spec.name]


@dataclass(frozen=True, slots=True)
class Link:
    """An auth link for a person, and until when it can be used."""

    session_id: str
    url: str = field(repr=False)
    expires_at: datetime
