"""Connect sessions: auth links for people, and how far they got."""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyturn.sandbox.twins.stackone.errors import ApiError, body_of
from keyturn.sandbox.twins.stackone.state import StackOneState, StoredProfile, StoredSession, new_number
from keyturn.sandbox.twins.stackone.wire import (
    ConnectSession,
    ConnectSessionAuthenticate,
    ConnectSessionCreate,
    ConnectSessionTokenAuthLink,
)
from keyturn.sandbox.twins.store import Store


class Sessions:
    """The Connect Sessions API."""

    def __init__(self, store: Store[StackOneState]) -> None:
        self._store = store

    async def create(self, request: Request) -> Response:
        """POST /connect_sessions: 201 with token and auth link."""
        asked = await body_of(request, ConnectSessionCreate)
        profile = self._profile(asked)
        with self._store.change() as state:
            session = _session(state, asked, profile)
            state.sessions.append(session)
            state.count("sessions_created")
        link = f"{str(request.base_url).rstrip('/')}/connect?{urlencode({'token': session.token})}"
        answer = ConnectSessionTokenAuthLink(**session.public.model_dump(), token=session.token, auth_link_url=link)
        return JSONResponse(_dump(answer), 201)

    async def read(self, request: Request) -> Response:
        """GET /connect_sessions/{id}: without token and link, with the latest attempt."""
        wanted = request.path_params["session_id"]
        return self._answer(session for session in self._current() if str(session.public.id) == wanted)

    async def authenticate(self, request: Request) -> Response:
        """POST /connect_sessions/authenticate: the session of a token."""
        token = (await body_of(request, ConnectSessionAuthenticate)).token
        return self._answer(session for session in self._current() if session.token == token)

    def _current(self) -> list[StoredSession]:
        with self._store.change() as state:
            state.expire_sessions()
        return state.sessions

    @staticmethod
    def _answer(found: Any) -> Response:  # noqa: ANN401 - a generator of sessions
        session = next(found, None)
        if session is None:
            raise ApiError(404, "Connect session not found")
        return JSONResponse(_dump(session.public))

    def _profile(self, asked: ConnectSessionCreate) -> StoredProfile:
        state = self._store.state
        if asked.provider_version is not None:
            raise ApiError(400, "provider_version is deprecated")
        if asked.account_id is not None and state.account(asked.account_id) is None:
            raise ApiError(404, "Account not found")
        by_id = asked.connector_profile_id
        profile = state.profile(by_id) if by_id else state.default_profile(asked.provider or "gong")
        if profile is None:
            raise ApiError(404, "Connector profile not found")
        if asked.provider not in (None, profile.public.connector_key):
            raise ApiError(400, "The connector profile belongs to another provider")
        if not profile.public.active:
            raise ApiError(412, "The connector profile is not active", errorCode="AccountIntegrationInactiveError")
        return profile


def _session(state: StackOneState, asked: ConnectSessionCreate, profile: StoredProfile) -> StoredSession:
    kept = asked.model_dump(include=set(ConnectSession.model_fields))
    public = ConnectSession(
        **kept
        | {
            "id": new_number(),
            "organization_id": state.organization_id,
            "project_id": state.project_id,
            "created_at": state.now(),
            "connector_profile_id": profile.public.id,
            "provider": profile.public.connector_key,
        }
    )
    ends_at = state.now() + timedelta(seconds=asked.expires_in)
    return StoredSession(public=public, token=token_urlsafe(32), ends_at=ends_at, multiple=asked.multiple)


def _dump(session: ConnectSession) -> dict[str, Any]:
    return session.model_dump(mode="json", exclude_none=True)
