"""What StackOne remembers of one project: profiles, sessions and accounts, with the credentials it never returns."""

from datetime import datetime, timedelta
from secrets import choice, randbelow, token_hex
from string import ascii_letters, digits
from typing import Any

from pydantic import BaseModel, Field

from keyturn.sandbox.twins.stackone.catalogue import CONNECTORS
from keyturn.sandbox.twins.stackone.options import StackOneOptions
from keyturn.sandbox.twins.stackone.wire import ConnectionAttempt, ConnectorProfile, ConnectSession, LinkedAccount
from keyturn.sandbox.twins.store import TwinState

_MILLISECOND = timedelta(milliseconds=1)


class ProfileFields(BaseModel):
    """What a person or the write API sets on a profile; None leaves a field as it is."""

    name: str | None = None
    client_id: str | None = None
    client_secret: str | None = Field(default=None, repr=False)
    scopes: str | None = None
    actions: list[str] | None = None
    active: bool | None = None
    environment: str | None = None


class StoredProfile(BaseModel):
    """A profile and what only StackOne knows of it."""

    public: ConnectorProfile
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)
    scopes: str = ""
    actions: list[str] = []
    pinned_at: datetime | None = None

    def scopes_wanted(self) -> str:
        """The scopes asked of the provider, space separated; connection testing needs at least the users."""
        return " ".join(self.scopes.replace(",", " ").split()) or "api:users:read"

    def allows(self, action_id: str) -> bool:
        """Whether an action is enabled; no selection enables all."""
        return not self.actions or action_id in self.actions


class StoredSession(BaseModel):
    """A session, its link's token, and the OAuth states that were sent to the provider."""

    public: ConnectSession
    token: str
    ends_at: datetime
    multiple: bool = False
    oauth_states: list[str] = []


class StoredAccount(BaseModel):
    """A linked account and its tokens."""

    public: LinkedAccount
    connector_profile_id: str
    access_token: str = Field(repr=False)
    refresh_token: str = Field(repr=False)
    access_ends_at: datetime
    api_base_url: str


class StackOneState(TwinState):
    """Everything behind the twin of StackOne."""

    options: StackOneOptions = StackOneOptions()
    project_id: str = Field(default_factory=lambda: f"proj_{token_hex(6)}")
    organization_id: str = Field(default_factory=lambda: f"org_{token_hex(6)}")
    profiles: list[StoredProfile] = Field(default_factory=list)
    sessions: list[StoredSession] = Field(default_factory=list)
    accounts: list[StoredAccount] = Field(default_factory=list)

    def profile(self, profile_id: str) -> StoredProfile | None:
        """Find a profile by its id."""
        return next((each for each in self.profiles if each.public.id == profile_id), None)

    def default_profile(self, connector_key: str) -> StoredProfile | None:
        """The profile that a session without one uses."""
        of_connector = (each for each in self.profiles if each.public.connector_key == connector_key)
        return next((each for each in of_connector if each.public.default), None)

    def account(self, account_id: str) -> StoredAccount | None:
        """Find an account by its id."""
        return next((each for each in self.accounts if each.public.id == account_id), None)

    def create_profile(self, connector_key: str, fields: ProfileFields) -> StoredProfile:
        """Make a profile. Nothing stops two from having one name: there are no idempotency keys."""
        connector = CONNECTORS[connector_key]
        now = self.now()
        public = ConnectorProfile(
            id=new_id(),
            name=fields.name or connector.label,
            connector_key=connector.key,
            connector_label=connector.label,
            logo_url=f"https://stackone-logos.invalid/{connector.key}.png",
            categories=list(connector.categories),
            default=self.default_profile(connector.key) is None,
            created_at=now,
            updated_at=now,
            connector_version=connector.versions[0],
            authentication_config_key="oauth2",
            authentication_config_label="OAuth 2.0",
        )
        self.profiles.append(StoredProfile(public=public))
        self._set(self.profiles[-1], fields)
        self.count("profiles_created")
        return self.profiles[-1]

    def change_profile(self, profile: StoredProfile, fields: ProfileFields) -> None:
        """Edit a profile, by hand or by API, with the effect that the options give it."""
        asked = fields.model_dump(exclude_none=True)
        if self.options.updated_at == "always" or any(_value(profile, name) != asked[name] for name in asked):
            self.touch(profile)
        self._set(profile, fields.model_copy(update=self._instead(fields)))
        self.count("profiles_updated")

    def touch(self, profile: StoredProfile) -> None:
        """Move a profile's `updated_at` forward, always by something."""
        profile.public.updated_at = max(self.now(), profile.public.updated_at + _MILLISECOND)

    def delete_profile(self, profile: StoredProfile) -> None:
        """Remove a profile."""
        self.profiles.remove(profile)
        self.count("profiles_deleted")

    def make_default(self, profile: StoredProfile) -> None:
        """Make a profile the default one of its connector."""
        for each in self.profiles:
            if each.public.connector_key == profile.public.connector_key and each.public.default != (each is profile):
                each.public.default = each is profile
                self.touch(each)

    def attempt(self, session: StoredSession) -> ConnectionAttempt:
        """A new attempt to connect, pending."""
        now = self.now()
        made = ConnectionAttempt(id=new_id(), created_at=now, updated_at=now)
        session.public.latest_connection_attempt = made
        return made

    def settle(self, session: StoredSession, **outcome: Any) -> None:  # noqa: ANN401 - fields of ConnectionAttempt
        """Write the outcome of the latest attempt."""
        attempt = session.public.latest_connection_attempt or self.attempt(session)
        changed = attempt.model_copy(update={**outcome, "updated_at": self.now()})
        session.public.latest_connection_attempt = ConnectionAttempt.model_validate(changed.model_dump())

    def expire_sessions(self) -> None:
        """Mark the sessions whose time is over and whose last attempt led to nothing."""
        now = self.now()
        for session in self.sessions:
            latest = session.public.latest_connection_attempt
            if now >= session.ends_at and (latest is None or latest.status == "pending"):
                self.settle(session, status="expired")

    def _instead(self, fields: ProfileFields) -> dict[str, str | None]:
        """What is kept instead of a new client secret."""
        if fields.client_secret is None or self.options.write_effect == "kept":
            return {}
        return {"client_secret": None if self.options.write_effect == "ignored" else f"garbled-{token_hex(12)}"}

    @staticmethod
    def _set(profile: StoredProfile, fields: ProfileFields) -> None:
        for name, value in fields.model_dump(exclude_none=True).items():
            setattr(_owner(profile, name), name, value)


def _owner(profile: StoredProfile, name: str) -> BaseModel:
    """Where a profile keeps a field."""
    return profile.public if name in ("name", "active", "environment") else profile


def _value(profile: StoredProfile, name: str) -> object:
    return getattr(_owner(profile, name), name)


def new_id() -> str:
    """An opaque id of twenty letters and digits."""
    return "".join(choice(ascii_letters + digits) for _ in range(20))


def new_number() -> int:
    """A session's id, which is a number."""
    return 10_000_000 + randbelow(900_000_000)
