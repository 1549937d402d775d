"""The connect page: what a person sees who follows an auth link, and where the provider sends them back to."""

from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn.sandbox.twins.pages import page, see_other, text
from keyturn.sandbox.twins.stackone.accounts import Accounts
from keyturn.sandbox.twins.stackone.provider import OAuthRefused, Provider
from keyturn.sandbox.twins.stackone.state import StackOneState, StoredProfile, StoredSession
from keyturn.sandbox.twins.store import Store

_CANCELLED = "access_denied"


class Connect:
    """Connect, consent at Gong, come back with a code."""

    def __init__(self, store: Store[StackOneState], accounts: Accounts, provider: Provider) -> None:
        self._store = store
        self._accounts = accounts
        self._provider = provider

    def routes(self) -> list[Route]:
        """The page, its form and the callback."""
        return [
            Route("/connect", self.show, methods=["GET"]),
            Route("/connect", self.begin, methods=["POST"]),
            Route("/connect/oauth2/gong/callback", self.callback),
        ]

    async def show(self, request: Request) -> Response:
        """The page behind the auth link."""
        session = self._live_session(request.query_params.get("token", ""))
        if session is None:
            return _outcome("expired", "This link is not valid, or no longer.", 410)
        return page("stackone/connect.html", session=session, person=None)

    async def begin(self, request: Request) -> Response:
        """The button *Connect*: off to the provider."""
        session = self._live_session(text(await request.form(), "token"))
        profile = self._profile(session) if session else None
        if session is None or profile is None:
            return _outcome("expired", "This link is not valid, or no longer.", 410)
        oauth_state = token_urlsafe(16)
        with self._store.change() as state:
            session.oauth_states.append(oauth_state)
            state.attempt(session)
            state.count("connection_attempts")
        return see_other(self._provider.authorize_url(profile, oauth_state))

    async def callback(self, request: Request) -> Response:
        """Back from the provider, with a code or an error."""
        session = self._session_of_state(request.query_params.get("state", ""))
        profile = self._profile(session) if session else None
        if session is None or profile is None:
            return _outcome("expired", "This attempt is not known, or was finished before.", 410)
        error = request.query_params.get("error")
        if error is not None:
            return self._failed(session, error, request.query_params.get("error_description", ""))
        try:
            tokens = await self._provider.exchange(profile, request.query_params.get("code", ""))
        except OAuthRefused as refused:
            return self._failed(session, refused.code, refused.description)
        account = self._accounts.link(session, profile, tokens)
        with self._store.change() as state:
            state.settle(session, status="authenticated", account_secure_id=account.public.id)
        return _outcome("authenticated", "Connected. You can close this page.")

    def _failed(self, session: StoredSession, code: str, description: str) -> Response:
        status = "cancelled" if code == _CANCELLED else "error"
        with self._store.change() as state:
            state.settle(session, status=status, oauth_error_code=code, oauth_error_description=description or None)
        return _outcome(status, f"Not connected: {code}. {description}")

    def _live_session(self, token: str) -> StoredSession | None:
        now = self._store.state.now()
        sessions = (each for each in self._store.state.sessions if each.token == token and now < each.ends_at)
        return next(sessions, None)

    def _session_of_state(self, oauth_state: str) -> StoredSession | None:
        """The session that sent this state, if it still waits; a state is good for one return."""
        with self._store.change() as state:
            session = next((each for each in state.sessions if oauth_state in each.oauth_states), None)
            if session is None:
                return None
            session.oauth_states.remove(oauth_state)
            return session if state.now() < session.ends_at else None

    def _profile(self, session: StoredSession) -> StoredProfile | None:
        return self._store.state.profile(session.public.connector_profile_id or "")


def _outcome(status: str, sentence: str, http_status: int = 200) -> Response:
    return page("stackone/connected.html", http_status, outcome=status, sentence=sentence, person=None)
