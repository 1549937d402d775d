"""StackOne: its platform API, and the ways of writing a profile."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from keyturn.domain.credential import Credential
from keyturn.domain.profile import (
    Account,
    AccountSpec,
    ActionInfo,
    ConnectSession,
    LiveCall,
    Profile,
    ProfileSpec,
    WriterChoice,
)


class ConnectorHub(Protocol):
    """StackOne's platform API, reading and linking."""

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector, every page."""

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """All actions of a connector with their required scopes."""

    def create_session(self, profile_id: str, account: AccountSpec, expires_in_s: int) -> ConnectSession:
        """Make a connect session; the only moment its auth link is known."""

    def session(self, session_id: str) -> ConnectSession:
        """How far the person got."""

    def account(self, account_id: str) -> Account:
        """One linked account."""

    def accounts(self, profile_id: str) -> Sequence[Account]:
        """All accounts linked through a profile."""

    def list_users(self, account_id: str) -> LiveCall:
        """One live call through StackOne to Gong; the users themselves are dropped unread."""


class Written(StrEnum):
    """What a profile writer did."""

    DONE = "done"
    BY_HAND = "by hand"


class ProfileWriter(Protocol):
    """Puts a credential into a StackOne profile. Read back with `ConnectorHub.profiles`, never believed."""

    @property
    def name(self) -> str:
        """`api` or `assisted`."""

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:
        """Make the profile, or say that a person has to."""

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:
        """Put the credential into an existing profile, or say that a person has to."""


class ProfileWriters(Protocol):
    """Chooses a writer by what the live StackOne offers, never by guessing."""

    def choose(self) -> tuple[ProfileWriter, WriterChoice]:
        """The writer to use now, and why."""
