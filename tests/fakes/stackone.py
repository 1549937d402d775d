"""StackOne in memory: profiles that hold a secret nobody can read, accounts that live on it, and links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyturn.domain.credential import Credential
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import (
    Account,
    AccountSpec,
    ActionInfo,
    ConnectSession,
    LinkStatus,
    LiveCall,
    Profile,
    ProfileSpec,
    WriterChoice,
)
from keyturn.errors import RefusedError, VendorRefusedError
from keyturn.ports import Clock, Written
from tests.fakes.gong import FakeGong

TOKEN_LIFE = timedelta(days=1)
_ACTION = "gong_list_users"


@dataclass
class Linked:
    """A linked account. Its access token works until `access_ends_at`, whatever became of the secret meanwhile."""

    public: Account
    profile_id: str
    owner: tuple[str, str]
    access_ends_at: datetime


@dataclass
class Asked:
    """A connect session."""

    public: ConnectSession
    profile_id: str
    account: AccountSpec
    ends_at: datetime


@dataclass
class FakeStackOne:
    """Implements `keyturn.ports.ConnectorHub`, and what people do on StackOne's pages.

    Attributes:
        held: the pair that each profile really holds.
        written: every secret that was ever put into each profile, the newest last.
        creates: how often a profile was made.
    """

    clock: Clock
    gong: FakeGong
    shown: dict[str, Profile] = field(default_factory=dict)
    held: dict[str, Credential] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    linked: dict[str, Linked] = field(default_factory=dict)
    sessions: dict[str, Asked] = field(default_factory=dict)
    creates: int = 0

    # --- the platform API

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector."""
        return [p for p in self.shown.values() if p.connector == connector]

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """The one action there is."""
        return [ActionInfo(_ACTION, "List users", ("api:users:read",))] if connector == CONNECTOR else []

    def create_session(self, profile_id: str, account: AccountSpec, expires_in_s: int) -> ConnectSession:
        """Make a connect session."""
        if profile_id not in self.shown:
            raise VendorRefusedError("StackOne", "HTTP 404: no such profile")
        session = ConnectSession(f"session-{len(self.sessions) + 1}", LinkStatus.PENDING)
        ends_at = self.clock.now() + timedelta(seconds=expires_in_s)
        self.sessions[session.id] = Asked(session, profile_id, account, ends_at)
        return replace(session, auth_link=f"https://stackone.invalid/connect?token=bearer-of-{session.id}")

    def session(self, session_id: str) -> ConnectSession:
        """How far the person got."""
        asked = self.sessions[session_id]
        over = asked.public.status is LinkStatus.PENDING and self.clock.now() >= asked.ends_at
        return replace(asked.public, status=LinkStatus.EXPIRED) if over else asked.public

    def account(self, account_id: str) -> Account:
        """One linked account."""
        return self._account(account_id).public

    def accounts(self, profile_id: str) -> Sequence[Account]:
        """All accounts linked through a profile."""
        return [each.public for each in self.linked.values() if each.profile_id == profile_id]

    def list_users(self, account_id: str) -> LiveCall:
        """One live call: it rides on the access token while that lives, and needs the profile's secret afterwards."""
        linked = self._account(account_id)
        profile = self.shown.get(linked.profile_id)
        if profile is None or not profile.active:
            return LiveCall(_ACTION, ok=False, status=412, request_id="", count=None, problem="the profile is disabled")
        if self.clock.now() >= linked.access_ends_at and not self._refreshed(linked):
            return LiveCall(_ACTION, ok=False, status=401, request_id="", count=None, problem="sign-in is refused")
        linked.public = replace(linked.public, status="active", reasons=())
        return LiveCall(_ACTION, ok=True, status=200, request_id="r", count=3)

    # --- what people do on its pages

    def make_profile(self, name: str, credential: Credential, connector: str = CONNECTOR) -> Profile:
        """Fill in the form of a new profile."""
        self.creates += 1
        at = self._moment()
        made = Profile(f"profile-{self.creates}", name, connector, True, True, at, at)
        self.shown[made.id] = made
        self._hold(made.id, credential)
        return made

    def edit_profile(self, profile_id: str, credential: Credential) -> None:
        """Put another pair into the form of a profile."""
        self.shown[profile_id] = replace(self.shown[profile_id], updated_at=self._moment())
        self._hold(profile_id, credential)

    def consent(self, session_id: str) -> bool:
        """Follow an auth link and say yes at Gong; whether it led to an account."""
        asked = self.sessions[session_id]
        if self.session(session_id).status is not LinkStatus.PENDING:
            return False
        pair = self.held[asked.profile_id]
        if not self.gong.issue(pair.client_id, pair.reveal()):
            error = "invalid_client: client authentication failed"
            asked.public = replace(asked.public, status=LinkStatus.ERROR, error=error)
            return False
        account = self._linked_by(asked)
        asked.public = replace(asked.public, status=LinkStatus.AUTHENTICATED, account_id=account.id)
        return True

    def _linked_by(self, asked: Asked) -> Account:
        owner = (asked.account.origin_owner_id, asked.account.origin_owner_name)
        known = next((each for each in self.linked.values() if each.owner == owner), None)
        account_id = known.public.id if known else f"account-{len(self.linked) + 1}"
        public = Account(account_id, CONNECTOR, "active", owner[0])
        self.linked[account_id] = Linked(public, asked.profile_id, owner, self.clock.now() + TOKEN_LIFE)
        return public

    def _refreshed(self, linked: Linked) -> bool:
        pair = self.held[linked.profile_id]
        if self.gong.issue(pair.client_id, pair.reveal()):
            linked.access_ends_at = self.clock.now() + TOKEN_LIFE
            return True
        linked.public = replace(linked.public, status="error", reasons=("invalid_client",))
        return False

    def _account(self, account_id: str) -> Linked:
        if account_id not in self.linked:
            raise VendorRefusedError("StackOne", "HTTP 404: no such account")
        return self.linked[account_id]

    def _hold(self, profile_id: str, credential: Credential) -> None:
        self.held[profile_id] = credential
        self.written.setdefault(profile_id, []).append(credential.reveal())

    def _moment(self) -> str:
        """As StackOne shows moments: to the millisecond, so that two writes of one moment look alike."""
        return self.clock.now().isoformat(timespec="milliseconds")


@dataclass
class FakeWriters:
    """Implements `keyturn.ports.ProfileWriters`: by API, or by a person's hands."""

    stackone: FakeStackOne
    by_hand: bool = False

    def choose(self) -> tuple[FakeWriter, WriterChoice]:
        """The one there is."""
        name = "assisted" if self.by_hand else "api"
        return FakeWriter(self.stackone, name), WriterChoice(name, f"this StackOne offers {name}")


@dataclass
class FakeWriter:
    """Implements `keyturn.ports.ProfileWriter`."""

    stackone: FakeStackOne
    name: str

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:
        """Make the profile, unless a person has to."""
        if self.name == "api":
            self.stackone.make_profile(spec.name, credential, spec.connector)
        return self._written()

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:
        """Put the pair into the profile, unless a person has to."""
        if spec.connector != profile.connector:
            raise RefusedError(profile.name, f"is no profile of {spec.connector}")
        if self.name == "api":
            self.stackone.edit_profile(profile.id, credential)
        return self._written()

    def _written(self) -> Written:
        return Written.DONE if self.name == "api" else Written.BY_HAND
