"""StackOne's platform API, reading and linking (`keyturn.ports.ConnectorHub`)."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Final
from urllib.parse import quote

from keyturn.clients.answer import Call, presentable
from keyturn.clients.stackone.live_call import live_call_of
from keyturn.clients.stackone.paging import all_rows
from keyturn.clients.stackone.wire import (
    ActionCall,
    Authentication,
    ConnectionAttempt,
    Connector,
    ConnectorProfile,
    LinkedAccount,
    Listing,
    NewSession,
    Session,
    read,
)
from keyturn.clients.transport import Transport
from keyturn.domain.manifest import CONNECTOR
from keyturn.domain.profile import Account, AccountSpec, ActionInfo, ConnectSession, LinkStatus, LiveCall, Profile
from keyturn.errors import TransientError, VendorRefusedError

LIVE_CALL_TIMEOUT_S: Final = 90.0
"""StackOne repeats a call that Gong answers with 429 for up to 60 s before it gives up."""

_LIST_USERS: Final = "list_users"


class StackOneHub:
    """Implements `ConnectorHub`. Thread-safe.

    Args:
        account_type: what StackOne calls `type` of a new account: `production` or `test`.
    """

    def __init__(self, transport: Transport, account_type: str = "production") -> None:
        self._transport, self._account_type = transport, account_type
        self._list_users_action = ""
        self._discovering = Lock()

    def profiles(self, connector: str) -> Sequence[Profile]:
        """All profiles of a connector, every page.

        Disabled ones are asked for as well: whether the plain list has them is not documented, and a profile that is
        overlooked would be made twice.
        """
        found: dict[str, Profile] = {}
        for narrowed in ({}, {"enabled": "false"}):
            query = {"connector_key": connector, **narrowed}
            call = Call("GET", "/connector_profiles", query)
            rows = all_rows(self._transport, Listing[ConnectorProfile], call)
            found |= {row.id: _profile(row) for row in rows if row.connector_key == connector}
        return list(found.values())

    def actions(self, connector: str) -> Sequence[ActionInfo]:
        """All actions of a connector with their required scopes."""
        actions = [action for row in self._connectors(connector) for action in row.actions or []]
        return [ActionInfo(a.id, a.label, tuple(a.required_scopes or ())) for a in actions]

    def authentications(self, connector: str) -> Sequence[Authentication]:
        """The ways of authentication that StackOne offers for a connector."""
        return [way for row in self._connectors(connector) for way in row.authentication or []]

    def create_session(self, profile_id: str, account: AccountSpec, expires_in_s: int) -> ConnectSession:
        """Make a connect session; the only moment its auth link is known.

        Raises:
            AmbiguousError: sent, and no answer. A lost session does no harm: its link is known to nobody.
        """
        body = NewSession(
            origin_owner_id=account.origin_owner_id,
            origin_owner_name=account.origin_owner_name,
            provider=CONNECTOR,
            connector_profile_id=profile_id,
            expires_in=expires_in_s,
            type=self._account_type,
            label=account.label or None,
            origin_username=account.origin_username or None,
        )
        call = Call("POST", "/connect_sessions", json=body.model_dump(exclude_none=True))
        made = read(Session, self._transport.fetch(call), self._transport.subject)
        if not made.auth_link_url:
            raise VendorRefusedError(self._transport.subject, "made a connect session without an auth link", _SUPPORT)
        return _session(made)

    def session(self, session_id: str) -> ConnectSession:
        """How far the person got."""
        answer = self._transport.fetch(Call("GET", f"/connect_sessions/{_segment(session_id)}"))
        return _session(read(Session, answer, self._transport.subject))

    def account(self, account_id: str) -> Account:
        """One linked account."""
        answer = self._transport.fetch(Call("GET", f"/accounts/{_segment(account_id)}"))
        return _account(read(LinkedAccount, answer, self._transport.subject))

    def accounts(self, profile_id: str) -> Sequence[Account]:
        """All accounts linked through a profile, from `/v2/accounts`: the older list does not name the profile.

        Raises:
            VendorRefusedError: StackOne does not say which account belongs to which profile, so nobody knows.
        """
        query, remedies = {"connector_profile_id": profile_id}, {404: _NO_V2}
        call = Call("GET", "/v2/accounts", query, remedies=remedies)
        rows = all_rows(self._transport, Listing[LinkedAccount], call)
        if any(row.connector_profile_id is None for row in rows):
            problem = "lists accounts without saying through which profile they are linked"
            raise VendorRefusedError(self._transport.subject, problem, _LOOK)
        return [_account(row) for row in rows if row.connector_profile_id == profile_id]

    def list_users(self, account_id: str) -> LiveCall:
        """One live call through StackOne to Gong; the users themselves are dropped unread.

        A definite no is a `LiveCall` that is not `ok`. What may pass by itself is raised.
        """
        action = self._users_action()
        call = Call(
            "POST",
            "/actions/rpc",
            json=ActionCall(action=action).model_dump(),
            headers={"x-account-id": account_id},
            reads=True,
            quotable=False,
            read_timeout_s=LIVE_CALL_TIMEOUT_S,
        )
        answer = self._transport.ask(call)
        failure = self._transport.failure(call, answer)
        if isinstance(failure, TransientError):
            raise failure
        return live_call_of(action, answer)

    def _users_action(self) -> str:
        """The full name of the action that lists users: discovered once, since only its parts are documented."""
        with self._discovering:
            if not self._list_users_action:
                self._list_users_action = self._discovered(CONNECTOR)
            return self._list_users_action

    def _discovered(self, connector: str) -> str:
        prefix = f"{connector}_"
        for action in self.actions(connector):
            if action.id.removeprefix(prefix) == _LIST_USERS:
                return prefix + _LIST_USERS
        problem = f"has no action {_LIST_USERS!r} for {connector}, so a connection cannot be tried"
        raise VendorRefusedError(self._transport.subject, problem, "Enable the action in the profile, or ask StackOne.")

    def _connectors(self, connector: str) -> list[Connector]:
        query = {"filter[connectors]": connector, "include": "action_details"}
        rows = all_rows(self._transport, Listing[Connector], Call("GET", "/actions", query))
        return [row for row in rows if row.key == connector]


_LOOK: Final = "It is not known which accounts the profile has; look at it in StackOne's dashboard."
_NO_V2: Final = f"This StackOne does not offer /v2/accounts. {_LOOK}"
_SUPPORT: Final = "Ask StackOne's support, or make the link in StackOne's dashboard."


def _segment(value: str) -> str:
    return quote(value, safe="")


def _profile(row: ConnectorProfile) -> Profile:
    return Profile(row.id, row.name, row.connector_key, row.active, row.default, row.created_at, row.updated_at)


def _account(row: LinkedAccount) -> Account:
    reasons = (presentable(reason.code or reason.description) for reason in row.status_reasons or [])
    return Account(row.id, row.provider, row.status, row.origin_owner_id, tuple(filter(None, reasons)))


def _session(row: Session) -> ConnectSession:
    attempt = row.latest_connection_attempt or ConnectionAttempt()
    status = _status(attempt)
    account_id = attempt.account_secure_id if status is LinkStatus.AUTHENTICATED else ""
    said = ": ".join(filter(None, (attempt.oauth_error_code, attempt.oauth_error_description)))
    return ConnectSession(row.id, status, account_id, row.auth_link_url, presentable(said))


def _status(attempt: ConnectionAttempt) -> LinkStatus:
    """A status that keyturn does not know, or a success without an account, is still pending: never a success."""
    try:
        status = LinkStatus(attempt.status)
    except ValueError:
        return LinkStatus.PENDING
    unnamed = status is LinkStatus.AUTHENTICATED and not attempt.account_secure_id
    return LinkStatus.PENDING if unnamed else status
