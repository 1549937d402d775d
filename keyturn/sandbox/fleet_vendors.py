"""Gong and StackOne as they were: keyturn's ports on the twins' own state, before the twins are started.

The example fleet has a past of months, which no running server would let anybody play. So its journeys are played on
the files that the twins take up when they start, under a clock that can stand anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe

from keyturn.domain.credential import Credential, Probe, ProbeOutcome
from keyturn.domain.manifest import CONNECTOR, SealedManifest
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
from keyturn.errors import VendorRefusedError
from keyturn.ports import ProfileWriter, Written
from keyturn.sandbox.twins.faults import Fault
from keyturn.sandbox.twins.gong.integration import Form, Integration
from keyturn.sandbox.twins.gong.state import CUSTOMER, GongState, Grant
from keyturn.sandbox.twins.stackone import wire
from keyturn.sandbox.twins.stackone.accounts import Accounts
from keyturn.sandbox.twins.stackone.provider import TokenAnswer
from keyturn.sandbox.twins.stackone.state import (
    ProfileFields,
    StackOneState,
    StoredAccount,
    StoredProfile,
    StoredSession,
    new_number,
)
from keyturn.sandbox.twins.stackone.webhooks import Webhooks
from keyturn.sandbox.twins.store import Store

_STACKONE = "StackOne"
_A_DAY_S = 86_400
_FOR_EVER = 1_000_000
_NO_WRITE_API = "its document offers no way to create a profile"
_WRITE_API = "its document offers POST /connector_profiles and PATCH /connector_profiles/{profile_id}"


@dataclass(frozen=True, slots=True)
class PastGong:
    """Gong: its Admin center in a person's hands, and its token endpoint (implements `keyturn.ports.TokenEndpoint`)."""

    store: Store[GongState]

    def probe(self, credential: Credential) -> Probe:
        """Whether it takes a pair at this moment."""
        state = self.store.state
        client = state.client(credential.client_id)
        if client is not None and client.accepts(credential.reveal(), state.now(), end_graces=True):
            return Probe(ProbeOutcome.VALID, HTTPStatus.BAD_REQUEST, "invalid_grant", "")
        return Probe(ProbeOutcome.WRONG_PAIR, HTTPStatus.UNAUTHORIZED, "invalid_client", "")

    def create_integration(self, sealed: SealedManifest) -> Credential:
        """A Tech admin fills in the form as the kit says, and reads the pair off the table."""
        gong = sealed.manifest.gong
        fields = gong.model_dump(include=set(Form.model_fields), exclude_none=True)
        form = Form.model_validate(fields | {"scopes": list(sealed.scopes)})
        made = self.store.state.create_integration(form, "Tessa", None)
        made.access_token_ips = list(gong.trusted_ips.access_token)
        made.refresh_token_ips = list(gong.trusted_ips.refresh_token)
        return Credential(made.client_id, made.secrets[-1].value)

    def rotate(self, client_id: str, grace_hours: int) -> Credential:
        """A Tech admin clicks *Rotate secret*, and reads the new one."""
        state = self.store.state
        new = self._integration(client_id).rotate(grace_hours, state.now())
        new.times_shown = 1
        return Credential(client_id, new.value)

    def delete(self, client_id: str) -> None:
        """A Tech admin deletes the integration."""
        self.store.state.delete_integration(self._integration(client_id))

    def tokens(self, client_id: str, scopes: Sequence[str]) -> TokenAnswer:
        """What StackOne gets for somebody's consent."""
        pair = self.store.state.issue_tokens(Grant(client_id=client_id, scopes=list(scopes)), _A_DAY_S)
        base = f"https://{CUSTOMER}.invalid/customers/{CUSTOMER}"  # the twin keeps the path, and knows where it listens
        return TokenAnswer(**pair.model_dump(), expires_in=_A_DAY_S, api_base_url_for_customer=base)

    def _integration(self, client_id: str) -> Integration:
        found = self.store.state.client(client_id)
        if found is None:
            raise LookupError(client_id)
        return found


@dataclass(slots=True)
class PastStackOne:
    """StackOne (implements `keyturn.ports.ConnectorHub`, `ProfileWriter` and `ProfileWriters`), and what befalls it.

    Attributes:
        by_hand: whether it offers no write API at this moment.
    """

    store: Store[StackOneState]
    gong: PastGong
    by_hand: bool = False
    _accounts: Accounts = field(init=False)
    _closed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._accounts = Accounts(self.store, Webhooks(self.store, None, ""))

    @property
    def name(self) -> str:
        """As a writer it is called so."""
        return "assisted" if self.by_hand else "api"

    def choose(self) -> tuple[ProfileWriter, WriterChoice]:
        """Itself."""
        return self, WriterChoice(self.name, _NO_WRITE_API if self.by_hand else _WRITE_API)

    def create(self, spec: ProfileSpec, credential: Credential) -> Written:
        """Make a profile."""
        if self.by_hand:
            return Written.BY_HAND
        self.store.state.create_profile(spec.connector, _fields(spec, credential))
        return Written.DONE

    def update(self, profile: Profile, spec: ProfileSpec, credential: Credential) -> Written:
        """Put a credential into a profile."""
        if self.by_hand:
            return Written.BY_HAND
        self.store.state.change_profile(self._profile(profile.id), _fields(spec, credential))
        return Written.DONE

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector."""
        listed = (stored.public for stored in self.store.state.profiles)
        return [_profile_of(public) for public in listed if public.connector_key == connector]

    def actions(self, connector: str) -> Sequence[ActionInfo]:  # noqa: ARG002  the port's signature
        """None: no manifest of the examples names any."""
        return ()

    def create_session(self, profile_id: str, account: AccountSpec, expires_in_s: int) -> ConnectSession:
        """Make a connect session."""
        state = self.store.state
        public = wire.ConnectSession(
            id=new_number(),
            organization_id=state.organization_id,
            project_id=state.project_id,
            origin_owner_id=account.origin_owner_id,
            origin_owner_name=account.origin_owner_name,
            origin_username=account.origin_username or None,
            label=account.label or None,
            created_at=state.now(),
            connector_profile_id=profile_id,
            provider=CONNECTOR,
            type="production",
        )
        ends_at = state.now() + timedelta(seconds=expires_in_s)
        state.sessions.append(StoredSession(public=public, token=token_urlsafe(32), ends_at=ends_at))
        return ConnectSession(str(public.id), LinkStatus.PENDING)

    def session(self, session_id: str) -> ConnectSession:
        """How far the person got."""
        self.store.state.expire_sessions()
        attempt = self._session(session_id).public.latest_connection_attempt
        if attempt is None:
            return ConnectSession(session_id, LinkStatus.PENDING)
        return ConnectSession(session_id, LinkStatus(attempt.status), attempt.account_secure_id or "")

    def account(self, account_id: str) -> Account:
        """One linked account."""
        if account_id in self._closed:
            raise VendorRefusedError(_STACKONE, "does not let us look", status=HTTPStatus.FORBIDDEN)
        return _account_of(self._account(account_id).public)

    def accounts(self, profile_id: str) -> Sequence[Account]:
        """All accounts linked through a profile."""
        linked = (each for each in self.store.state.accounts if each.connector_profile_id == profile_id)
        return [_account_of(each.public) for each in linked]

    def list_users(self, account_id: str) -> LiveCall:
        """One live call; an access token that is over is refreshed first, with the secret in the profile."""
        account, action = self._account(account_id), f"{CONNECTOR}_list_users"
        if self.store.state.now() >= account.access_ends_at and not self._refreshed(account):
            self._accounts.set_status(account, "error", "invalid_client", "The client secret was refused")
            return LiveCall(action, False, HTTPStatus.UNAUTHORIZED, token_urlsafe(8), None, "the account was refused")
        if account.public.status == "error":
            self._accounts.set_status(account, "active")
        return LiveCall(action, True, HTTPStatus.OK, token_urlsafe(8), 100)

    # --- what people and time do

    def consent(self, session_id: str) -> str:
        """Somebody follows a link and says yes at Gong; gives the account."""
        session = self._session(session_id)
        profile = self._profile(session.public.connector_profile_id or "")
        tokens = self.gong.tokens(profile.client_id, profile.scopes.split())
        account = self._accounts.link(session, profile, tokens)
        self.store.state.attempt(session)
        self.store.state.settle(session, status="authenticated", account_secure_id=account.public.id)
        return account.public.id

    def edit_by_hand(self, name: str) -> None:
        """Somebody opens a profile's form in the dashboard and saves it."""
        profile = next(p for p in self.store.state.profiles if p.public.name == name)
        self.store.state.change_profile(profile, ProfileFields(scopes=profile.scopes))

    def befalls(self, account_id: str, status: str, code: str) -> None:
        """An account gets another status."""
        self._accounts.set_status(self._account(account_id), status, code)

    def keeps(self, what: str) -> None:
        """What becomes of a secret that is written into a profile: it is `kept`, or `garbled`."""
        self.store.state.options = self.store.state.options.merged({"write_effect": what})

    def close(self, account_id: str) -> None:
        """From now on nobody is let near an account: the twin answers 403 for it, for ever."""
        self._closed.add(account_id)
        closed = Fault(match=f"GET /accounts/{account_id}", kind="status", status=HTTPStatus.FORBIDDEN, count=_FOR_EVER)
        self.store.state.faults.append(closed)

    def _refreshed(self, account: StoredAccount) -> bool:
        profile = self._profile(account.connector_profile_id)
        if self.gong.probe(Credential(profile.client_id, profile.client_secret)).outcome is ProbeOutcome.WRONG_PAIR:
            return False
        self._accounts.keep_tokens(account, self.gong.tokens(profile.client_id, profile.scopes.split()))
        return True

    def _profile(self, profile_id: str) -> StoredProfile:
        found = self.store.state.profile(profile_id)
        if found is None:
            raise LookupError(profile_id)
        return found

    def _session(self, session_id: str) -> StoredSession:
        return next(each for each in self.store.state.sessions if str(each.public.id) == session_id)

    def _account(self, account_id: str) -> StoredAccount:
        found = self.store.state.account(account_id)
        if found is None:
            raise VendorRefusedError(_STACKONE, "knows no such account", status=HTTPStatus.NOT_FOUND)
        return found


@dataclass(frozen=True, slots=True)
class PastVendors:
    """Both vendors, and their time."""

    gong: PastGong
    stackone: PastStackOne

    @classmethod
    def of(cls, state: Path) -> PastVendors:
        """On the files in a sandbox's folder that its twins will take up."""
        gong = PastGong(Store(state / "gong.json", GongState))
        return cls(gong, PastStackOne(Store(state / "stackone.json", StackOneState), gong))

    def stand_at(self, moment: datetime) -> None:
        """Let it be that moment for them."""
        offset = (moment - datetime.now(UTC)).total_seconds()
        self.gong.store.state.clock_offset_seconds = self.stackone.store.state.clock_offset_seconds = offset

    def leave(self) -> None:
        """Let it be today, and keep everything for the twins."""
        for store in (self.gong.store, self.stackone.store):
            store.state.clock_offset_seconds = 0
            store.save()


def _fields(spec: ProfileSpec, credential: Credential) -> ProfileFields:
    pair = {"client_id": credential.client_id, "client_secret": credential.reveal()}
    return ProfileFields(name=spec.name, scopes=" ".join(spec.scopes), actions=list(spec.actions), **pair)


def _profile_of(public: wire.ConnectorProfile) -> Profile:
    """A profile in the words in which StackOne's API tells it."""
    told = public.model_dump(mode="json", include={"created_at", "updated_at"})
    return Profile(public.id, public.name, public.connector_key, public.active, public.default, **told)


def _account_of(public: wire.LinkedAccount) -> Account:
    reasons = tuple(reason.code for reason in public.status_reasons or () if reason.code)
    return Account(public.id, public.provider, public.status, public.origin_owner_id, reasons)
